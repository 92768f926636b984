"""After the warm-up no decision waits for a compiler."""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from numba.core.dispatcher import Dispatcher

from spotkube.planner.problem import NO_LIMIT, Budget, Problem, Risk
from spotkube.planner.search.solve import solve
from spotkube.planner.warmup import warm_up


def compiled_versions() -> dict[str, int]:
    """How many versions of each compiled function of the planner there are by now."""
    modules = [module for name, module in sys.modules.items() if name.startswith("spotkube.planner.")]
    functions = [value for module in modules for value in vars(module).values() if isinstance(value, Dispatcher)]
    return {f"{each.py_func.__module__}.{each.__name__}": len(each.signatures) for each in functions}


def before_and_after() -> tuple[dict[str, int], dict[str, int]]:
    warm_up()
    before = compiled_versions()
    solve(plain_problem(), seed=0, budget=Budget(seconds=None, column_rounds=5, generations=60, branch_programs=20))
    return before, compiled_versions()


def test_nothing_is_compiled_after_the_warm_up() -> None:
    # In a process of its own, since other tests have had much compiled in this one.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        before, after = process.submit(before_and_after).result()
    assert after == before
    assert before["spotkube.planner.search.flock.breed"] == 1


def plain_problem() -> Problem:
    """Two groups, two kinds, and none of the rules that the warm-up's own problem has."""
    nothing = np.zeros((0, 2), np.int64)
    return Problem(
        resources=("cpu", "pods"),
        group_names=("large", "small"),
        demand=np.array([[900, 1], [350, 1]]),
        count=np.array([9, 21]),
        family=np.array([0, 1]),
        sure_count=np.array([9, 21]),
        capacity=np.array([[1900, 8], [3900, 16]]),
        limit_use=np.array([[1900, 8], [3900, 16]]),
        price=np.array([30_000, 55_000]),
        pool=np.array([0, 0]),
        compatible=np.ones((2, 2), np.bool_),
        bins=nothing,
        bin_compatible=np.zeros((2, 0), np.bool_),
        conflict=np.zeros((2, 2), np.bool_),
        cap_use=nothing,
        cap_limit=np.zeros(0, np.int64),
        bin_cap_left=np.zeros((0, 0), np.int64),
        pool_left=np.full((1, 4), NO_LIMIT, np.int64),
        risk=Risk(
            rate=np.array([1e-4]),
            spot_pool=np.array([0, -1]),
            bin_pool=np.zeros(0, np.int64),
            there=np.array([0]),
            there_cost=0.0,
            restart=np.array([5e3, 2e3]),
            heads=np.ones(2, np.int64),
        ),
    )
