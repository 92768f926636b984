# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""A sharper bound for the knapsack: one resource counted in whole pods by dynamic programming, the others charged.

The Lagrangian bound of `packing` lets the last pod be cut in pieces. Where pods are large for a node that is far too
much; this one cuts none along the resource it counts. Its table also bounds every branch: what items j and later add.
All compiled.
"""

import numpy as np

from spotkube.planner.compiled import compiled, copy
from spotkube.planner.instance import Arrays
from spotkube.planner.packing.scratch import Work
from spotkube.planner.problem import FloatArray, IntArray

# The table's charges are improved by steps from this part of the bound down to that.
FIRST_STEP, LAST_STEP = 0.004, 0.0005
# Cells of a row at most. More would sharpen the bound a little where demands have no common unit.
WIDEST = 1024


@compiled
def unit_of(a: Arrays, w: Work, n: int, r: int, room: int) -> int:
    """The unit of resource r in which all demands are whole, or, if the table had no space, a larger one."""
    unit = np.int64(0)
    for j in range(n):
        one, other = unit, a.demand[w.items[j], r]
        while other > 0:
            one, other = other, one % other
        unit = one
    if unit == 0:
        return 0
    rows = min(WIDEST, w.table.shape[0] // (n + 1))
    cells = room // unit + 1
    return unit * (-(-cells // rows)) if cells > rows else unit


@compiled
def fill_table(a: Arrays, w: Work, n: int, r: int, unit: int, room: IntArray, value: FloatArray, mu: FloatArray,
               keep: bool) -> float:  # fmt: skip
    """Upper bound on any pattern's value, resource r counted in units and the others charged mu.

    With `keep` row j of w.table is what items j.. add at most for each room of r; else only row 0 is made.
    """
    width = room[r] // unit + 1
    base = n * width if keep else 0
    for c in range(width):
        w.table[base + c] = 0.0
    for j in range(n - 1, -1, -1):
        if keep:
            for c in range(width):
                w.table[base - width + c] = w.table[base + c]
            base -= width
        g = w.items[j]
        gain = value[g]
        for other in range(room.shape[0]):
            if other != r:
                gain -= mu[other] * a.demand[g, other]
        if gain > 0.0:
            _add_item(w, base, width, a.demand[g, r] // unit, w.most[j], gain)
    bound = w.table[width - 1]
    for other in range(room.shape[0]):
        if other != r:
            bound += mu[other] * room[other]
    return bound


@compiled
def _add_item(w: Work, base: int, width: int, size: int, most: int, gain: float) -> None:
    """Up to `most` pods more for every room of a row, in parcels of 1, 2, 4, ...: any number is a sum of parcels."""
    if size == 0:
        for c in range(width):
            w.table[base + c] += most * gain
        return
    left = min(most, (width - 1) // size)
    parcel = np.int64(1)
    while left > 0:
        pods = min(parcel, left)
        step, plus = pods * size, pods * gain
        for c in range(base + width - 1, base + step - 1, -1):
            w.table[c] = max(w.table[c], w.table[c - step] + plus)
        left -= pods
        parcel *= 2


@compiled
def tabled_bound(
    a: Arrays, w: Work, n: int, room: IntArray, value: FloatArray, mu: FloatArray, bar: float
) -> tuple[int, float]:
    """Chooses the resource to count and the charges, into w.table_mu, and fills the table.

    Returns (resource, bound); the resource is -1 if there is none to count.
    """
    best, counted = np.inf, np.int64(-1)
    for r in range(room.shape[0]):
        unit = unit_of(a, w, n, r, room[r])
        if unit > 0:
            bound = fill_table(a, w, n, r, unit, room, value, mu, False)
            if bound < best:
                best, counted = bound, r
    if counted < 0:
        return counted, best
    unit = unit_of(a, w, n, counted, room[counted])
    copy(w.table_mu, mu)
    step = FIRST_STEP
    while step >= LAST_STEP and best > bar:
        improved = False
        for r in range(room.shape[0]):
            for sign in (-1.0, 1.0):
                if r == counted or room[r] <= 0:
                    continue
                before = w.table_mu[r]
                w.table_mu[r] = max(0.0, before + sign * step * best / room[r])
                bound = fill_table(a, w, n, counted, unit, room, value, w.table_mu, False)
                if bound < best * (1.0 - 1e-12):
                    best = bound
                    improved = True
                else:
                    w.table_mu[r] = before
        if not improved:
            step *= 0.5
    w.table_unit[0] = unit
    w.table_width[0] = room[counted] // unit + 1
    return counted, fill_table(a, w, n, counted, unit, room, value, w.table_mu, True)
