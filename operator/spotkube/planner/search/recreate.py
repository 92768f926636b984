# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""Ruin and recreate: takes a few nodes away and packs their pods anew, guided by what the duals say pods are worth.

All compiled. A change is kept when it makes the plan no worse; else it is undone without a trace.
"""

import numpy as np

from spotkube.planner.compiled import compiled
from spotkube.planner.instance import Arrays
from spotkube.planner.packing.scratch import Work
from spotkube.planner.problem import FloatArray, IntArray
from spotkube.planner.reduced.nodes import charge, keep_left, place, set_left, tidy, worth_of
from spotkube.planner.reduced.rules import count_quotas, has_helper
from spotkube.planner.reduced.state import Left, Nodes
from spotkube.planner.search.refill import ONE, best_node, fill_gaps, pack_rest
from spotkube.planner.search.scoring import lacking, restart_on, unmet_on

# Branches spent on one node while a plan is rebuilt. (Typed: numba would compile once more for a literal.)
BRANCHES = np.int64(40)
# How often pods are tried on nodes with room first: it takes long.
GAPS = 0.35
# A step looks at the most promising holders, and at each other with this chance.
PROMISING, CHANCE = 12, 0.3
# How much more a pod is worth that was left out for want of company.
URGENT = 100.0
# How often a step looks for such company, while pods are left out.
COMPANY = 0.5


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
    if risk_price > 0.0 and a.risk[h] > 0.0:
        cost += risk_price * a.risk[h] * restart_on(a, s, row)
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
def _make_company(a: Arrays, w: Work, s: Nodes, best: IntArray, holders: IntArray, value: FloatArray,
                  risk_price: float, mu: FloatArray) -> float:  # fmt: skip
    """For each group left out for want of company takes a node with such away, and packs it anew with both.

    What the nodes taken away cost.
    """
    cost = 0.0
    for g in range(s.remain.shape[0]):
        if s.remain[g] <= 0:
            continue
        for need in a.need_list[a.need_start[g] : a.need_start[g + 1]]:
            row = np.random.randint(0, s.rows[0])
            for _ in range(s.rows[0]):
                row = (row + 1) % s.rows[0]
                if s.times[row] > 0 and has_helper(a, s, row, need):
                    cost += node_score(a, s, row, risk_price)
                    remove_one(a, s, row)
                    break
    _pack_company(a, w, s, best, holders, value, mu)
    return cost


@compiled
def _pack_company(a: Arrays, w: Work, s: Nodes, best: IntArray, holders: IntArray, value: FloatArray,
                  mu: FloatArray) -> None:  # fmt: skip
    """Nodes for those that need company and have none, whatever they cost.

    By worth for its price, the company would go with the cheapest node, and only a part of those who need it.
    """
    urgent = value.copy()
    lonely = False
    for g in range(s.remain.shape[0]):
        if s.remain[g] > 0 and a.need_start[g + 1] > a.need_start[g]:
            urgent[g] *= URGENT
            lonely = True
    while lonely:
        holder = best_node(a, w, s, best, holders, urgent, 0.0, mu, BRANCHES, True)
        if holder < 0:
            break
        lonely = False
        for g in range(s.remain.shape[0]):
            lonely |= best[g] > 0 and urgent[g] > value[g]
        if not lonely or place(a, s, holder, best, ONE) == 0:
            break


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
        if missing > 0 and a.met.shape[1] > 0 and np.random.random() < COMPANY:
            before += _make_company(a, w, s, best, holders, noisy, risk_price, mu)
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
