# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""Fills a node pod by pod so that all its resources run out together: nearly the best pattern in a tenth of a
millisecond. All compiled.

Depth-first search alone takes as many as fit of the group that is worth most for its size, and is then short of one
resource while another is left over. Good patterns mix groups that need much of one with groups that need much of
another.
"""

import numpy as np

from spotkube.planner.compiled import compiled
from spotkube.planner.instance import Arrays
from spotkube.planner.packing.knapsack import clear, fit_more, take
from spotkube.planner.packing.scratch import Work
from spotkube.planner.problem import FloatArray, IntArray

# What a resource counts at least, as a part of all charges: one that costs nothing now may still run out.
LEAST_SHARE = 0.02
# A part of the node, so that nothing is divided by zero when a resource is used up.
LITTLE, TINY = 1e-3, 1e-300
# Of the pods that fit one in so many is taken at a time.
PARTS = 8


@compiled
def balanced(a: Arrays, w: Work, n: int, room: IntArray, caps: IntArray, met: IntArray, value: FloatArray,
             mu: FloatArray, sharpness: float, best: float) -> float:  # fmt: skip
    """Always some of the pods worth most for their size, at charges mu that rise for what is shorter than the rest.

    The higher the `sharpness`, the more they rise. Better patterns than one worth `best` go into w.pattern; returns
    what is best then.
    """
    clear(w, n, room, caps, met)
    worth = 0.0
    while True:
        _charges(w, room, mu, sharpness)
        most, item, fitting = 0.0, -1, np.int64(0)
        for j in range(n):
            size = _size(a, w, w.items[j])
            if value[w.items[j]] > most * size:
                pods = fit_more(a, w, j)
                if pods > 0:
                    most, item, fitting = value[w.items[j]] / max(size, TINY), j, pods
        if item < 0:
            break
        pods = max(fitting // PARTS, np.int64(1))
        take(a, w, item, pods)
        worth += pods * value[w.items[item]]
    if worth > best:
        best = worth
        w.pattern[:] = 0
        for j in range(n):
            w.pattern[w.items[j]] = w.chosen[j]
    return best


@compiled
def _charges(w: Work, room: IntArray, mu: FloatArray, sharpness: float) -> None:
    """Into w.trial: what a unit of each resource is charged now."""
    total, left = 0.0, 0.0
    for r in range(room.shape[0]):
        total += mu[r] * room[r]
        left += mu[r] * w.left[r]
    part = left / total if total > 0.0 else 1.0
    for r in range(room.shape[0]):
        w.trial[r] = 0.0
        if room[r] > 0:
            share = mu[r] * room[r] + LEAST_SHARE * max(total, LITTLE)
            scarcity = (part + LITTLE) / (w.left[r] / room[r] + LITTLE)
            w.trial[r] = share / room[r] * scarcity**sharpness


@compiled
def _size(a: Arrays, w: Work, g: int) -> float:
    size = 0.0
    for r in range(w.trial.shape[0]):
        size += w.trial[r] * a.demand[g, r]
    return size
