"""The fluid's prices: which kinds they are made from, and what they prove at once."""

from dataclasses import replace

import numpy as np
from test_planner_core_solve import make_problem

from spotkube.planner.problem import Budget, Problem
from spotkube.planner.reduced.reduction import reduce_problem
from spotkube.planner.relaxation.bound import lower_bound
from spotkube.planner.relaxation.fluid import telling_kinds

CORES = (2, 4, 8, 16)


def families() -> Problem:
    """Two families of four sizes each, the second a little dearer; the last kind of it is for sale at half price."""
    capacity = [1000 * cores - 100 for cores in CORES] * 2
    price = [100 * cores for cores in CORES] + [110 * cores for cores in CORES[:-1]] + [55 * CORES[-1]]
    problem = make_problem([300, 700, 450, 1250, 90], [90, 50, 80, 20, 200], capacity, price)
    problem.capacity[:, 1] = [10 * cores for cores in CORES] * 2
    return problem


def test_however_little_time_there_is_the_bound_is_near() -> None:
    problem = families()
    far = lower_bound(problem, Budget(seconds=None, column_rounds=60))
    assert far.value * 0.95 <= lower_bound(problem, Budget(seconds=0.0)).value <= far.value


def test_one_size_speaks_for_all_that_hold_little_more_or_less_for_their_price() -> None:
    problem = families()
    instance = reduce_problem(problem)
    kinds, like = telling_kinds(instance)
    assert instance.kind_of[kinds].tolist() == [7]
    assert set(like[np.flatnonzero(instance.arrays.lean)]) == set(kinds)


def test_a_kind_speaks_only_for_kinds_that_are_open_to_nobody_else() -> None:
    problem = families()
    problem.compatible[0, 7] = False
    instance = reduce_problem(problem)
    kinds, like = telling_kinds(instance)
    allowed = instance.arrays.allowed
    assert len(kinds) == 2
    assert all((allowed[like[holder]] >= allowed[holder]).all() for holder in np.flatnonzero(instance.arrays.lean))


def test_where_a_node_takes_one_pod_of_a_group_large_nodes_do_not_speak_for_small_ones() -> None:
    """All pods of a group apart: what is worth paying for them is a smallest node each, not a part of a large one."""
    problem = families()
    apart = np.eye(problem.groups, dtype=np.int64)
    capped = replace(
        problem,
        cap_use=apart,
        cap_limit=np.ones(problem.groups, np.int64),
        bin_cap_left=np.zeros((problem.groups, 0), np.int64),
    )
    kinds, _ = telling_kinds(reduce_problem(capped))
    assert 0 in reduce_problem(capped).kind_of[kinds]
    far = lower_bound(capped, Budget(seconds=None, column_rounds=60))
    assert far.value * 0.95 <= lower_bound(capped, Budget(seconds=0.0)).value <= far.value
