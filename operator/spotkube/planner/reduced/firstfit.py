# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""First-fit decreasing: what most autoscalers do. The baseline, and the first seed of the search."""

import numpy as np

from spotkube.planner.compiled import compiled
from spotkube.planner.instance import Arrays, Instance
from spotkube.planner.problem import FloatArray, IntArray, Problem, Solution
from spotkube.planner.reduced.expand import rows_needed, to_solution
from spotkube.planner.reduced.nodes import affordable, append, fits_empty, fits_on, put, split
from spotkube.planner.reduced.reduction import reduce_problem
from spotkube.planner.reduced.rules import quota_room
from spotkube.planner.reduced.state import Nodes, make_nodes


def first_fit(problem: Problem) -> Solution:
    """Groups from the largest to the smallest, each into the first bins and nodes with room, then into new nodes.

    A new node is of the kind that costs least for each pod of the group that it would take.
    """
    instance = reduce_problem(problem)
    return to_solution(instance, first_fit_nodes(instance))


def first_fit_nodes(instance: Instance, *, safest: bool = False) -> Nodes:
    """The same for a reduced problem, as rows; or with those kinds only that are never interrupted.

    Where limits leave no room for all, the most important groups come first, whatever their size.
    """
    arrays, size = instance.arrays, _size(instance)
    nodes = _filled(instance, np.lexsort((-size, arrays.depth)), safest=safest)
    if (nodes.remain[instance.placeable] > 0).any() and np.ptp(arrays.weight):
        nodes = _filled(instance, np.lexsort((-size, arrays.depth, -arrays.weight)), safest=safest)
    return nodes


def _filled(instance: Instance, order: IntArray, *, safest: bool) -> Nodes:
    """The groups in that order; those that others need beside them must come before these."""
    nodes = make_nodes(instance, rows_needed(instance))
    bins = np.flatnonzero(instance.kind_of < 0)
    kinds = instance.kind_of >= 0
    if safest:
        kinds &= instance.arrays.risk == 0
    _fill(instance.arrays, nodes, order, bins, np.flatnonzero(kinds))
    return nodes


def _size(instance: Instance) -> FloatArray:
    """[G] the largest share that a pod takes of any resource of the largest kind."""
    largest = np.maximum(instance.arrays.room.max(axis=0, initial=0), 1)
    return (instance.arrays.demand.astype(np.float64) / largest).max(axis=1, initial=0.0)


@compiled
def _fill(a: Arrays, s: Nodes, order: IntArray, bins: IntArray, kinds: IntArray) -> None:
    for h in bins:
        append(a, s, h, s.stock[h])
    for g in order:
        for row in range(s.rows[0]):
            if s.remain[g] <= 0:
                break
            _put_on_row(a, s, row, g)
        while s.remain[g] > 0 and _open(a, s, g, kinds):
            pass
    for row in range(s.rows[0]):
        used = False
        for g in order:
            used = used or s.pods[row, g] > 0
        if not used:
            s.stock[s.holder[row]] += s.times[row]
            s.times[row] = 0


@compiled
def _put_on_row(a: Arrays, s: Nodes, row: int, g: int) -> None:
    """Fills the nodes of a row one after the other; the last one may take fewer."""
    pods = quota_room(a, s, s.holder[row], g, s.remain[g])
    each = fits_on(a, s, row, g, pods)
    if each <= 0:
        return
    full = min(s.times[row], pods // each)
    rest = min(pods - full * each, each) if full < s.times[row] else np.int64(0)
    if full < s.times[row] and rest > 0:
        part = split(s, row, np.int64(1))
        if part >= 0:
            put(a, s, part, g, rest)
        if part == row:
            return
    if full > 0:
        some = split(s, row, full)
        if some >= 0:
            put(a, s, some, g, each)


@compiled
def _open(a: Arrays, s: Nodes, g: int, kinds: IntArray) -> bool:
    """Opens nodes for what is left of the group; whether it could."""
    best, best_each = np.int64(-1), np.int64(0)
    for h in kinds:
        each = fits_empty(a, h, g, quota_room(a, s, h, g, s.remain[g]))
        if (
            each > 0
            and affordable(a, s, h, np.int64(1)) > 0
            and (best < 0 or a.price[h] * best_each < a.price[best] * each)
        ):
            best, best_each = h, each
    if best < 0:
        return False
    nodes = quota_room(a, s, best, g, s.remain[g]) // best_each
    row = append(a, s, best, affordable(a, s, best, nodes))
    if row < 0:
        return False
    put(a, s, row, g, best_each)
    return True
