# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""Ruin and recreate: takes a few nodes away and packs their pods anew, guided by what the duals say pods are worth.

All compiled. A change is kept when it makes the plan no worse; else it is undone without a trace.
"""

import numpy as np

from spotkube.planner.compiled import compiled, copy
from spotkube.planner.instance import Arrays, FloatArray
from spotkube.planner.nodes import affordable, charge, copy_row, keep_left, place, put, set_left, tidy, worth_of
from spotkube.planner.packing import best_pattern
from spotkube.planner.problem import NO_LIMIT, IntArray
from spotkube.planner.rules import caps_now, count_quotas, met_now
from spotkube.planner.scoring import lacking, pods_on, unmet_on
from spotkube.planner.scratch import Work
from spotkube.planner.state import Left, Nodes

# Branches spent on one node while a plan is rebuilt. (Typed: numba would compile once more for a literal.)
BRANCHES = np.int64(40)
# No search for a tighter bound: the charges at hand only order the pods.
NO_SEARCH = 1.0
# How often pods are tried on nodes with room first: it takes long.
GAPS = 0.35
# A step looks at the most promising holders, and at each other with this chance.
PROMISING, CHANCE = 12, 0.3
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
        risk_price: micro-dollars that an expected interruption costs.
        mu: [H, R] where each holder's bound starts; not changed.
    """
    worth = np.empty_like(value)
    charges = np.empty(mu.shape[1])
    unmet = a.unmet.shape[0] > 0
    while True:
        best_rate, best_holder = 0.0, np.int64(-1)
        for h in holders:
            if affordable(a, s, h, ONE) < 1:
                continue
            penalty = risk_price * a.risk[h] / 100.0
            for g in range(value.shape[0]):
                worth[g] = value[g] - penalty if s.remain[g] > 0 else 0.0
                if unmet and worth[g] > 0.0:
                    worth[g] = max(worth[g] - a.unmet[h, g], LEAST_WORTH * worth[g])
            price = max(a.price[h], 1.0)
            bar = best_rate * price
            copy(charges, mu[h])
            found, _ = best_pattern(
                a, w, a.room[h], caps_now(a, s, h, a.caps[h]), a.met[h], a.allowed[h], s.remain, worth, charges, bar,
                branches, NO_SEARCH, False,
            )  # fmt: skip
            if found > bar:
                best_rate, best_holder = found / price, h
                copy(best, w.pattern)
        if best_holder < 0 or place(a, s, best_holder, best, MANY) == 0:
            return


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


@compiled
def remove_one(a: Arrays, s: Nodes, row: int) -> None:
    """Takes one node of the row away; its pods remain to be placed."""
    s.times[row] -= 1
    for g in range(s.remain.shape[0]):
        if s.pods[row, g] > 0:
            s.remain[g] += s.pods[row, g]
            count_quotas(a, s, s.holder[row], g, -s.pods[row, g])
    charge(a, s, s.holder[row], -ONE)
    s.cut[s.cuts[0]] = row
    s.cuts[0] += 1


@compiled
def wasteful_row(a: Arrays, s: Nodes, value: FloatArray, tries: int) -> int:
    """Of so many random rows the one whose nodes are least worth their price; -1 if none was found."""
    best, best_rate = np.int64(-1), np.inf
    for _ in range(tries):
        row = np.random.randint(0, s.rows[0])
        if s.times[row] == 0:
            continue
        rate = worth_of(s, row, value) / max(a.price[s.holder[row]], 1.0)
        if rate < best_rate:
            best, best_rate = row, rate
    return best


@compiled
def rows_score(a: Arrays, s: Nodes, first: int, last: int, risk_price: float) -> float:
    """Cost with risk of the rows from first to last - 1, each counted `times`."""
    total = 0.0
    for row in range(first, last):
        total += s.times[row] * node_score(a, s, row, risk_price)
    return total


@compiled
def node_score(a: Arrays, s: Nodes, row: int, risk_price: float) -> float:
    """Micro-dollars an hour of one node of the row, with what unmet preferences and interruptions cost."""
    h = s.holder[row]
    cost = a.price[h] + unmet_on(a, s, row, h)
    if risk_price > 0.0 and a.risk[h] > 0:
        cost += risk_price * pods_on(s, row) * a.risk[h] / 100.0
    return cost


@compiled
def _ruin(a: Arrays, s: Nodes, value: FloatArray, risk_price: float, nodes: int) -> float:
    """Takes about so many nodes away, rather those that are worth little for their price; what they cost."""
    cost = 0.0
    for _ in range(nodes):
        row = wasteful_row(a, s, value, 1 + np.random.randint(0, 4))
        if row >= 0:
            cost += node_score(a, s, row, risk_price)
            remove_one(a, s, row)
    return cost


@compiled
def _some_holders(holders: IntArray, some: IntArray) -> int:
    """Fills `some` with the most promising holders and a random part of the others; how many they are."""
    few = 0
    for i in range(len(holders)):
        if i < PROMISING or np.random.random() < CHANCE:
            some[few] = holders[i]
            few += 1
    return few


@compiled
def improve(a: Arrays, w: Work, s: Nodes, best: IntArray, holders: IntArray, value: FloatArray, risk_price: float,
            mu: FloatArray, steps: int, most: int, heat: float) -> int:  # fmt: skip
    """So many rounds of ruin and recreate with up to `most` nodes each; how many made the plan better.

    A plan that is dearer by up to about `heat` micro-dollars is kept too; the heat falls to nothing (annealing).
    """
    better = 0
    noisy = np.empty_like(value)
    some = np.empty_like(holders)
    left = Left(s.remain.copy(), s.stock.copy(), s.pool_left.copy(), s.quota_left.copy())
    for step in range(steps):
        if s.rows[0] == 0:
            return better
        if s.rows[0] + 2 * most + value.shape[0] > s.holder.shape[0] * 3 // 4:
            tidy(s)
            if s.rows[0] + 2 * most + value.shape[0] > s.holder.shape[0]:
                return better
        keep_left(s, left)
        rows, missing = s.rows[0], lacking(a, s)
        s.cuts[0] = 0
        before = _ruin(a, s, value, risk_price, np.random.randint(1, most + 1))
        noise = 0.4 * np.random.random() ** 2
        for g in range(value.shape[0]):
            noisy[g] = value[g] * (1.0 + noise * (2.0 * np.random.random() - 1.0))
        ruined = s.cuts[0]
        if np.random.random() < GAPS:
            fill_gaps(a, w, s, noisy, mu, BRANCHES)
        for i in range(ruined, s.cuts[0]):
            before += node_score(a, s, s.cut[i], risk_price)
        few = _some_holders(holders, some)
        pack_rest(a, w, s, best, some[:few], noisy, risk_price, mu, BRANCHES)
        if lacking(a, s) > missing:
            pack_rest(a, w, s, best, holders, noisy, risk_price, mu, BRANCHES)
        after = rows_score(a, s, rows, s.rows[0], risk_price)
        now = lacking(a, s)
        slack = -np.log(1.0 - np.random.random()) * heat * (steps - 1 - step) / steps
        if now > missing or (now == missing and after > before * (1.0 + 1e-12) + slack):
            for i in range(s.cuts[0]):
                s.times[s.cut[i]] += 1
            s.rows[0] = rows
            set_left(s, left)
        elif now < missing or after < before * (1.0 - 1e-12):
            better += 1
    return better
