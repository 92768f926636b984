"""Ruin and dive: parts of plans are packed anew, from patterns that hold no more than what is left."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_planner_core_solve import make_problem

from spotkube.planner.clock import Clock
from spotkube.planner.instance import Instance
from spotkube.planner.problem import NO_LIMIT, Budget, Problem
from spotkube.planner.reduced.expand import rows_needed, to_solution
from spotkube.planner.reduced.firstfit import first_fit_nodes
from spotkube.planner.reduced.nodes import place
from spotkube.planner.reduced.reduction import reduce_problem
from spotkube.planner.reduced.state import make_nodes
from spotkube.planner.relaxation.bound import relax
from spotkube.planner.relaxation.master import Master, penalties
from spotkube.planner.relaxation.pricing import Pricer
from spotkube.planner.relaxation.proof import demand_of
from spotkube.planner.search.flock import Flock, flock_of
from spotkube.planner.search.rebuild import Rebuilder
from spotkube.planner.search.rest import Pool, RestProgram
from spotkube.planner.validate import validate

# Small nodes cost more for their size; first fit fills large ones badly with pods of these sizes.
SIZES, PRICES = [1000, 2100, 4000], [100, 180, 330]


def never() -> bool:
    return False


def rebuilder_of(problem: Problem) -> tuple[Instance, Rebuilder, Flock]:
    """With the plan of first fit as the only parent."""
    instance = reduce_problem(problem)
    pricer, plan = Pricer(instance), first_fit_nodes(instance)
    budget = Budget(seconds=None, column_rounds=15)
    relaxation = relax(instance, pricer, [plan], budget, Clock(None), (1.0, 1.0))
    rebuilder = Rebuilder(instance, relaxation, pricer, Pool(instance, relaxation.master))
    return instance, rebuilder, flock_of(instance.arrays, [plan])


def random_problem(seed: int, bins: tuple[int, ...] = ()) -> Problem:
    random = np.random.default_rng(seed)
    demand = random.integers(150, 950, 6).tolist()
    return make_problem(demand, random.integers(2, 9, 6).tolist(), SIZES, PRICES, bins)


def test_it_betters_a_plan_of_first_fit() -> None:
    instance, rebuilder, flock = rebuilder_of(random_problem(1))
    costs = []
    for seed in range(20):
        nodes = rebuilder.child(flock, 0, seed, never)
        if nodes is not None and not nodes.remain.any():
            costs.append(to_solution(instance, nodes).cost(instance.problem))
    assert min(costs) < flock.cost[0]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), bins=st.sampled_from([(), (1500,), (900, 900, 2000)]))
def test_what_it_makes_is_a_plan_of_the_same_pods(seed: int, bins: tuple[int, ...]) -> None:
    problem = random_problem(seed, bins)
    instance, rebuilder, flock = rebuilder_of(problem)
    nodes = rebuilder.child(flock, 0, seed, never)
    if nodes is not None:
        assert validate(problem, to_solution(instance, nodes)) == []
        assert not nodes.remain.any()


def test_the_same_seed_makes_the_same_plan_whatever_was_made_before() -> None:
    _, rebuilder, flock = rebuilder_of(random_problem(3))
    first = rebuilder.child(flock, 0, 7, never)
    assert first is not None
    kept = first.pods[: int(first.rows[0])].copy()
    rebuilder.child(flock, 0, 8, never)
    again = rebuilder.child(flock, 0, 7, never)
    assert again is not None
    assert (again.pods[: int(again.rows[0])] == kept).all()


def test_nothing_comes_of_what_cannot_get_cheaper_or_was_cut_short() -> None:
    perfect = make_problem([500], [24], [1000, 2000], [100, 190])
    _, rebuilder, flock = rebuilder_of(perfect)
    assert [rebuilder.child(flock, 0, seed, never) for seed in range(5)] == [None] * 5
    _, rebuilder, flock = rebuilder_of(random_problem(1))
    assert rebuilder.child(flock, 0, 0, lambda: True) is None


class TestRest:
    @pytest.fixture
    def instance(self) -> Instance:
        return reduce_problem(make_problem([300, 500], [5, 2], [1000, 2000], [100, 150]))

    def pool(self, instance: Instance, columns: list[tuple[int, list[int]]]) -> Pool:
        master = Master(instance, demand_of(instance.problem, np.zeros(2, np.int64)))
        for holder, pattern in columns:
            master.add(holder, np.array(pattern, np.int64))
        return Pool(instance, master)

    def test_patterns_hold_no_more_than_is_left_and_of_like_ones_the_cheapest_stays(self, instance: Instance) -> None:
        small, large = np.argsort(instance.arrays.price)
        pool = self.pool(instance, [(large, [5, 1]), (small, [3, 0]), (large, [3, 2])])
        nodes = make_nodes(instance, rows_needed(instance))
        nodes.remain[:] = [3, 0]
        holders, patterns = pool.clipped(nodes, np.array([50.0, 60.0]))
        assert (holders.tolist(), patterns.tolist()) == ([small], [[3, 0]])

    def test_what_is_worth_little_of_its_price_is_left_out(self, instance: Instance) -> None:
        pool = self.pool(instance, [(int(instance.arrays.price.argmax()), [5, 1])])
        nodes = make_nodes(instance, rows_needed(instance))
        nodes.remain[:] = [1, 0]
        assert len(pool.clipped(nodes, np.array([50.0, 60.0]))[0]) == 0

    def test_a_pool_learns_each_column_once(self, instance: Instance) -> None:
        pool = self.pool(instance, [(0, [3, 0])])
        pool.learn(np.array([0, 1, 1]), np.array([[3, 0], [3, 0], [3, 0]]))
        assert pool.holders.tolist() == [0, 1]

    def test_columns_are_taken_no_oftener_than_pods_are_left_for_them(self, instance: Instance) -> None:
        small = int(instance.arrays.price.argmin())
        nodes = make_nodes(instance, rows_needed(instance))
        program = RestProgram(instance, nodes)
        program.add(np.array([small]), np.array([[2, 0]]), nodes)
        assert program.solve()[0].tolist() == [2.0]
        place(instance.arrays, nodes, small, np.array([2, 0]), 2)
        program.limit(nodes)
        assert program.solve()[0].tolist() == [0.0]

    def test_limits_of_pools_hold_however_large_their_numbers_are(self) -> None:
        """A limit of 2.5 nodes, in bytes, and what a byte of it is worth."""
        giga = 10**9
        problem = make_problem([300 * giga], [9], [1000 * giga], [100])
        problem = replace(problem, pool_left=np.array([[2500 * giga, NO_LIMIT, NO_LIMIT, NO_LIMIT]]))
        instance = reduce_problem(problem)
        nodes = make_nodes(instance, rows_needed(instance))
        program = RestProgram(instance, nodes)
        program.add(np.array([0]), np.array([[3]]), nodes)
        amount, duals, _ = program.solve()
        assert amount == pytest.approx([2.5])
        # Three pods would each spare the penalty: the limit, in bytes, is worth what they are, less the node's price.
        worth = 3 * float(penalties(instance)[0]) - 100
        assert duals.pool[0, 0] * 1000 * giga == pytest.approx(worth)
