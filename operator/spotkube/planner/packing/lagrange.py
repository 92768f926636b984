# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""Upper bounds of a node's worth: resources are charged for, and what is worth more than its charge is packed freely.

All compiled. Lagrangian relaxation of the bounded knapsack in several dimensions.
"""

import numpy as np

from spotkube.planner.compiled import compiled, copy
from spotkube.planner.instance import Arrays
from spotkube.planner.packing.scratch import Work
from spotkube.planner.problem import FloatArray, IntArray

# Sums of products of doubles are off by far less than this; upper bounds are raised by it.
SAFE = 1.0 + 1e-9
# The first step of the search for the best charges, as a part of the bound.
FIRST_STEP = 0.02


@compiled
def assign_caps(a: Arrays, w: Work, n: int, caps: IntArray) -> None:
    """Gives each item at most one cap that binds, so that the bound can count like pods of several groups once."""
    w.cap_sum[:] = 0.0
    for j in range(n):
        g = w.items[j]
        for i in range(a.cap_start[g], a.cap_start[g + 1]):
            w.cap_sum[a.cap_list[i]] += w.most[j] * a.cap_use[i]
    for j in range(n):
        g = w.items[j]
        w.cap_of[j] = -1
        for i in range(a.cap_start[g], a.cap_start[g + 1]):
            k = a.cap_list[i]
            better = w.cap_of[j] < 0 or w.cap_sum[k] * caps[w.cap_of[j]] > w.cap_sum[w.cap_of[j]] * caps[k]
            if w.cap_sum[k] > caps[k] and better:
                w.cap_of[j] = k
                w.cap_use_of[j] = a.cap_use[i]


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
            w.cap_best[k] = max(w.cap_best[k], gain / w.cap_use_of[j])
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
        w.total[j] = w.total[j + 1] + max(value[g], 0.0) * w.most[j]
        w.rest[j] = w.rest[j + 1]
        if gain > 0.0:
            k = w.cap_of[j]
            if k < 0:
                w.rest[j] += gain * w.most[j]
            else:
                before = min(w.cap_sum[k], w.cap_best[k] * caps[k])
                w.cap_sum[k] += gain * w.most[j]
                w.cap_best[k] = max(w.cap_best[k], gain / w.cap_use_of[j])
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
