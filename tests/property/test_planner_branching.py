"""The bound by branching on counts of nodes, against the exact optimum of small problems."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from property.test_planner_core import exact_by_seed, random_problem
from spotkube.planner.clock import Clock
from spotkube.planner.problem import NO_LIMIT, Budget, Problem
from spotkube.planner.reduced.firstfit import first_fit_nodes
from spotkube.planner.reduced.reduction import reduce_problem
from spotkube.planner.relaxation.bound import relax
from spotkube.planner.relaxation.branching import Tree, sets_of_kinds
from spotkube.planner.relaxation.pricing import Pricer
from spotkube.planner.search.solve import solve

CALM = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def branched(problem: Problem, ceiling: int, *, rounds: int = 30, programs: int = 400) -> tuple[int, int]:
    """The bound before and after branching."""
    instance = reduce_problem(problem)
    pricer = Pricer(instance)
    budget = Budget(None, rounds)
    relaxation = relax(instance, pricer, [first_fit_nodes(instance)], budget, Clock(None), (1.0, 1.0))
    before = relaxation.proof.lower_bound(relaxation.master.demand) if relaxation.proof else 0
    tree = Tree(instance, relaxation, pricer, float(ceiling), Clock(None).stop())
    tree.grow(lambda done: done >= programs)
    return before, tree.lower_bound()


@CALM
@given(st.integers(0, 100_000), st.booleans(), st.integers(0, 60), st.sampled_from((1, 3, 30)))
def test_no_plan_is_below_the_branched_bound(seed: int, limits: bool, dearer: int, rounds: int) -> None:
    problem = random_problem(seed, limits=limits)
    _, optimum = exact_by_seed(seed, limits)
    assume(optimum >= 0)
    for programs in (3, 400):
        before, after = branched(problem, optimum + dearer, rounds=rounds, programs=programs)
        assert after <= optimum
        assert after >= before or after == optimum + dearer


def test_branching_closes_most_of_what_the_relaxation_leaves_open() -> None:
    left, closed = 0, 0
    for seed in range(150):
        _, optimum = exact_by_seed(seed, False)
        if optimum <= 0:
            continue
        before, after = branched(random_problem(seed), optimum)
        left += optimum - before
        closed += after - before
    assert left > 0
    assert closed > 0.6 * left


def test_a_fraction_of_a_node_is_no_node() -> None:
    """Three pods of 0.6 nodes: the relaxation buys nodes in fractions, branching doesn't."""
    problem = Problem(
        resources=("cpu", "memory", "pods"),
        group_names=("a",),
        demand=np.array([[2, 0, 1]]),
        count=np.array([3]),
        family=np.array([0]),
        sure_count=np.array([3]),
        capacity=np.array([[4, 4, 9]]),
        limit_use=np.array([[4, 4, 9]]),
        price=np.array([100]),
        pool=np.array([0]),
        compatible=np.array([[True]]),
        bins=np.zeros((0, 3), int),
        bin_compatible=np.zeros((1, 0), bool),
        conflict=np.zeros((1, 1), bool),
        cap_use=np.zeros((0, 1), int),
        cap_limit=np.zeros(0, int),
        bin_cap_left=np.zeros((0, 0), int),
        pool_left=np.full((1, 5), NO_LIMIT),
    )
    assert branched(problem, 200) == (150, 200)


def test_sets_are_of_kinds_only_and_no_two_alike() -> None:
    for seed in range(30):
        instance = reduce_problem(random_problem(seed))
        sets = sets_of_kinds(instance)
        assert not sets[:, instance.kind_of < 0].any()
        assert sets.any(axis=1).all()
        assert len(np.unique(sets, axis=0)) == len(sets)


def test_a_replay_of_the_branches_gives_the_same_bound() -> None:
    problem = random_problem(5)
    one, two = (solve(problem, seed=1, budget=Budget(None, 20, 8, 40)) for _ in range(2))
    assert (one.lower_bound, one.branch_programs) == (two.lower_bound, two.branch_programs)


@pytest.mark.parametrize("seed", range(12))
def test_results_bounds_hold_with_branching(seed: int) -> None:
    problem = random_problem(seed)
    placed, optimum = exact_by_seed(seed, False)
    result = solve(problem, seed=seed, budget=Budget(None, 20, 8, 200))
    assert result.lower_bound <= result.solution.cost(problem)
    if optimum >= 0 and int(result.solution.unplaced.sum()) == int(problem.count.sum()) - placed:
        assert result.lower_bound <= optimum
