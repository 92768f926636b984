# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""What a plan is worth, and which kind each of its rows had better be. All compiled."""

import numpy as np

from spotkube.planner.compiled import compiled
from spotkube.planner.instance import Arrays, Instance
from spotkube.planner.problem import IntArray
from spotkube.planner.reduced.nodes import affordable, charge
from spotkube.planner.reduced.rules import count_quotas, within_quotas
from spotkube.planner.reduced.state import Nodes
from spotkube.planner.search.tail import pods_lost_together


@compiled
def score(a: Arrays, s: Nodes) -> tuple[int, float, float, float, float]:
    """Weight of the pods without a place; micro-dollars an hour of the nodes and, next to them, of preferences that are
    not met, and of interruptions; pods lost together."""
    cost = 0.0
    unmet = 0.0
    interruption = 0.0
    there = a.spot_there.copy()
    for row in range(s.rows[0]):
        h = s.holder[row]
        cost += s.times[row] * a.price[h]
        unmet += s.times[row] * unmet_on(a, s, row, h)
        if a.spot_pool[h] >= 0:
            interruption += s.times[row] * a.risk[h] * restart_on(a, s, row)
            there[a.spot_pool[h]] += s.times[row] * heads_on(a, s, row)
    return lacking(a, s), cost, unmet, interruption, pods_lost_together(there, a.spot_rate)


@compiled
def lacking(a: Arrays, s: Nodes) -> int:
    """Weight of the pods without a place."""
    weight = np.int64(0)
    for g in range(s.remain.shape[0]):
        weight += a.weight[g] * s.remain[g]
    return weight


@compiled
def heads_on(a: Arrays, s: Nodes, row: int) -> int:
    """Pods on a node of the row."""
    pods = np.int64(0)
    for g in range(s.pods.shape[1]):
        pods += s.pods[row, g] * a.heads[g]
    return pods


@compiled
def restart_on(a: Arrays, s: Nodes, row: int) -> float:
    """Micro-dollars that it costs to interrupt a node of the row."""
    cost = 0.0
    for g in range(s.pods.shape[1]):
        if s.pods[row, g] > 0:
            cost += s.pods[row, g] * a.restart[g]
    return cost


@compiled
def unmet_on(a: Arrays, s: Nodes, row: int, h: int) -> float:
    """What unmet preferences would cost if a node of the row were a holder h."""
    cost = 0.0
    if a.unmet.shape[0] > 0:
        for g in range(s.pods.shape[1]):
            cost += s.pods[row, g] * a.unmet[h, g]
    return cost


def by_price(instance: Instance) -> IntArray:
    """The node kinds, cheapest first."""
    order = np.argsort(instance.arrays.price, kind="stable")
    return order[instance.kind_of[order] >= 0]


@compiled
def retype(a: Arrays, s: Nodes, by_price: IntArray) -> None:
    """Turns each bought row into the best kind that holds its pods and that its pool may still buy."""
    for row in range(s.rows[0]):
        old, times = s.holder[row], s.times[row]
        if times == 0 or a.pool[old] < 0:
            continue
        _charge_row(a, s, row, -times)
        paid = a.price[old] + unmet_on(a, s, row, old)
        for h in by_price:
            if a.price[h] >= paid:
                break
            if h == old or a.price[h] + unmet_on(a, s, row, h) >= paid:
                continue
            if affordable(a, s, h, times) == times and holds(a, s, row, h, times):
                s.holder[row] = h
                for r in range(s.room.shape[1]):
                    s.room[row, r] += a.room[h, r] - a.room[old, r]
                for k in range(s.cap_left.shape[1]):
                    s.cap_left[row, k] += a.caps[h, k] - a.caps[old, k]
                break
        _charge_row(a, s, row, times)


@compiled
def _charge_row(a: Arrays, s: Nodes, row: int, times: int) -> None:
    """Takes so many nodes of the row off stock, limits and quotas (gives back if negative)."""
    charge(a, s, s.holder[row], times)
    if a.quota_domain.shape[1] > 0:
        for g in range(s.pods.shape[1]):
            if s.pods[row, g] > 0:
                count_quotas(a, s, s.holder[row], g, s.pods[row, g] * times)


@compiled
def holds(a: Arrays, s: Nodes, row: int, h: int, times: int) -> bool:
    """Whether the pods of the row would fit holders of another kind, so many of them."""
    old = s.holder[row]
    for r in range(s.room.shape[1]):
        if a.room[old, r] - s.room[row, r] > a.room[h, r]:
            return False
    for k in range(s.cap_left.shape[1]):
        if a.caps[old, k] - s.cap_left[row, k] > a.caps[h, k]:
            return False
    for g in range(s.pods.shape[1]):
        if s.pods[row, g] > 0 and not a.allowed[h, g]:
            return False
    return within_quotas(a, s, h, s.pods[row], times) == times
