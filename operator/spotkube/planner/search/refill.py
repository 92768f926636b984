# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""Packs pods that remain: onto nodes that have room, and onto new ones. All compiled."""

import numpy as np

from spotkube.planner.compiled import compiled, copy
from spotkube.planner.instance import Arrays
from spotkube.planner.packing.packing import best_pattern
from spotkube.planner.packing.scratch import Work
from spotkube.planner.problem import NO_LIMIT, FloatArray, IntArray
from spotkube.planner.reduced.nodes import affordable, copy_row, place, put
from spotkube.planner.reduced.rules import caps_now, met_now
from spotkube.planner.reduced.state import Nodes

# No search for a tighter bound: the charges at hand only order the pods.
NO_SEARCH = 1.0
# What is left of a pod's worth at least, however few of its preferences are met: it has to be packed somewhere.
LEAST_WORTH = 0.1
ONE = np.int64(1)
MANY = np.int64(NO_LIMIT)


@compiled
def pack_rest(a: Arrays, w: Work, s: Nodes, best: IntArray, holders: IntArray, value: FloatArray, risk_price: float,
              mu: FloatArray, branches: int) -> None:  # fmt: skip
    """Places the pods that remain: on bins at hand, then on the kinds that give most worth for their price.

    Args:
        best: [G] scratch.
        holders: the holders to choose from; the first of equals wins.
        value: [G] what a pod is worth, > 0.
        risk_price: how often the expected cost of interruptions counts.
        mu: [H, R] where each holder's bound starts; not changed.
    """
    while True:
        best_holder = best_node(a, w, s, best, holders, value, risk_price, mu, branches, False)
        if best_holder < 0 or place(a, s, best_holder, best, MANY) == 0:
            return


@compiled
def best_node(a: Arrays, w: Work, s: Nodes, best: IntArray, holders: IntArray, value: FloatArray, risk_price: float,
               mu: FloatArray, branches: int, whatever_it_costs: bool) -> int:  # fmt: skip
    """The holder of the node to buy next, its pods in `best`; -1 for none.

    It is the one that gives most worth for its price, or else the one with the most worth less its price.
    """
    worth = np.empty_like(value)
    charges = np.empty(mu.shape[1])
    unmet = a.unmet.shape[0] > 0
    best_score, best_holder = 0.0, np.int64(-1)
    for h in holders:
        if affordable(a, s, h, ONE) < 1:
            continue
        penalty = risk_price * a.risk[h]
        for g in range(value.shape[0]):
            worth[g] = value[g] - penalty * a.restart[g] if s.remain[g] > 0 else 0.0
            if unmet and worth[g] > 0.0:
                worth[g] = max(worth[g] - a.unmet[h, g], LEAST_WORTH * worth[g])
        price = max(a.price[h], 1.0)
        bar = best_score + price if whatever_it_costs else best_score * price
        copy(charges, mu[h])
        found, _ = best_pattern(
            a, w, a.room[h], caps_now(a, s, h, a.caps[h]), a.met[h], a.allowed[h], s.remain, worth, charges, bar,
            branches, NO_SEARCH, False,
        )  # fmt: skip
        if found > bar:
            best_score, best_holder = found - price if whatever_it_costs else found / price, h
            copy(best, w.pattern)
    return best_holder


@compiled
def fill_gaps(a: Arrays, w: Work, s: Nodes, value: FloatArray, mu: FloatArray, branches: int) -> None:
    """Puts pods that remain onto nodes that have room for them; a node that changes becomes a row of its own."""
    charges = np.empty(mu.shape[1])
    for row in range(s.rows[0]):
        if s.times[row] == 0:
            continue
        if not _joinable(a, s, row):
            continue
        h = s.holder[row]
        copy(charges, mu[h])
        found, _ = best_pattern(
            a, w, s.room[row], caps_now(a, s, h, s.cap_left[row]), met_now(a, s, row), s.open, s.remain, value, charges,
            0.0, branches, NO_SEARCH, False,
        )  # fmt: skip
        if found <= 0.0:
            continue
        new = _take_one(a, s, row)
        if new < 0:
            return
        for g in range(value.shape[0]):
            if w.pattern[g] > 0:
                put(a, s, new, g, w.pattern[g])


@compiled
def _joinable(a: Arrays, s: Nodes, row: int) -> bool:
    """Sets s.open to the groups of which a pod may join the row; whether there is any."""
    some = False
    for g in range(s.remain.shape[0]):
        s.open[g] = False
        if s.remain[g] <= 0 or not a.allowed[s.holder[row], g]:
            continue
        ok = True
        for r in range(s.room.shape[1]):
            if a.demand[g, r] > s.room[row, r]:
                ok = False
                break
        if not ok:
            continue
        for f in a.foe_list[a.foe_start[g] : a.foe_start[g + 1]]:
            if s.pods[row, f] > 0:
                ok = False
        if ok:
            s.open[g] = True
            some = True
    return some


@compiled
def _take_one(a: Arrays, s: Nodes, row: int) -> int:
    """A copy of one node of the row as a new row, in its place; noted as a cut so that it can be undone."""
    new = s.rows[0]
    if new >= s.holder.shape[0] or s.cuts[0] >= s.cut.shape[0]:
        return -1
    s.rows[0] += 1
    s.times[row] -= 1
    copy_row(s, new, row)
    s.times[new] = 1
    s.cut[s.cuts[0]] = row
    s.cuts[0] += 1
    return new
