"""The planner on random small problems, against an exact solver that shares nothing with it."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

import highspy
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from spotkube.planner.packing.packing import best_pattern
from spotkube.planner.packing.scratch import make_work
from spotkube.planner.problem import NO_LIMIT, Budget, Needs, Preferences, Problem, Quotas, Risk
from spotkube.planner.reduced.firstfit import first_fit
from spotkube.planner.reduced.reduction import reduce_problem
from spotkube.planner.relaxation import bound, coarse, columns
from spotkube.planner.relaxation.bound import lower_bound
from spotkube.planner.relaxation.exact import exact_pattern
from spotkube.planner.search import settling
from spotkube.planner.search.solve import solve
from spotkube.planner.validate import validate

WORK = Budget(seconds=None, column_rounds=20, generations=8)
CALM = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def some_risk(drawn: np.ndarray, groups: int, bins: int) -> Risk:
    """Three spot pools; a quarter of the kinds and bins are in none."""
    return Risk(
        rate=np.array([1e-4, 2e-4, 5e-5]),
        spot_pool=drawn % 4 - 1,
        bin_pool=np.arange(bins) % 4 - 1,
        there=np.array([0, 2, 0]),
        there_cost=0.5,
        restart=1e4 * np.arange(1, groups + 1),
        heads=np.arange(groups) % 2 + 1,
    )


def random_problem(seed: int, *, limits: bool = False, bins: int | None = None) -> Problem:
    """Up to four groups, four kinds and two bins (or so many), with families, caps, conflicts and needs."""
    rng = np.random.default_rng(seed)
    groups, kinds, some = int(rng.integers(1, 5)), int(rng.integers(1, 5)), int(rng.integers(0, 3))
    bins = some if bins is None else bins
    demand = np.column_stack([rng.integers(1, 8, groups), rng.integers(0, 8, groups), np.ones(groups, int)])
    count = rng.integers(1, 5, groups)
    family = np.sort(rng.integers(0, groups, groups))
    family = np.unique(family, return_inverse=True)[1]
    sizes = np.bincount(family)
    sure = np.where(sizes[family] == 1, count, rng.integers(0, count + 1))
    capacity = np.column_stack([rng.integers(4, 16, kinds), rng.integers(4, 16, kinds), rng.integers(2, 7, kinds)])
    conflict = rng.random((groups, groups)) < 0.15
    conflict = np.triu(conflict, 1) | np.triu(conflict, 1).T
    caps = int(rng.integers(0, 3))
    pool = rng.integers(0, 2, kinds)
    left = np.full((2, 5), NO_LIMIT)
    if limits:
        left[0] = [rng.integers(0, 40), NO_LIMIT, NO_LIMIT, rng.integers(0, 4), NO_LIMIT]
        left[1, 4] = rng.integers(0, 300)
    before = np.tri(groups, k=-1, dtype=bool)
    needy = [g for g in range(1, groups) if rng.random() < 0.3]
    needs = Needs(
        of=np.array(needy, int),
        member=(rng.random((len(needy), groups)) < 0.7) & before[needy],
        met=rng.random((len(needy), bins)) < 0.3,
    )
    return Problem(
        resources=("cpu", "memory", "pods"),
        group_names=tuple(f"g{i}" for i in range(groups)),
        demand=demand,
        count=count,
        family=family,
        sure_count=sure,
        capacity=capacity,
        limit_use=capacity + 1,
        price=rng.integers(20, 120, kinds),
        risk=some_risk(rng.integers(0, 20, kinds), groups, bins),
        pool=pool,
        compatible=rng.random((groups, kinds)) < 0.75,
        bins=np.column_stack([rng.integers(0, 10, bins), rng.integers(0, 10, bins), rng.integers(0, 5, bins)]),
        bin_compatible=rng.random((groups, bins)) < 0.75,
        conflict=conflict,
        cap_use=(rng.random((caps, groups)) < 0.6) * rng.integers(1, 3, (caps, groups)),
        cap_limit=rng.integers(1, 4, caps),
        bin_cap_left=rng.integers(0, 3, (caps, bins)),
        pool_left=left,
        needs=needs,
    )


def with_wishes(problem: Problem, seed: int) -> Problem:
    """The same with preferences, quotas and ranks of priority."""
    rng = np.random.default_rng(seed)
    quotas, domains = int(rng.integers(1, 3)), int(rng.integers(1, 4))
    return replace(
        problem,
        preferences=Preferences(rng.integers(0, 9, (2, problem.kinds)), rng.integers(-1, 2, problem.groups)),
        quotas=Quotas(
            use=rng.integers(0, 3, (quotas, problem.groups)),
            domain=rng.integers(-1, domains, (quotas, problem.kinds)),
            bin_domain=rng.integers(-1, domains, (quotas, len(problem.bins))),
            left=rng.integers(0, 8, (quotas, domains)),
        ),
        rank=rng.integers(0, 3, problem.groups),
    )


def patterns(
    problem: Problem, room: np.ndarray, open_to: np.ndarray, caps: np.ndarray, met: np.ndarray, most: np.ndarray
) -> Iterator[np.ndarray]:
    """Every set of pods that a node with this room may hold, by looking at all of them."""
    ranges = [range(int(most[g]) + 1 if open_to[g] else 1) for g in range(problem.groups)]
    for pods in itertools.product(*ranges):
        row = np.array(pods)
        inside = row > 0
        if (
            (row @ problem.demand <= room).all()
            and (problem.cap_use @ row <= caps).all()
            and not problem.conflict[np.ix_(inside, inside)].any()
            and all(met[n] or inside[problem.needs.member[n]].any() for n, g in enumerate(problem.needs.of) if row[g])
        ):
            yield row


@lru_cache(maxsize=512)
def exact_by_seed(seed: int, limits: bool) -> tuple[int, int]:
    problem = random_problem(seed, limits=limits)
    return exact(problem)


def exact(problem: Problem) -> tuple[int, int]:  # noqa: PLR0912
    """(pods of groups that fit somewhere, least cost of any allowed split of them) by a MIP over all patterns.

    A split may move pods within a family as the problem says; the planner's own split is one of them. The cost is -1
    where bins or limits do not let all of them be placed.
    """
    families = int(problem.family.max()) + 1
    total = np.bincount(problem.family, weights=problem.count, minlength=families)
    most = total[problem.family].astype(int)
    nobody = np.zeros(len(problem.needs.of), bool)
    columns = [
        (int(problem.price[o]), -1, o, row)
        for o in range(problem.kinds)
        for row in patterns(problem, problem.capacity[o], problem.compatible[:, o], problem.cap_limit, nobody, most)
        if row.any()
    ]
    for b, room in enumerate(problem.bins):
        caps, met = problem.bin_cap_left[:, b], problem.needs.met[:, b]
        rows = patterns(problem, room, problem.bin_compatible[:, b], caps, met, most)
        columns += [(0, b, -1, row) for row in rows if row.any()]
    if not columns:
        return 0, 0
    lp = highspy.Highs()
    lp.setOptionValue("output_flag", False)
    # HiGHS has one scheduler for the process: with other threads than the planner's, the planner's programs would fail.
    lp.setOptionValue("threads", 1)
    lp.setOptionValue("mip_rel_gap", 0.0)
    infinite = highspy.kHighsInf
    empty = (0, np.zeros(0, np.int32), np.zeros(0))
    placeable = np.zeros(problem.groups, bool)
    for _, _, _, row in columns:
        placeable |= row > 0
    for g in range(problem.groups):
        lp.addRow(float(problem.sure_count[g]) if placeable[g] else 0.0, infinite, *empty)
    for f in range(families):
        members = problem.family == f
        lp.addRow(float(problem.count[members & placeable].sum()), infinite, *empty)
    for _ in range(len(problem.bins)):
        lp.addRow(-infinite, 1.0, *empty)
    use = np.column_stack([problem.limit_use, np.ones(problem.kinds, int), problem.price])
    limits = [(p, i) for p, i in np.argwhere(problem.pool_left < NO_LIMIT)]
    for p, i in limits:
        lp.addRow(-infinite, float(problem.pool_left[p, i]), *empty)
    for price, b, kind, row in columns:
        entries = {g: float(n) for g, n in enumerate(row) if n}
        for g, n in enumerate(row):
            if n:
                at = problem.groups + int(problem.family[g])
                entries[at] = entries.get(at, 0.0) + float(n)
        if b >= 0:
            entries[problem.groups + families + b] = 1.0
        for at, (p, i) in enumerate(limits):
            if kind >= 0 and problem.pool[kind] == p:
                entries[problem.groups + families + len(problem.bins) + at] = float(use[kind, i])
        index = np.array(list(entries), np.int32)
        lp.addVar(0.0, infinite)
        column = lp.getNumCol() - 1
        lp.changeColCost(column, float(price))
        lp.changeColIntegrality(column, highspy.HighsVarType.kInteger)
        for row_index, value in zip(index, entries.values(), strict=True):
            lp.changeCoeff(int(row_index), column, value)
    lp.run()
    if lp.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return int(problem.count[placeable].sum()), -1
    return int(problem.count[placeable].sum()), round(lp.getObjectiveValue())


@CALM
@given(st.integers(0, 10_000))
def test_the_bound_is_never_above_the_optimum(seed: int) -> None:
    problem = random_problem(seed)
    _, optimum = exact_by_seed(seed, False)
    assume(optimum >= 0)
    for rounds in (1, 2, 30):
        assert lower_bound(problem, Budget(None, rounds)).value <= optimum


@CALM
@given(st.integers(0, 10_000))
def test_plans_hold_and_none_is_below_the_bound_or_the_optimum(seed: int) -> None:
    problem = random_problem(seed)
    result = solve(problem, seed=seed, budget=WORK)
    cost = result.solution.cost(problem)
    assert validate(problem, result.solution) == []
    assert result.lower_bound <= cost
    placed, optimum = exact_by_seed(seed, False)
    missing = int(problem.count.sum()) - placed
    assert int(result.solution.unplaced.sum()) >= missing
    if optimum >= 0 and result.solution.unplaced.sum() == missing:
        assert cost >= optimum >= result.lower_bound


@CALM
@given(st.integers(0, 10_000))
def test_limits_hold_and_the_bound_covers_what_was_placed(seed: int) -> None:
    problem = random_problem(seed, limits=True)
    result = solve(problem, seed=seed, budget=WORK)
    assert validate(problem, result.solution) == []
    assert result.lower_bound <= result.solution.cost(problem)
    _, optimum = exact_by_seed(seed, True)
    if optimum >= 0:  # all pods can be placed within the limits
        assert lower_bound(problem, Budget(None, 30)).value <= optimum


@CALM
@given(st.integers(0, 10_000), st.booleans())
def test_first_fit_holds(seed: int, limits: bool) -> None:
    problem = random_problem(seed, limits=limits)
    assert validate(problem, first_fit(problem)) == []


@settings(CALM, max_examples=40)
@given(st.integers(0, 10_000))
def test_a_plan_in_force_is_never_made_dearer(seed: int) -> None:
    problem = random_problem(seed)
    first = solve(problem, seed=1, budget=WORK).solution
    again = solve(problem, seed=2, budget=Budget(None, 1, 1), warm=first).solution
    assert (int(again.unplaced.sum()), again.cost(problem)) <= (int(first.unplaced.sum()), first.cost(problem))


@settings(CALM, max_examples=100)
@given(st.integers(0, 10_000), st.integers(1, 3000))
def test_the_knapsack_is_bounded_from_above(seed: int, branches: int) -> None:
    problem = random_problem(seed)
    instance = reduce_problem(problem)
    arrays = instance.arrays
    rng = np.random.default_rng(seed)
    value = rng.integers(0, 50, problem.groups).astype(float)
    work = make_work(problem.groups, arrays.demand.shape[1], arrays.caps.shape[1], arrays.met.shape[1])
    for h in range(instance.holders):
        open_to = arrays.allowed[h]
        wanted = problem.demand.max(axis=0, initial=0) > 0
        wanted[-1] = True
        room = np.zeros(3, int)
        room[wanted] = arrays.room[h]
        met = arrays.met[h] > 0
        truth = max(float(row @ value) for row in patterns(problem, room, open_to, arrays.caps[h], met, problem.count))
        mu = np.zeros(arrays.demand.shape[1])
        found, upper = best_pattern(
            arrays, work, arrays.room[h], arrays.caps[h], arrays.met[h], open_to, problem.count, value, mu, 0.0,
            branches, 1e-3, True,
        )  # fmt: skip
        assert found <= truth + 1e-6
        assert upper >= truth - 1e-6
        assert work.pattern @ value == pytest.approx(found)
        for bar in (0.0, 0.7 * truth, truth):
            pattern, worth, above = exact_pattern(instance, h, problem.count, value, mu, bar)
            assert worth == pytest.approx(pattern @ value)
            assert worth == pytest.approx(truth) if truth > bar else worth <= truth + 1e-6
            assert truth - 1e-6 <= above <= max(truth, bar) * (1 + 1e-4) + 1e-6


@CALM
@given(st.integers(0, 10_000), st.booleans())
def test_quotas_hold_and_bounds_hold_beside_preferences(seed: int, limits: bool) -> None:
    problem = with_wishes(random_problem(seed, limits=limits), seed)
    assert validate(problem, first_fit(problem)) == []
    result = solve(problem, seed=seed, budget=WORK)
    assert validate(problem, result.solution) == []
    assert result.lower_bound <= result.solution.cost(problem)


@settings(CALM, max_examples=20)
@given(st.integers(0, 10_000))
def test_the_same_work_gives_the_same_result(seed: int) -> None:
    problem = random_problem(seed)
    one, two = (solve(problem, seed=seed, budget=WORK) for _ in range(2))
    assert (one.solution.node_pods == two.solution.node_pods).all()
    assert (one.solution.node_kind == two.solution.node_kind).all()
    assert (one.lower_bound, one.front, one.generations) == (two.lower_bound, two.front, two.generations)


@settings(CALM, max_examples=20)
@given(st.integers(0, 10_000))
def test_pods_that_fit_nowhere_do_not_keep_others_out(seed: int) -> None:
    # Of nodes there are as many as it takes, of bins not.
    problem = random_problem(seed, bins=0)
    giant = replace(problem, demand=problem.demand.copy())
    giant.demand[0, 0] = 1000
    result = solve(giant, seed=0, budget=WORK)
    assert validate(giant, result.solution) == []
    assert result.solution.unplaced[0] == giant.count[0]
    assert result.solution.unplaced[1:].sum() == np.where(reduce_problem(giant).placeable, 0, giant.count)[1:].sum()


@contextmanager
def few_blocks(settlings: int = settling.SETTLINGS) -> Iterator[None]:
    """What else begins with hundreds of bins: blocks of several, a smaller problem to begin with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settling, "SETTLINGS", settlings)
        patch.setattr(bound, "MOST_BLOCKS", 2)
        patch.setattr(settling, "MOST_BLOCKS", 2)
        patch.setattr(coarse, "BINS", 3)
        patch.setattr(coarse, "PAYS_FROM", 1)
        patch.setattr(columns, "STALLED", 1)
        patch.setattr(columns, "PART", 1.0)
        yield


@CALM
@given(st.integers(0, 10_000))
def test_bins_in_blocks_are_planned_within_the_rules_and_their_bound_is_none_too_high(seed: int) -> None:
    problem = random_problem(seed, bins=6)
    placed, optimum = exact(problem)
    missing = int(problem.count.sum()) - placed
    with few_blocks():
        for rounds in (1, 3, 30):
            assert optimum < 0 or lower_bound(problem, Budget(None, rounds)).value <= optimum
        result = solve(problem, seed=seed, budget=WORK)
    assert validate(problem, result.solution) == []
    assert result.lower_bound <= result.solution.cost(problem)
    if optimum >= 0 and result.solution.unplaced.sum() == missing:
        assert result.solution.cost(problem) >= optimum >= result.lower_bound


@CALM
@given(st.integers(0, 10_000))
def test_bins_that_blocks_leave_open_are_not_filled_with_what_was_for_whole_blocks(seed: int) -> None:
    problem = random_problem(seed, bins=12)
    with few_blocks(settlings=1):
        result = solve(problem, seed=seed, budget=WORK)
    assert validate(problem, result.solution) == []


@settings(CALM, max_examples=20)
@given(st.integers(0, 10_000))
def test_bins_in_blocks_get_the_same_plan_for_the_same_work(seed: int) -> None:
    problem = with_wishes(random_problem(seed, limits=True, bins=8), seed)
    with few_blocks():
        one, two = (solve(problem, seed=seed, budget=WORK) for _ in range(2))
    assert validate(problem, one.solution) == []
    assert (one.solution.node_pods == two.solution.node_pods).all()
    assert (one.solution.bin_pods == two.solution.bin_pods).all()
    assert (one.lower_bound, one.front, one.generations) == (two.lower_bound, two.front, two.generations)
