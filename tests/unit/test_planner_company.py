"""Pods that may only run beside others: the search finds the company that packing by worth alone would miss."""

import numpy as np

from spotkube.planner.problem import NO_LIMIT, Budget, Needs, Problem
from spotkube.planner.search.solve import solve

NOTHING = np.zeros((0, 0), int)


def test_all_that_need_one_pod_come_to_its_node() -> None:
    """One pod (100m) that both "large" (700m) and two "small" (400m) need; three others (900m) fill what is left.

    By worth for its price the company goes onto the cheapest node, with only a part of those who need it.
    """
    groups = 4
    problem = Problem(
        resources=("cpu", "pods"),
        group_names=("company", "large", "small", "others"),
        demand=np.array([[100, 1], [700, 1], [400, 1], [900, 1]]),
        count=np.array([1, 1, 2, 3]),
        family=np.arange(groups),
        sure_count=np.array([1, 1, 2, 3]),
        capacity=np.array([[1000, 8], [3000, 8], [3700, 8]]),
        limit_use=np.zeros((3, 2), int),
        price=np.array([39_513, 91_124, 117_767]),
        pool=np.zeros(3, int),
        compatible=np.ones((groups, 3), bool),
        bins=np.zeros((0, 2), int),
        bin_compatible=np.zeros((groups, 0), bool),
        conflict=np.zeros((groups, groups), bool),
        cap_use=np.zeros((0, groups), int),
        cap_limit=np.zeros(0, int),
        bin_cap_left=NOTHING,
        pool_left=np.full((1, 4), NO_LIMIT),
        needs=Needs(np.array([2, 1]), np.array([[True, False, False, False]] * 2), np.zeros((2, 0), bool)),
    )
    result = solve(problem, seed=0, budget=Budget(seconds=None, column_rounds=4, generations=80))
    assert result.solution.unplaced.tolist() == [0, 0, 0, 0]
    [home] = np.flatnonzero(result.solution.node_pods[:, 0])
    assert result.solution.node_pods[home, :3].tolist() == [1, 1, 2]
