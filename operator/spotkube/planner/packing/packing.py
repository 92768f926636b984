# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""The most valuable set of pods that one node can hold: a bounded knapsack in several dimensions, by branch and bound.

All compiled. The value of a pod is its dual price, so this is the pricing problem of the column generation; the search
uses it with few branches as a good greedy. What it returns as `upper` is never below the true maximum.
"""

import numpy as np

from spotkube.planner.compiled import compiled, copy
from spotkube.planner.instance import Arrays
from spotkube.planner.packing.balance import balanced
from spotkube.planner.packing.knapsack import branch, exchange
from spotkube.planner.packing.lagrange import SAFE, assign_caps, improve_charges, prepare_bounds
from spotkube.planner.packing.scratch import Work
from spotkube.planner.packing.tables import tabled_bound
from spotkube.planner.problem import BoolArray, FloatArray, IntArray

# A search of so many branches is worth a table first.
TABLE_FROM = 1000
# And one of so many is worth exchanges after it.
POLISH_FROM = 200
# From so many on it is tried first to use up all resources together, and so hard; only once where nothing is polished.
BALANCE_FROM = 50
SHARPNESS = (1.0, 0.5, 2.0)


@compiled
def collect_items(a: Arrays, w: Work, room: IntArray, caps: IntArray, met: IntArray, allowed: BoolArray,
                  stock: IntArray, value: FloatArray) -> int:  # fmt: skip
    """Lists the groups worth packing in w.items with their most pods; returns how many there are."""
    _what_can_be_met(a, w, met, allowed, stock)
    n = 0
    for g in range(len(value)):
        helps = a.help_start[g + 1] > a.help_start[g]
        if (value[g] <= 0.0 and not helps) or stock[g] <= 0 or not allowed[g] or not _has_needs_met(a, w, g):
            continue
        # Worth nothing itself, it may let others in that are: one pod is enough for that.
        most = stock[g] if value[g] > 0.0 else np.int64(1)
        for r in range(room.shape[0]):
            if a.demand[g, r] > 0:
                most = min(most, room[r] // a.demand[g, r])
        for i in range(a.cap_start[g], a.cap_start[g + 1]):
            most = min(most, caps[a.cap_list[i]] // a.cap_use[i])
        if most > 0:
            w.items[n] = g
            w.most[n] = most
            n += 1
    return n


@compiled
def _what_can_be_met(a: Arrays, w: Work, met: IntArray, allowed: BoolArray, stock: IntArray) -> None:
    """Into w.met: what meets each need, or could be packed to meet it."""
    copy(w.met, met)
    if met.shape[0] > 0:
        for g in range(stock.shape[0]):
            if stock[g] > 0 and allowed[g]:
                for i in a.help_list[a.help_start[g] : a.help_start[g + 1]]:
                    w.met[i] += 1


@compiled
def _has_needs_met(a: Arrays, w: Work, g: int) -> bool:
    for i in a.need_list[a.need_start[g] : a.need_start[g + 1]]:  # noqa: SIM110 (compiled)
        if w.met[i] == 0:
            return False
    return True


@compiled
def order_items(a: Arrays, w: Work, n: int, room: IntArray, value: FloatArray, mu: FloatArray) -> None:
    """Sorts the items by value for their size, dearest first, but behind those that meet their needs.

    The size is what mu charges.
    """
    for j in range(n):
        g = w.items[j]
        size = 0.0
        for r in range(room.shape[0]):
            size += mu[r] * a.demand[g, r]
        w.key[j] = value[g] / size if size > 0.0 else np.inf
    for j in range(1, n):  # insertion: nearly sorted from call to call, and stable
        key, g, most = w.key[j], w.items[j], w.most[j]
        i = j - 1
        while i >= 0 and (a.depth[w.items[i]] > a.depth[g] or (a.depth[w.items[i]] == a.depth[g] and w.key[i] < key)):
            w.key[i + 1], w.items[i + 1], w.most[i + 1] = w.key[i], w.items[i], w.most[i]
            i -= 1
        w.key[i + 1], w.items[i + 1], w.most[i + 1] = key, g, most


@compiled
def best_pattern(a: Arrays, w: Work, room: IntArray, caps: IntArray, met: IntArray, allowed: BoolArray,
                 stock: IntArray, value: FloatArray, mu: FloatArray, bar: float, branches: int, last: float,
                 polish: bool) -> tuple[float, float]:  # fmt: skip
    """The most valuable pods of `stock` for this room, into w.pattern; mu [R] is where the bound starts; improved.

    caps [K + Q] is what is left of caps and quotas, met [N] counts what meets each need there already.

    Returns (value, upper), the pattern bettered by exchanges if `polish`: upper is at least the true maximum, or, when
    no pattern exceeds `bar`, at least that or at most `bar`.
    """
    w.pattern[:] = 0
    n = collect_items(a, w, room, caps, met, allowed, stock, value)
    if n == 0:
        return 0.0, 0.0
    assign_caps(a, w, n, caps)
    root = improve_charges(a, w, n, room, caps, value, mu, bar, last) * SAFE
    if root <= bar:
        return 0.0, root
    order_items(a, w, n, room, value, mu)
    prepare_bounds(a, w, n, room, caps, value, mu)
    counted = np.int64(-1)
    if branches >= TABLE_FROM:
        counted, tabled = tabled_bound(a, w, n, room, value, mu, bar / SAFE)
        root = min(root, tabled * SAFE)
        if root <= bar:
            return 0.0, root
    best = 0.0
    if branches >= BALANCE_FROM:
        for i in range(len(SHARPNESS) if polish else 1):
            best = balanced(a, w, n, room, caps, met, value, mu, SHARPNESS[i], best)
    best, upper = branch(a, w, n, room, caps, met, value, mu, best, bar, branches, counted)
    if best < upper and polish:
        best = exchange(a, w, n, room, caps, met, value, best)
    return best, min(root, max(best, upper))


@compiled
def price_holders(a: Arrays, w: Work, holders: IntArray, stock: IntArray, value: FloatArray, mu: FloatArray,
                  bars: FloatArray, branches: int, last: float, patterns: IntArray, found: FloatArray,
                  upper: FloatArray) -> None:  # fmt: skip
    """best_pattern for each holder listed: fills rows of patterns [n, G], found [n] and upper [n]; mu is [H, R]."""
    for i in range(len(holders)):
        h = holders[i]
        found[i], upper[i] = best_pattern(
            a,
            w,
            a.room[h],
            a.caps[h],
            a.met[h],
            a.allowed[h],
            stock,
            value,
            mu[h],
            bars[i],
            branches,
            last,
            branches >= POLISH_FROM,
        )
        copy(patterns[i], w.pattern)
