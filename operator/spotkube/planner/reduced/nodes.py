# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""Changes to a plan under construction: rows added, split and filled. All compiled."""

from spotkube.planner.compiled import compiled, copy
from spotkube.planner.instance import Arrays
from spotkube.planner.problem import FloatArray, IntArray
from spotkube.planner.reduced.rules import count_quotas, needs_met, within_quotas
from spotkube.planner.reduced.state import Left, Nodes


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
def keep_left(s: Nodes, left: Left) -> None:
    """Notes what is left."""
    copy(left.remain, s.remain)
    copy(left.stock, s.stock)
    for p in range(s.pool_left.shape[0]):
        copy(left.pool_left[p], s.pool_left[p])
    for q in range(s.quota_left.shape[0]):
        copy(left.quota_left[q], s.quota_left[q])


@compiled
def set_left(s: Nodes, left: Left) -> None:
    """Sets what is left as it was noted."""
    copy(s.remain, left.remain)
    copy(s.stock, left.stock)
    for p in range(s.pool_left.shape[0]):
        copy(s.pool_left[p], left.pool_left[p])
    for q in range(s.quota_left.shape[0]):
        copy(s.quota_left[q], left.quota_left[q])


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
    for i in range(a.cap_start[g], a.cap_start[g + 1]):
        s.cap_left[row, a.cap_list[i]] -= pods * a.cap_use[i]
    count_quotas(a, s, s.holder[row], g, pods * s.times[row])


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
    for i in range(a.cap_start[g], a.cap_start[g + 1]):
        pods = min(pods, s.cap_left[row, a.cap_list[i]] // a.cap_use[i])
    for f in a.foe_list[a.foe_start[g] : a.foe_start[g + 1]]:
        if s.pods[row, f] > 0:
            return 0
    if pods > 0 and not needs_met(a, s, row, g):
        return 0
    return max(pods, 0)


@compiled
def fits_empty(a: Arrays, h: int, g: int, wanted: int) -> int:
    """How many pods of group g, up to `wanted`, an empty holder takes."""
    if not a.allowed[h, g]:
        return 0
    for i in a.need_list[a.need_start[g] : a.need_start[g + 1]]:
        if a.met[h, i] == 0:
            return 0
    pods = wanted
    for r in range(a.room.shape[1]):
        if a.demand[g, r] > 0:
            pods = min(pods, a.room[h, r] // a.demand[g, r])
    for i in range(a.cap_start[g], a.cap_start[g + 1]):
        pods = min(pods, a.caps[h, a.cap_list[i]] // a.cap_use[i])
    return max(pods, 0)


@compiled
def place(a: Arrays, s: Nodes, h: int, pattern: IntArray, most: int) -> int:
    """As many nodes of holder h with this pattern as what is left allows, up to `most`; how many they were."""
    times = affordable(a, s, h, most)
    for g in range(pattern.shape[0]):
        if pattern[g] > 0:
            times = min(times, s.remain[g] // pattern[g])
    times = within_quotas(a, s, h, pattern, times)
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
def place_on(a: Arrays, s: Nodes, holders: IntArray, pattern: IntArray, most: int) -> int:
    """The same, of the first of these holders as many as may be had, then of the next; how many are still wanted."""
    for h in holders:
        most -= place(a, s, h, pattern, most)
        if most == 0:
            break
    return most


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
