# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""The most valuable set of pods that one node can hold: a bounded knapsack in several dimensions, by branch and bound.

All compiled. The value of a pod is its dual price, so this is the pricing problem of the column generation; the search
uses it with few branches as a good greedy. What it returns as `upper` is never below the true maximum.
"""

import numpy as np

from spotkube.planner.compiled import compiled, copy
from spotkube.planner.problem import BoolArray, IntArray
from spotkube.planner.reduction import Arrays, FloatArray
from spotkube.planner.scratch import Work
from spotkube.planner.tables import tabled_bound

# Sums of products of doubles are off by far less than this; upper bounds are raised by it.
SAFE = 1.0 + 1e-9
# The first step of the search for the best charges, as a part of the bound.
FIRST_STEP = 0.02
# A search of so many branches is worth a table first.
TABLE_FROM = 1000
# And one of so many is worth exchanges after it.
POLISH_FROM = 500


@compiled
def collect_items(a: Arrays, w: Work, room: IntArray, caps: IntArray, allowed: BoolArray, stock: IntArray,
                  value: FloatArray) -> int:  # fmt: skip
    """Lists the groups worth packing in w.items with their most pods; returns how many there are."""
    n = 0
    for g in range(len(value)):
        if value[g] <= 0.0 or stock[g] <= 0 or not allowed[g]:
            continue
        most = stock[g]
        for r in range(room.shape[0]):
            if a.demand[g, r] > 0:
                most = min(most, room[r] // a.demand[g, r])
        for k in a.cap_list[a.cap_start[g] : a.cap_start[g + 1]]:
            most = min(most, caps[k])
        if most > 0:
            w.items[n] = g
            w.most[n] = most
            n += 1
    return n


@compiled
def assign_caps(a: Arrays, w: Work, n: int, caps: IntArray) -> None:
    """Gives each item at most one cap that binds, so that the bound can count like pods of several groups once."""
    w.cap_sum[:] = 0.0
    for j in range(n):
        g = w.items[j]
        for k in a.cap_list[a.cap_start[g] : a.cap_start[g + 1]]:
            w.cap_sum[k] += w.most[j]
    for j in range(n):
        g = w.items[j]
        w.cap_of[j] = -1
        for k in a.cap_list[a.cap_start[g] : a.cap_start[g + 1]]:
            better = w.cap_of[j] < 0 or w.cap_sum[k] * caps[w.cap_of[j]] > w.cap_sum[w.cap_of[j]] * caps[k]
            if w.cap_sum[k] > caps[k] and better:
                w.cap_of[j] = k


@compiled
def lagrangian(a: Arrays, w: Work, n: int, room: IntArray, caps: IntArray, value: FloatArray, mu: FloatArray) -> float:
    """Upper bound on the value of any pattern when a unit of resource r is charged mu[r]. Valid for every mu >= 0."""
    total = 0.0
    for r in range(room.shape[0]):
        total += mu[r] * room[r]
    w.cap_sum[:] = 0.0
    w.cap_best[:] = 0.0
    for j in range(n):
        g = w.items[j]
        gain = value[g]
        for r in range(room.shape[0]):
            gain -= mu[r] * a.demand[g, r]
        if gain <= 0.0:
            continue
        k = w.cap_of[j]
        if k < 0:
            total += gain * w.most[j]
        else:
            before = min(w.cap_sum[k], w.cap_best[k] * caps[k])
            w.cap_sum[k] += gain * w.most[j]
            w.cap_best[k] = max(w.cap_best[k], gain)
            total += min(w.cap_sum[k], w.cap_best[k] * caps[k]) - before
    return total


@compiled
def _start_charges(a: Arrays, w: Work, n: int, room: IntArray, caps: IntArray, value: FloatArray, mu: FloatArray,
                   best: float) -> float:  # fmt: skip
    """Tries each resource alone, charged its best price: the start where no better one is known. The bound then."""
    for r in range(room.shape[0]):
        if room[r] <= 0:
            continue
        charge = 0.0
        for j in range(n):
            if a.demand[w.items[j], r] > 0:
                charge = max(charge, value[w.items[j]] / a.demand[w.items[j], r])
        w.trial[:] = 0.0
        w.trial[r] = charge
        bound = lagrangian(a, w, n, room, caps, value, w.trial)
        if bound < best:
            best = bound
            copy(mu, w.trial)
    return best


@compiled
def improve_charges(a: Arrays, w: Work, n: int, room: IntArray, caps: IntArray, value: FloatArray, mu: FloatArray,
                    bar: float, last: float) -> float:  # fmt: skip
    """Lowers the Lagrangian bound by a compass search over mu, in steps down to `last` of it, or until below bar."""
    resources = room.shape[0]
    best = lagrangian(a, w, n, room, caps, value, mu)
    if best * SAFE <= bar:
        return best
    best = _start_charges(a, w, n, room, caps, value, mu, best)
    step = FIRST_STEP
    while step >= last and best * SAFE > bar:
        improved = False
        for up in range(-1, resources):
            for down in range(-1, resources):
                if up == down or (up >= 0 and room[up] <= 0) or (down >= 0 and (room[down] <= 0 or mu[down] <= 0.0)):
                    continue
                copy(w.trial, mu)
                if up >= 0:
                    w.trial[up] += step * best / room[up]
                if down >= 0:
                    w.trial[down] = max(0.0, w.trial[down] - step * best / room[down])
                bound = lagrangian(a, w, n, room, caps, value, w.trial)
                if bound < best * (1.0 - 1e-12):
                    best = bound
                    copy(mu, w.trial)
                    improved = True
        if not improved:
            step *= 0.5
    return best


@compiled
def order_items(a: Arrays, w: Work, n: int, room: IntArray, value: FloatArray, mu: FloatArray) -> None:
    """Sorts the items by value for their size, dearest first; the size is what mu charges."""
    for j in range(n):
        g = w.items[j]
        size = 0.0
        for r in range(room.shape[0]):
            size += mu[r] * a.demand[g, r]
        w.key[j] = value[g] / size if size > 0.0 else np.inf
    for j in range(1, n):  # insertion: nearly sorted from call to call, and stable
        key, g, most = w.key[j], w.items[j], w.most[j]
        i = j - 1
        while i >= 0 and w.key[i] < key:
            w.key[i + 1], w.items[i + 1], w.most[i + 1] = w.key[i], w.items[i], w.most[i]
            i -= 1
        w.key[i + 1], w.items[i + 1], w.most[i + 1] = key, g, most


@compiled
def prepare_bounds(a: Arrays, w: Work, n: int, room: IntArray, caps: IntArray, value: FloatArray,
                   mu: FloatArray) -> None:  # fmt: skip
    """Fills what `bound_at` reads: for each item what it and all later ones can add."""
    resources = room.shape[0]
    assign_caps(a, w, n, caps)
    w.rest[n] = 0.0
    w.total[n] = 0.0
    w.ratio[:, n] = 0.0
    w.cap_sum[:] = 0.0
    w.cap_best[:] = 0.0
    for j in range(n - 1, -1, -1):
        g = w.items[j]
        gain = value[g]
        for r in range(resources):
            gain -= mu[r] * a.demand[g, r]
            here = value[g] / a.demand[g, r] if a.demand[g, r] > 0 else np.inf
            w.ratio[r, j] = max(w.ratio[r, j + 1], here)
        w.ratio[resources, j] = max(w.ratio[resources, j + 1], w.key[j])
        w.total[j] = w.total[j + 1] + value[g] * w.most[j]
        w.rest[j] = w.rest[j + 1]
        if gain > 0.0:
            k = w.cap_of[j]
            if k < 0:
                w.rest[j] += gain * w.most[j]
            else:
                before = min(w.cap_sum[k], w.cap_best[k] * caps[k])
                w.cap_sum[k] += gain * w.most[j]
                w.cap_best[k] = max(w.cap_best[k], gain)
                w.rest[j] += min(w.cap_sum[k], w.cap_best[k] * caps[k]) - before


@compiled
def bound_at(w: Work, j: int, mu: FloatArray, counted: int) -> float:
    """Upper bound on what items j and later can add to what is left; `counted` is the table's resource or -1."""
    resources = mu.shape[0]
    charged = 0.0
    bound = w.total[j]
    for r in range(resources):
        charged += mu[r] * w.left[r]
        if w.ratio[r, j] < np.inf:
            bound = min(bound, w.ratio[r, j] * w.left[r])
    if w.ratio[resources, j] < np.inf:
        bound = min(bound, w.ratio[resources, j] * charged)
    bound = min(bound, w.rest[j] + charged)
    if counted >= 0:
        tabled = w.table[j * w.table_width[0] + w.left[counted] // w.table_unit[0]]
        for r in range(resources):
            if r != counted:
                tabled += w.table_mu[r] * w.left[r]
        bound = min(bound, tabled)
    return bound


@compiled
def fit(a: Arrays, w: Work, j: int) -> int:
    """How many pods of item j go into what is left."""
    g = w.items[j]
    if w.foes[g] > 0:
        return 0
    most = w.most[j]
    for r in range(w.left.shape[0]):
        if a.demand[g, r] > 0:
            most = min(most, w.left[r] // a.demand[g, r])
    for k in a.cap_list[a.cap_start[g] : a.cap_start[g + 1]]:
        most = min(most, w.cap_left[k])
    return most


@compiled
def take(a: Arrays, w: Work, j: int, pods: int) -> None:
    """Puts `pods` more of item j into the branch (takes them out if negative)."""
    g = w.items[j]
    before = w.chosen[j]
    w.chosen[j] = before + pods
    for r in range(w.left.shape[0]):
        w.left[r] -= pods * a.demand[g, r]
    for k in a.cap_list[a.cap_start[g] : a.cap_start[g + 1]]:
        w.cap_left[k] -= pods
    if (before == 0) != (w.chosen[j] == 0):
        change = 1 if before == 0 else -1
        for f in a.foe_list[a.foe_start[g] : a.foe_start[g + 1]]:
            w.foes[f] += change


@compiled
def branch(a: Arrays, w: Work, n: int, room: IntArray, caps: IntArray, value: FloatArray, mu: FloatArray, bar: float,
           branches: int, counted: int) -> tuple[float, float]:  # fmt: skip
    """Depth first over the items; w.pattern gets the best found. Branches that can't exceed `bar` are cut.

    Returns the value found and an upper bound of the true maximum; when `branches` sufficed the bound is the larger of
    the value and `bar`.
    """
    copy(w.left, room)
    copy(w.cap_left, caps)
    w.foes[:] = 0
    w.chosen[:n] = 0
    w.pattern[:] = 0
    best = 0.0
    worth = 0.0
    j = 0
    spent = 0
    while True:
        while j < n and (worth + bound_at(w, j, mu, counted) > max(best, bar) * SAFE or spent < n):
            spent += 1
            pods = fit(a, w, j)
            if pods > 0:
                take(a, w, j, pods)
                worth += pods * value[w.items[j]]
            j += 1
        if worth > best:
            best = worth
            for i in range(n):
                w.pattern[w.items[i]] = w.chosen[i]
        if spent >= branches:
            break
        j -= 1
        while j >= 0 and w.chosen[j] == 0:
            j -= 1
        if j < 0:
            return best, max(best, bar) * SAFE
        take(a, w, j, np.int64(-1))
        worth -= value[w.items[j]]
        j += 1
    # Cut short: what is still open hangs on the branch at hand, one pod fewer of some item and anything behind it.
    upper = max(best, bar)
    for i in range(n - 1, -1, -1):
        while w.chosen[i] > 0:
            take(a, w, i, np.int64(-1))
            worth -= value[w.items[i]]
            upper = max(upper, worth + bound_at(w, i + 1, mu, counted))
    return best, upper * SAFE


@compiled
def exchange(a: Arrays, w: Work, n: int, room: IntArray, caps: IntArray, value: FloatArray, best: float) -> float:
    """Betters w.pattern while it can: one or two pods of an item out, others in by worth. Returns its value."""
    copy(w.left, room)
    copy(w.cap_left, caps)
    for j in range(n):
        w.foes[w.items[j]] = 0
        w.chosen[j] = 0
    for j in range(n):
        if w.pattern[w.items[j]] > 0:
            take(a, w, j, w.pattern[w.items[j]])
    improved = True
    while improved:
        improved = False
        for out in range(n):
            for pods in range(1, 3):
                if w.chosen[out] < pods:
                    break
                take(a, w, out, -pods)
                worth = best - pods * value[w.items[out]] + _refill(a, w, n, value, out)
                if worth > best * SAFE:
                    best = worth
                    improved = True
                    for j in range(n):
                        w.pattern[w.items[j]] = w.chosen[j]
                else:
                    for j in range(n):
                        change = w.pattern[w.items[j]] - w.chosen[j]
                        if change != 0:
                            take(a, w, j, change)
    return best


@compiled
def _refill(a: Arrays, w: Work, n: int, value: FloatArray, out: int) -> float:
    """Adds pods of other items than `out` (of that last), each time all that fit of the one then worth most."""
    gained = 0.0
    while True:
        best, best_pods, best_worth = np.int64(-1), np.int64(0), 0.0
        for j in range(n):
            if j == out or value[w.items[j]] * w.most[j] <= best_worth:
                continue
            pods = fit_more(a, w, j)
            if pods * value[w.items[j]] > best_worth:
                best, best_pods, best_worth = j, pods, pods * value[w.items[j]]
        if best < 0:
            pods = fit_more(a, w, out)
            if pods > 0:
                take(a, w, out, pods)
            return gained + pods * value[w.items[out]]
        take(a, w, best, best_pods)
        gained += best_worth


@compiled
def fit_more(a: Arrays, w: Work, j: int) -> int:
    """How many more pods of item j go into what is left, those chosen being counted."""
    return min(fit(a, w, j), w.most[j] - w.chosen[j])


@compiled
def best_pattern(a: Arrays, w: Work, room: IntArray, caps: IntArray, allowed: BoolArray, stock: IntArray,
                 value: FloatArray, mu: FloatArray, bar: float, branches: int, last: float,
                 polish: bool) -> tuple[float, float]:  # fmt: skip
    """The most valuable pods of `stock` for this room, into w.pattern; mu [R] is where the bound starts; improved.

    Returns (value, upper), the pattern bettered by exchanges if `polish`: upper is at least the true maximum, or, when
    no pattern exceeds `bar`, at least that or at most `bar`.
    """
    w.pattern[:] = 0
    n = collect_items(a, w, room, caps, allowed, stock, value)
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
    best, upper = branch(a, w, n, room, caps, value, mu, bar, branches, counted)
    if best < upper and polish:
        best = exchange(a, w, n, room, caps, value, best)
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
