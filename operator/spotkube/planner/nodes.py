# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""A plan under construction: rows of like nodes, and what they leave of pods, bins and limits. All compiled.

A row is a holder, the pods on it, and how many times it is there; so time and space grow with groups and not with pods.
"""

from typing import NamedTuple

import numpy as np

from spotkube.planner.compiled import compiled, copy
from spotkube.planner.problem import BoolArray, IntArray
from spotkube.planner.reduction import Arrays, FloatArray, Instance


class Nodes(NamedTuple):
    """Rows 0 to rows[0] - 1 are in use; a row whose `times` is 0 is gone.

    Attributes:
        rows: [1] how many rows there are.
        holder, times: [M] what the row is, and how often.
        pods: [M, G] on each node of the row.
        room: [M, R] and cap_left: [M, K] what a node of the row still has.
        remain: [G] pods without a place.
        stock: [H] holders still to be had.
        pool_left: [P, R0 + 2] what the pools may still buy.
        cut: [M] scratch: rows that lost a node in the change at hand; cuts: [1] how many.
        open: [G] scratch: groups that may join a row.
    """

    rows: IntArray
    holder: IntArray
    times: IntArray
    pods: IntArray
    room: IntArray
    cap_left: IntArray
    remain: IntArray
    stock: IntArray
    pool_left: IntArray
    cut: IntArray
    cuts: IntArray
    open: BoolArray


def make_nodes(instance: Instance, rows: int) -> Nodes:
    """Room for so many rows, none in use, nothing placed."""
    groups, resources = instance.arrays.demand.shape
    return Nodes(
        rows=np.zeros(1, np.int64),
        holder=np.zeros(rows, np.int64),
        times=np.zeros(rows, np.int64),
        pods=np.zeros((rows, groups), np.int64),
        room=np.zeros((rows, resources), np.int64),
        cap_left=np.zeros((rows, instance.arrays.caps.shape[1]), np.int64),
        remain=instance.problem.count.astype(np.int64).copy(),
        stock=instance.arrays.stock.copy(),
        pool_left=instance.pool_left.copy(),
        cut=np.zeros(rows, np.int64),
        cuts=np.zeros(1, np.int64),
        open=np.zeros(groups, np.bool_),
    )


def reset(nodes: Nodes, instance: Instance) -> None:
    """Takes everything away again."""
    nodes.rows[0] = 0
    nodes.remain[:] = instance.problem.count
    nodes.stock[:] = instance.arrays.stock
    nodes.pool_left[:] = instance.pool_left


@compiled
def affordable(a: Arrays, s: Nodes, h: int, wanted: int) -> int:
    """How many more of holder h may be had, up to `wanted`."""
    times = min(wanted, s.stock[h])
    if a.pool[h] >= 0:
        left = s.pool_left[a.pool[h]]
        for i in range(left.shape[0]):
            if a.pool_use[h, i] > 0:
                times = min(times, left[i] // a.pool_use[h, i])
    return times


@compiled
def charge(a: Arrays, s: Nodes, h: int, times: int) -> None:
    """Takes so many of holder h off the stock and its pool's limits (gives back if negative)."""
    s.stock[h] -= times
    if a.pool[h] >= 0:
        for i in range(a.pool_use.shape[1]):
            s.pool_left[a.pool[h], i] -= times * a.pool_use[h, i]


@compiled
def append(a: Arrays, s: Nodes, h: int, times: int) -> int:
    """A new row of empty nodes of holder h, charged; its index, or -1 when all rows are taken."""
    row = s.rows[0]
    if row >= s.holder.shape[0]:
        return -1
    s.rows[0] += 1
    s.holder[row] = h
    s.times[row] = times
    for g in range(s.pods.shape[1]):
        s.pods[row, g] = 0
    copy(s.room[row], a.room[h])
    copy(s.cap_left[row], a.caps[h])
    charge(a, s, h, times)
    return row


@compiled
def copy_row(s: Nodes, to: int, row: int) -> None:
    """Makes row `to` like the other."""
    s.holder[to] = s.holder[row]
    s.times[to] = s.times[row]
    copy(s.pods[to], s.pods[row])
    copy(s.room[to], s.room[row])
    copy(s.cap_left[to], s.cap_left[row])


@compiled
def keep_left(s: Nodes, remain: IntArray, stock: IntArray, pool_left: IntArray) -> None:
    """Notes what is left."""
    copy(remain, s.remain)
    copy(stock, s.stock)
    for p in range(pool_left.shape[0]):
        copy(pool_left[p], s.pool_left[p])


@compiled
def set_left(s: Nodes, remain: IntArray, stock: IntArray, pool_left: IntArray) -> None:
    """Sets what is left as it was noted."""
    copy(s.remain, remain)
    copy(s.stock, stock)
    for p in range(pool_left.shape[0]):
        copy(s.pool_left[p], pool_left[p])


@compiled
def split(s: Nodes, row: int, times: int) -> int:
    """Sets `times` nodes of the row apart as a new row: its index, the row's own if all, or -1 without space."""
    if times == s.times[row]:
        return row
    new = s.rows[0]
    if new >= s.holder.shape[0]:
        return -1
    s.rows[0] += 1
    s.times[row] -= times
    copy_row(s, new, row)
    s.times[new] = times
    return new


@compiled
def put(a: Arrays, s: Nodes, row: int, g: int, pods: int) -> None:
    """Puts so many pods of group g on every node of the row."""
    s.pods[row, g] += pods
    s.remain[g] -= pods * s.times[row]
    for r in range(s.room.shape[1]):
        s.room[row, r] -= pods * a.demand[g, r]
    for k in a.cap_list[a.cap_start[g] : a.cap_start[g + 1]]:
        s.cap_left[row, k] -= pods


@compiled
def fits_on(a: Arrays, s: Nodes, row: int, g: int, wanted: int) -> int:
    """How many pods of group g, up to `wanted`, a node of the row still takes."""
    if not a.allowed[s.holder[row], g]:
        return 0
    pods = wanted
    for r in range(s.room.shape[1]):
        if a.demand[g, r] > 0:
            pods = min(pods, s.room[row, r] // a.demand[g, r])
            if pods <= 0:
                return 0
    for k in a.cap_list[a.cap_start[g] : a.cap_start[g + 1]]:
        pods = min(pods, s.cap_left[row, k])
    for f in a.foe_list[a.foe_start[g] : a.foe_start[g + 1]]:
        if s.pods[row, f] > 0:
            return 0
    return max(pods, 0)


@compiled
def fits_empty(a: Arrays, h: int, g: int, wanted: int) -> int:
    """How many pods of group g, up to `wanted`, an empty holder takes."""
    if not a.allowed[h, g]:
        return 0
    pods = wanted
    for r in range(a.room.shape[1]):
        if a.demand[g, r] > 0:
            pods = min(pods, a.room[h, r] // a.demand[g, r])
    for k in a.cap_list[a.cap_start[g] : a.cap_start[g + 1]]:
        pods = min(pods, a.caps[h, k])
    return max(pods, 0)


@compiled
def place(a: Arrays, s: Nodes, h: int, pattern: IntArray, most: int) -> int:
    """As many nodes of holder h with this pattern as pods, stock and limits allow, up to `most`; how many they were."""
    times = affordable(a, s, h, most)
    for g in range(pattern.shape[0]):
        if pattern[g] > 0:
            times = min(times, s.remain[g] // pattern[g])
    if times <= 0:
        return 0
    row = append(a, s, h, times)
    if row < 0:
        return 0
    for g in range(pattern.shape[0]):
        if pattern[g] > 0:
            put(a, s, row, g, pattern[g])
    return times


@compiled
def worth_of(s: Nodes, row: int, value: FloatArray) -> float:
    """What the pods on a node of the row are worth."""
    worth = 0.0
    for g in range(value.shape[0]):
        if s.pods[row, g] > 0:
            worth += value[g] * s.pods[row, g]
    return worth


@compiled
def tidy(s: Nodes) -> None:
    """Drops rows that are gone."""
    to = 0
    for row in range(s.rows[0]):
        if s.times[row] > 0:
            if to != row:
                copy_row(s, to, row)
            to += 1
    s.rows[0] = to


@compiled
def score(a: Arrays, s: Nodes) -> tuple[int, float, float]:
    """Pods without a place, micro-dollars an hour, and pods expected to be interrupted in a month."""
    cost = 0.0
    interrupted = 0.0
    for row in range(s.rows[0]):
        h = s.holder[row]
        cost += s.times[row] * a.price[h]
        if a.risk[h] > 0:
            pods = 0
            for g in range(s.pods.shape[1]):
                pods += s.pods[row, g]
            interrupted += s.times[row] * pods * a.risk[h] / 100.0
    missing = 0
    for g in range(s.remain.shape[0]):
        missing += s.remain[g]
    return missing, cost, interrupted


@compiled
def retype(a: Arrays, s: Nodes, by_price: IntArray) -> None:
    """Turns each bought row into the cheapest kind that holds its pods and that its pool may still buy."""
    for row in range(s.rows[0]):
        old, times = s.holder[row], s.times[row]
        if times == 0 or a.pool[old] < 0:
            continue
        charge(a, s, old, -times)
        for h in by_price:
            if a.price[h] >= a.price[old] or h == old:
                break
            if affordable(a, s, h, times) == times and holds(a, s, row, h):
                s.holder[row] = h
                for r in range(s.room.shape[1]):
                    s.room[row, r] += a.room[h, r] - a.room[old, r]
                for k in range(s.cap_left.shape[1]):
                    s.cap_left[row, k] += a.caps[h, k] - a.caps[old, k]
                break
        charge(a, s, s.holder[row], times)


@compiled
def holds(a: Arrays, s: Nodes, row: int, h: int) -> bool:
    """Whether the pods of the row would fit a holder of another kind."""
    old = s.holder[row]
    for r in range(s.room.shape[1]):
        if a.room[old, r] - s.room[row, r] > a.room[h, r]:
            return False
    for k in range(s.cap_left.shape[1]):
        if a.caps[old, k] - s.cap_left[row, k] > a.caps[h, k]:
            return False
    for g in range(s.pods.shape[1]):  # noqa: SIM110 (compiled)
        if s.pods[row, g] > 0 and not a.allowed[h, g]:
            return False
    return True
