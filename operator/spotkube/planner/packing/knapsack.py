# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""The bounded knapsack in several dimensions, with caps, conflicts and needs: branch and bound, and exchanges.

All compiled.
"""

import numpy as np

from spotkube.planner.compiled import compiled, copy
from spotkube.planner.instance import Arrays
from spotkube.planner.packing.lagrange import SAFE, bound_at
from spotkube.planner.packing.scratch import Work
from spotkube.planner.problem import FloatArray, IntArray


@compiled
def fit(a: Arrays, w: Work, j: int) -> int:
    """How many pods of item j go into what is left."""
    g = w.items[j]
    if w.foes[g] > 0:
        return 0
    for i in a.need_list[a.need_start[g] : a.need_start[g + 1]]:
        if w.met[i] == 0:
            return 0
    most = w.most[j]
    for r in range(w.left.shape[0]):
        if a.demand[g, r] > 0:
            most = min(most, w.left[r] // a.demand[g, r])
    for i in range(a.cap_start[g], a.cap_start[g + 1]):
        most = min(most, w.cap_left[a.cap_list[i]] // a.cap_use[i])
    return most


@compiled
def take(a: Arrays, w: Work, j: int, pods: int) -> None:
    """Puts `pods` more of item j into the branch (takes them out if negative)."""
    g = w.items[j]
    before = w.chosen[j]
    w.chosen[j] = before + pods
    for r in range(w.left.shape[0]):
        w.left[r] -= pods * a.demand[g, r]
    for i in range(a.cap_start[g], a.cap_start[g + 1]):
        w.cap_left[a.cap_list[i]] -= pods * a.cap_use[i]
    if (before == 0) != (w.chosen[j] == 0):
        change = 1 if before == 0 else -1
        for f in a.foe_list[a.foe_start[g] : a.foe_start[g + 1]]:
            w.foes[f] += change
        for i in a.help_list[a.help_start[g] : a.help_start[g + 1]]:
            w.met[i] += change


@compiled
def clear(w: Work, n: int, room: IntArray, caps: IntArray, met: IntArray) -> None:
    """Begins with nothing chosen."""
    copy(w.left, room)
    copy(w.cap_left, caps)
    copy(w.met, met)
    w.foes[:] = 0
    w.chosen[:n] = 0


@compiled
def branch(a: Arrays, w: Work, n: int, room: IntArray, caps: IntArray, met: IntArray, value: FloatArray, mu: FloatArray,
           best: float, bar: float, branches: int, counted: int) -> tuple[float, float]:  # fmt: skip
    """Depth first over the items; w.pattern, worth `best`, is replaced by what is found to be better. Branches that
    can't exceed `bar` are cut.

    Returns the value found and an upper bound of the true maximum; when `branches` sufficed the bound is the larger of
    the value and `bar`.
    """
    clear(w, n, room, caps, met)
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
def exchange(
    a: Arrays, w: Work, n: int, room: IntArray, caps: IntArray, met: IntArray, value: FloatArray, best: float
) -> float:
    """Betters w.pattern while it can: one or two pods of an item out, others in by worth. Returns its value."""
    clear(w, n, room, caps, met)
    for j in range(n):
        if w.pattern[w.items[j]] > 0:
            take(a, w, j, w.pattern[w.items[j]])
    improved = True
    while improved:
        improved = False
        for out in range(n):
            helps = a.help_start[w.items[out] + 1] > a.help_start[w.items[out]]
            for pods in range(1, 3):
                # The last of those that others need stays.
                if w.chosen[out] < pods or (helps and w.chosen[out] == pods):
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
