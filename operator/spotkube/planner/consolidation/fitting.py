# mypy: disable-error-code="arg-type, assignment, return-value"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""Packs pods into what is free on nodes: first-fit decreasing, into the fullest nodes first."""

import numpy as np

from spotkube.planner.compiled import compiled
from spotkube.planner.problem import BoolArray, FloatArray, IntArray


@compiled
def fit(
    order: IntArray,
    count: IntArray,
    free: IntArray,
    allowed: BoolArray,
    demand: IntArray,
    conflict: BoolArray,
    cap_use: IntArray,
    caps: IntArray,
    scale: FloatArray,
) -> None:
    """Takes what finds room off `count` [G], `free` [B, R] and `caps` [K, B].

    Args:
        order: the groups, in which they are packed.
        allowed: [G, B] where a group may go at all.
        demand, conflict, cap_use: as in Problem.
        scale: [R] by which amounts of unlike resources are added up.
    """
    bins = len(free)
    inside = np.zeros((bins, len(count)), np.bool_)
    room = np.zeros(bins, np.int64)
    space = np.zeros(bins)
    for g in order:
        if count[g] <= 0:
            continue
        for b in range(bins):
            room[b] = _fits(g, b, free, allowed, demand, conflict, cap_use, caps, inside)
            space[b] = 0.0
            for r in range(len(scale)):
                space[b] += free[b, r] / scale[r]
        while count[g] > 0:
            best = -1
            for b in range(bins):
                if room[b] > 0 and (best < 0 or space[b] < space[best]):
                    best = b
            if best < 0:
                break
            takes = min(room[best], count[g])
            for r in range(len(scale)):
                free[best, r] -= takes * demand[g, r]
            for k in range(len(cap_use)):
                caps[k, best] -= takes * cap_use[k, g]
            inside[best, g] = True
            room[best] = 0
            count[g] -= takes


@compiled
def _fits(
    g: int,
    b: int,
    free: IntArray,
    allowed: BoolArray,
    demand: IntArray,
    conflict: BoolArray,
    cap_use: IntArray,
    caps: IntArray,
    inside: BoolArray,
) -> int:
    """How many more pods of the group the bin takes."""
    if not allowed[g, b]:
        return 0
    for other in range(len(conflict)):
        if conflict[g, other] and inside[b, other]:
            return 0
    room = np.int64(2**62)
    for r in range(demand.shape[1]):
        if demand[g, r] > 0:
            room = min(room, free[b, r] // demand[g, r])
    for k in range(len(cap_use)):
        if cap_use[k, g] > 0:
            room = min(room, caps[k, b] // cap_use[k, g])
    return max(room, np.int64(0))
