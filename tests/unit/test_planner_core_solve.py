"""solve() on problems whose answer can be seen at a glance."""

from dataclasses import replace
from itertools import pairwise

import highspy
import numpy as np
import pytest

from spotkube.planner.clock import Clock, Stop
from spotkube.planner.packing.packing import BALANCE_FROM, best_pattern
from spotkube.planner.packing.scratch import make_work
from spotkube.planner.problem import NO_LIMIT, Budget, Enough, Needs, Preferences, Problem, Quotas, Result
from spotkube.planner.reduced.expand import who_fits
from spotkube.planner.reduced.firstfit import first_fit, first_fit_nodes
from spotkube.planner.reduced.reduction import reduce_problem
from spotkube.planner.relaxation import columns, pricing
from spotkube.planner.relaxation.bound import lower_bound
from spotkube.planner.relaxation.master import Duals, Master
from spotkube.planner.relaxation.pricing import SHARED_FROM, Pricer
from spotkube.planner.relaxation.proof import demand_of
from spotkube.planner.search.genetic import Search
from spotkube.planner.search.solve import solve
from spotkube.planner.validate import validate
from spotkube.planner.warmup import small_problem

WORK = Budget(seconds=None, column_rounds=30, generations=10)


class OutOfTime(Stop):
    """Time is over once it was looked at so often, by whatever thread."""

    def __init__(self, looks: int) -> None:
        super().__init__(None, None)
        self._looks = looks

    def near(self) -> bool:
        self._looks -= 1
        return self._looks < 0


def make_problem(
    demand: list[int], count: list[int], capacity: list[int], price: list[int], bins: tuple[int, ...] = ()
) -> Problem:
    """Pods that ask for cpu alone; every group may be everywhere."""
    groups, kinds = len(demand), len(capacity)
    sizes = np.array([[amount, 110] for amount in capacity], np.int64).reshape(kinds, 2)
    return Problem(
        resources=("cpu", "pods"),
        group_names=tuple(f"g{i}" for i in range(groups)),
        demand=np.array([[amount, 1] for amount in demand], np.int64).reshape(groups, 2),
        count=np.array(count, np.int64),
        family=np.arange(groups),
        sure_count=np.array(count, np.int64),
        capacity=sizes,
        limit_use=sizes,
        price=np.array(price, np.int64),
        pool=np.zeros(kinds, np.int64),
        compatible=np.ones((groups, kinds), np.bool_),
        bins=np.array([[amount, 110] for amount in bins], np.int64).reshape(len(bins), 2),
        bin_compatible=np.ones((groups, len(bins)), np.bool_),
        conflict=np.zeros((groups, groups), np.bool_),
        cap_use=np.zeros((0, groups), np.int64),
        cap_limit=np.zeros(0, np.int64),
        bin_cap_left=np.zeros((0, len(bins)), np.int64),
        pool_left=np.full((1, 4), NO_LIMIT, np.int64),
    )


def test_where_nothing_has_to_be_bought_nothing_is_searched() -> None:
    fitting = make_problem([400], [4], [1000], [100], bins=(800, 900))
    result = solve(fitting, seed=0, budget=WORK)
    assert (len(result.solution.node_kind), result.solution.unplaced.sum(), result.lower_bound) == (0, 0, 0)
    assert (result.column_rounds, result.generations) == (0, 0)
    short = solve(replace(fitting, count=np.array([5]), sure_count=np.array([5])), seed=0, budget=WORK)
    assert (len(short.solution.node_kind), short.solution.unplaced.sum()) == (1, 0)
    assert short.column_rounds > 0


def test_a_perfect_packing_is_found_and_proven() -> None:
    problem = make_problem([600, 400], [3, 3], [1000, 600], [100, 70])
    result = solve(problem, seed=0, budget=WORK)
    assert result.solution.cost(problem) == 300
    assert result.lower_bound == 300


def test_room_that_is_there_is_used_before_any_is_bought() -> None:
    problem = make_problem([500], [5], [1000], [100], bins=(1000, 1200))
    result = solve(problem, seed=0, budget=WORK)
    assert result.solution.bin_pods.sum() == 4
    assert result.solution.cost(problem) == 100


def test_bins_alone_cost_nothing() -> None:
    problem = make_problem([500], [2], [], [], bins=(1000,))
    result = solve(problem, seed=0, budget=WORK)
    assert (result.solution.cost(problem), result.lower_bound, result.solution.unplaced.sum()) == (0, 0, 0)


def test_nothing_to_place_buys_nothing() -> None:
    for problem in (make_problem([], [], [1000], [100]), make_problem([500], [0], [1000], [100])):
        result = solve(problem, seed=0, budget=WORK)
        assert len(result.solution.node_kind) == 0
        assert result.lower_bound == 0
        assert len(first_fit(problem).node_kind) == 0


def test_without_kinds_all_pods_are_unplaced() -> None:
    problem = make_problem([500], [4], [], [])
    result = solve(problem, seed=0, budget=WORK)
    assert result.solution.unplaced.tolist() == [4]
    assert result.lower_bound == 0


def test_a_million_pods_take_no_longer_than_a_few() -> None:
    problem = make_problem([400, 300], [600_000, 400_000], [100_000], [100])
    result = solve(problem, seed=0, budget=Budget(None, 10, 3))
    assert validate(replace(problem, count=problem.count), result.solution) == []
    assert result.solution.cost(problem) <= result.lower_bound * 1.001


def test_a_limit_of_dollars_leaves_pods_unplaced_rather_than_being_broken() -> None:
    problem = make_problem([500], [8], [1000], [100])
    problem.pool_left[0, 3] = 250
    result = solve(problem, seed=0, budget=WORK)
    assert result.solution.cost(problem) == 200
    assert result.solution.unplaced.tolist() == [4]
    assert result.lower_bound == 200


def test_everything_at_once_is_planned_within_the_rules() -> None:
    problem = small_problem()
    result = solve(problem, seed=0, budget=WORK)
    assert validate(problem, result.solution) == []
    assert result.solution.unplaced.sum() == 0
    assert result.lower_bound <= result.solution.cost(problem)


def told(problem: Problem, budget: Budget = WORK) -> tuple[list[tuple[float, int, int]], Result]:
    said: list[tuple[float, int, int]] = []
    result = solve(problem, seed=0, budget=budget, progress=lambda *news: said.append(news))
    return said, result


def test_progress_tells_of_the_first_plan_and_of_all_that_is_better() -> None:
    chance = np.random.default_rng(1)
    sizes, counts = chance.integers(100, 900, 12).tolist(), chance.integers(1, 20, 12).tolist()
    problem = make_problem(sizes, counts, [1000, 2300, 4100], [100, 222, 390])
    said, result = told(problem, Budget(None, 30, 40, branch_programs=40))
    seconds, costs, bounds = zip(*said, strict=True)
    assert costs[0] == first_fit(problem).cost(problem)
    assert costs[-1] == result.solution.cost(problem) < costs[0]
    assert bounds[0] == 0 < bounds[-1] <= result.lower_bound
    assert all(after[0] >= before[0] and after[1:] != before[1:] for before, after in pairwise(said))
    assert list(costs) == sorted(costs, reverse=True)
    assert list(bounds) == sorted(bounds)
    assert seconds[0] >= 0


def test_progress_tells_of_plans_that_leave_out_only_what_fits_nowhere() -> None:
    said, _ = told(make_problem([500, 9000], [8, 2], [1000], [100]))
    assert said[0][1] == 400
    short = make_problem([500], [8], [1000], [100])
    short.pool_left[0, 3] = 250
    assert told(short)[0] == []


def test_a_warm_solution_of_another_shape_is_ignored() -> None:
    small = solve(make_problem([500], [2], [1000], [100]), seed=0, budget=WORK).solution
    problem = make_problem([600, 400], [3, 3], [1000], [100])
    assert solve(problem, seed=0, budget=WORK, warm=small).solution.cost(problem) == 300


def test_the_bound_alone_says_what_each_pod_adds() -> None:
    bound = lower_bound(make_problem([500], [8], [1000], [100]), WORK)
    assert bound.value == 400
    assert bound.pod_value.tolist() == [50.0]


def test_once_little_can_still_be_saved_it_searches_no_more() -> None:
    problem = make_problem([300, 700, 450], [9, 5, 8], [1000, 2100, 4000], [100, 185, 330])
    work = Budget(seconds=None, generations=60)

    whole = solve(problem, seed=0, budget=work)
    early = solve(problem, seed=0, budget=replace(work, enough=Enough(200)))

    assert early.generations < whole.generations == 60
    assert early.solution.cost(problem) - early.lower_bound <= 200


@pytest.mark.parametrize("part", [0.005, 0.03])
def test_a_dive_into_few_columns_may_be_enough(part: float) -> None:
    problem = make_problem([300, 700, 450], [90, 50, 80], [1000, 2100, 4000], [100_000, 185_000, 330_000])
    work = Budget(seconds=None, column_rounds=30, generations=60)

    whole = solve(problem, seed=0, budget=work)
    early = solve(problem, seed=0, budget=replace(work, enough=Enough(part=part)))

    assert early.generations < whole.generations == 60
    assert early.solution.unplaced.sum() == 0
    cost = early.solution.cost(problem)
    assert cost - early.lower_bound <= part * cost


def test_what_is_enough_is_the_greater_of_dollars_and_a_part() -> None:
    assert Enough(2000, 0.01).of(1_000_000) == 10_000
    assert Enough(2000, 0.01).of(1_000) == 2000


def test_the_search_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spotkube.planner.search.hunt.dive", interrupt)
    problem = small_problem()
    result = solve(problem, seed=0, budget=WORK)
    assert validate(problem, result.solution) == []
    assert result.passes is None
    # What first-fit made of it, at least.
    assert result.solution.unplaced.sum() <= first_fit(problem).unplaced.sum()


def test_a_generation_that_is_cut_short_leaves_no_trace() -> None:
    problem = make_problem([600, 400], [3, 3], [1000, 600], [100, 70])
    instance = reduce_problem(problem)
    pricer, master = Pricer(instance), Master(instance, demand_of(problem))
    first = first_fit_nodes(instance)
    for row in range(int(first.rows[0])):
        master.add(int(first.holder[row]), first.pods[row])
    relaxation = columns.begun(instance, master, pricer, Clock(None).stop())
    columns.improve(instance, relaxation, pricer, Clock(None).stop(), most=3)
    search = Search(instance, relaxation, pricer, [first], seed=0)
    flock = search.flock
    assert list(search.generations(OutOfTime(looks=3))) == []
    assert search.flock is flock
    assert next(search.generations(Clock(None).stop())) == 1
    assert search.flock is not flock


def test_a_linear_program_that_is_refused_is_no_bound_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("highspy.Highs.run", lambda _: highspy.HighsStatus.kError)
    with pytest.raises(RuntimeError, match="HiGHS refused"):
        lower_bound(make_problem([500], [8], [1000], [100]), WORK)


def test_what_is_needed_beside_a_pod_is_put_there_first() -> None:
    # The pair costs one node; the one in need alone may be on none.
    problem = replace(
        make_problem([600, 400], [2, 2], [1000], [100]), needs=Needs(np.array([1]), np.array([[True, False]]))
    )
    result = solve(problem, seed=0, budget=WORK)
    assert result.solution.node_pods.tolist() == [[1, 1], [1, 1]]
    alone = replace(problem, count=np.array([0, 2]), sure_count=np.array([0, 2]))
    assert solve(alone, seed=0, budget=WORK).solution.unplaced.tolist() == [0, 2]


def test_needs_in_a_circle_are_refused() -> None:
    problem = replace(
        make_problem([600, 400], [2, 2], [1000], [100]),
        needs=Needs(np.array([0, 1]), np.array([[False, True], [True, False]])),
    )
    with pytest.raises(ValueError, match="in a circle"):
        solve(problem, seed=0, budget=WORK)


def test_where_limits_bind_the_higher_rank_stays() -> None:
    problem = replace(make_problem([500, 500], [2, 8], [1000], [100]), rank=np.array([0, 3]))
    problem.pool_left[0, 2] = 4
    assert solve(problem, seed=0, budget=WORK).solution.unplaced.tolist() == [2, 0]
    problem.pool_left[0, 2] = 3
    assert solve(problem, seed=0, budget=WORK).solution.unplaced.tolist() == [2, 2]


def test_a_quota_spreads_pods_over_domains_and_leaves_out_what_it_must() -> None:
    problem = make_problem([500], [8], [1000, 1000], [100, 150])
    halves = Quotas(np.array([[1]]), np.array([[0, 1]]), np.zeros((1, 0), np.int64), np.array([[4, 4]]))
    result = solve(replace(problem, quotas=halves), seed=0, budget=WORK)
    assert sorted(result.solution.node_kind.tolist()) == [0, 0, 1, 1]
    assert result.lower_bound == 400
    tight = replace(halves, left=np.array([[4, 2]]))
    assert solve(replace(problem, quotas=tight), seed=0, budget=WORK).solution.unplaced.tolist() == [2]


def test_preferences_decide_between_like_prices_and_do_not_count_as_cost() -> None:
    problem = make_problem([500], [8], [1000, 1000], [100, 105])
    for unmet, kind in ((1, 0), (4, 1)):
        wished = replace(problem, preferences=Preferences(np.array([[unmet, 0]]), np.array([0])))
        result = solve(wished, seed=0, budget=WORK)
        assert set(result.solution.node_kind.tolist()) == {kind}
        assert result.solution.cost(wished) == 4 * problem.price[kind]
        assert result.lower_bound == 400


def test_what_has_no_limit_is_not_counted_however_much_it_is() -> None:
    problem = make_problem([500], [4000], [500], [100])
    problem.limit_use[0, 0] = 2**53
    result = solve(problem, seed=0, budget=WORK)
    assert result.solution.unplaced.tolist() == [0]


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    problem = make_problem([700, 300, 450, 210], [9, 30, 14, 25], [1900, 3900, 1000], [100, 190, 60])
    usual = solve(problem, seed=3, budget=WORK)
    monkeypatch.setattr(pricing, "THREADS", threads)
    monkeypatch.setattr(pricing, "SHARED_FROM", 0)
    other = solve(problem, seed=3, budget=WORK)
    assert (other.lower_bound, other.front) == (usual.lower_bound, usual.front)
    assert (other.solution.node_kind == usual.solution.node_kind).all()
    assert (other.solution.node_pods == usual.solution.node_pods).all()


def test_pricing_that_is_cut_short_claims_nothing() -> None:
    instance = reduce_problem(make_problem([700, 300], [9, 30], [1900, 3900], [100, 190]))
    pricer, worth = Pricer(instance), Duals(np.full(2, 30.0), np.zeros(2), np.zeros((1, 4)))
    bars = np.zeros(len(pricer.lean))
    many = SHARED_FROM
    patterns, found, upper = pricer.price(pricer.lean, instance.upper, worth, bars, many, 1e-3, Clock(0.0).stop())
    assert not patterns.any() and not found.any() and np.isinf(upper).all()
    patterns, found, upper = pricer.price(pricer.lean, instance.upper, worth, bars, many, 1e-3)
    assert patterns.any() and (upper >= found).all() and np.isfinite(upper).all()


@pytest.mark.parametrize("looks", range(12))
def test_a_bound_that_is_cut_short_anywhere_is_none_too_high(looks: int) -> None:
    """The time is looked at `looks` times before it is over."""
    problem = make_problem([600, 400, 250], [3, 3, 5], [1000, 600, 2000], [100, 70, 190])
    instance = reduce_problem(problem)
    cheapest = solve(problem, seed=0, budget=WORK).solution.cost(problem)
    pricer, master = Pricer(instance), Master(instance, demand_of(problem))
    first = first_fit_nodes(instance)
    for row in range(int(first.rows[0])):
        master.add(int(first.holder[row]), first.pods[row])
    amount, duals, cost = master.solve()
    relaxation = columns.Relaxation(master, amount, cost, duals)
    columns.sharpen(instance, relaxation, pricer, OutOfTime(looks))
    assert relaxation.bound <= cheapest
    assert columns.prove(instance, relaxation, pricer, first, Clock(0.0).stop()) <= cheapest


def test_a_node_is_filled_so_that_all_its_resources_run_out_together() -> None:
    # Each group alone, as often as it fits, leaves half of the node empty; ten of each fill it.
    resources, room = ("cpu", "memory", "pods"), np.array([[50, 50, 100]])
    problem = replace(
        make_problem([4, 1], [50, 50], [50], [100]), resources=resources, demand=np.array([[4, 1, 1], [1, 4, 1]]),
        capacity=room, limit_use=room, bins=np.zeros((0, 3), np.int64), pool_left=np.full((1, 5), NO_LIMIT, np.int64),
    )  # fmt: skip
    arrays = reduce_problem(problem).arrays
    work = make_work(2, 3, 0)
    best_pattern(
        arrays, work, arrays.room[0], arrays.caps[0], arrays.met[0], arrays.allowed[0], problem.count, np.ones(2),
        np.array([0.2, 0.2, 0.0]), 0.0, BALANCE_FROM, 1.0, False,
    )  # fmt: skip
    assert work.pattern.tolist() == [10, 10]


def test_who_fits_knows_every_rule() -> None:
    """Pods of 900m, 300m (beside the first, or on a node that has it) and 200m (apart from the first, one a node); on
    kinds of 1900m, 3900m (not for the second) and 7900m, and a bin of 1000m."""
    problem = small_problem()
    instance = reduce_problem(problem)

    def fitting(*pods: int) -> set[int]:
        return {int(kind) for kind in instance.kind_of[who_fits(instance, np.array(pods))]}

    assert fitting(1, 0, 0) == {-1, 0, 1, 2}
    assert fitting(2, 0, 0) == {0, 1, 2}
    assert fitting(1, 1, 0) == {0, 2}
    assert fitting(1, 0, 1) == set()
    assert fitting(0, 0, 1) == {0, 1, 2}
    assert fitting(0, 0, 2) == set()
