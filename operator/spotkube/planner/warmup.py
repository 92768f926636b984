"""Compiles everything the planner runs, on a problem of a handful of pods, so that no decision waits for it."""

import time

import numpy as np

from spotkube.planner.consolidation.fitting import fit
from spotkube.planner.problem import NO_LIMIT, Budget, Needs, Preferences, Problem, Quotas, Risk
from spotkube.planner.search.solve import solve

# Enough to breed after the dives, with each kind of child.
WORK = Budget(seconds=None, column_rounds=3, generations=20)


def warm_up() -> float:
    """Returns the seconds it took: about two minutes the first time, a second where the code was kept on disk."""
    started = time.perf_counter()
    problem = small_problem()
    first = solve(problem, seed=0, budget=WORK)
    solve(problem, seed=0, budget=WORK, warm=first.solution)
    fit(
        np.arange(problem.groups), problem.count.copy(), problem.bins.copy(), problem.bin_compatible, problem.demand,
        problem.conflict, problem.cap_use, problem.bin_cap_left.copy(), np.ones(len(problem.resources)),
    )  # fmt: skip
    return time.perf_counter() - started


def small_problem() -> Problem:
    """Three groups, three kinds, a bin, and one of each rule that there is."""
    pool_left = np.full((1, 4), NO_LIMIT, np.int64)
    pool_left[0, 2] = 40
    return Problem(
        resources=("cpu", "pods"),
        group_names=("large", "small", "alone"),
        demand=np.array([[900, 1], [300, 1], [200, 1]]),
        count=np.array([7, 20, 3]),
        family=np.array([0, 1, 1]),
        sure_count=np.array([7, 18, 1]),
        capacity=np.array([[1900, 8], [3900, 16], [7900, 29]]),
        limit_use=np.array([[1900, 8], [3900, 16], [7900, 29]]),
        price=np.array([30_000, 55_000, 120_000]),
        pool=np.array([0, 0, 0]),
        compatible=np.array([[True, True, True], [True, False, True], [True, True, True]]),
        bins=np.array([[1000, 4]]),
        bin_compatible=np.array([[True], [True], [False]]),
        conflict=np.array([[False, False, True], [False, False, False], [True, False, False]]),
        cap_use=np.array([[0, 0, 1]]),
        cap_limit=np.array([1]),
        bin_cap_left=np.array([[1]]),
        pool_left=pool_left,
        needs=Needs(np.array([1]), np.array([[True, False, False]]), np.array([[True]])),
        preferences=Preferences(np.array([[900, 0, 0]]), np.array([-1, 0, -1])),
        quotas=Quotas(np.array([[0, 0, 1]]), np.array([[0, 0, 1]]), np.array([[-1]]), np.array([[2, 5]])),
        rank=np.array([1, 0, 0]),
        risk=Risk(
            rate=np.array([2e-4, 1e-4]),
            spot_pool=np.array([0, 1, -1]),
            bin_pool=np.array([-1]),
            there=np.array([0, 1]),
            there_cost=1.0,
            restart=np.array([5_000.0, 2_000.0, 1_000.0]),
            heads=np.array([1, 1, 2]),
        ),
    )
