# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""Which node kinds are worth keeping: of thousands of offerings most are beaten by another in everything."""

from typing import NamedTuple

import numpy as np

from spotkube.planner.compiled import compiled
from spotkube.planner.problem import NO_LIMIT, BoolArray, FloatArray, IntArray, Problem

# How many domains more than a quota makes a group use are kept to choose from.
SPARE_DOMAINS = 4
# How many spot pools more than one there are to choose from, so that not all is lost together.
SPARE_SPOT_POOLS = 3


class _Kinds(NamedTuple):
    """What kinds are compared by.

    Attributes:
        useful: [O, R] what they hold.
        open_to: [O] the class of kinds open to the same groups.
        superset: [C, C] where the second class is open to all groups that the first one is open to.
        pool, limited: [O] the pool, and whether it has any limit.
        limit_use: [O, R0] what one takes of its pool's limits.
        risk: [O] interruptions in an hour.
        wishes: [S, O] what unmet preferences cost there.
        domains: [Q + 1, O] the domain of each quota there, and the spot pool.
    """

    useful: FloatArray
    open_to: IntArray
    superset: BoolArray
    pool: IntArray
    limited: BoolArray
    limit_use: IntArray
    risk: FloatArray
    wishes: IntArray
    domains: IntArray


def worthwhile_kinds(
    problem: Problem, demand: IntArray, capacity: IntArray, upper: IntArray
) -> tuple[IntArray, BoolArray]:
    """The kinds worth keeping, and which of them can be part of a cheapest plan.

    A kind loses to another that holds as much, is open to the same groups or more, costs no more and is under no
    tighter limit; it is kept for its lower risk if it has one, or if preferences, quotas or another stock
    of machines speak for it.
    """
    if problem.kinds == 0 or problem.groups == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.bool_)
    # More room than all pods that may come is no advantage.
    useful = np.minimum(capacity.astype(np.float64), upper.astype(np.float64) @ demand.astype(np.float64))
    rows, open_to = _classes(problem.compatible)
    superset = np.array([(rows | row == rows).all(axis=1) for row in rows])
    risk = problem.interruption_rate
    order = np.lexsort((np.arange(problem.kinds), -useful.sum(axis=1), risk, problem.price))
    order = order[np.asarray(rows.any(axis=1))[open_to[order]]]
    kinds = _Kinds(
        np.ascontiguousarray(useful),
        open_to,
        superset,
        problem.pool,
        np.asarray((problem.pool_left < NO_LIMIT).any(axis=1))[problem.pool],
        np.ascontiguousarray(problem.limit_use),
        risk,
        np.ascontiguousarray(problem.preferences.cost.reshape(len(problem.preferences.cost), problem.kinds)),
        np.vstack([problem.quotas.domain.reshape(len(problem.quotas.use), problem.kinds), problem.spot.spot_pool]),
    )
    keep, lean = np.zeros(len(order), np.int64), np.zeros(len(order), np.bool_)
    kept = _choose(kinds, order, _spare_domains(problem), keep, lean)
    return keep[:kept], lean[:kept]


def _classes(compatible: BoolArray) -> tuple[BoolArray, IntArray]:
    """The different columns, as rows [C, G], and which of them each column is, [O]."""
    columns = np.ascontiguousarray(compatible.T)
    number: dict[bytes, int] = {}
    which = np.array([number.setdefault(column.tobytes(), len(number)) for column in columns], np.int64)
    _, first = np.unique(which, return_index=True)
    return columns[first], which


@compiled
def _choose(k: _Kinds, order: IntArray, spare: int, keep: IntArray, lean: BoolArray) -> int:
    """Goes through the kinds, cheapest first, and keeps what no kind kept before makes useless; how many are kept."""
    kept = 0
    for kind in order:
        beaten, useless, as_good = False, False, 0
        for i in range(kept):
            if not _beats(k, keep[i], kind):
                continue
            beaten = True
            if _as_safe_and_wanted(k, keep[i], kind):
                as_good += 1
                useless = useless or _as_free(k, keep[i], kind)
            if useless or as_good > spare:
                break
        if not useless and as_good <= spare:
            keep[kept], lean[kept] = kind, not beaten
            kept += 1
    return kept


@compiled
def _beats(k: _Kinds, rival: int, kind: int) -> bool:
    """Whether the rival, which costs no more, holds as much for the same groups under no tighter limits."""
    if not k.superset[k.open_to[kind], k.open_to[rival]]:
        return False
    for r in range(k.useful.shape[1]):
        if k.useful[rival, r] < k.useful[kind, r]:
            return False
    if k.limited[rival]:
        if k.pool[rival] != k.pool[kind]:
            return False
        for r in range(k.limit_use.shape[1]):
            if k.limit_use[rival, r] > k.limit_use[kind, r]:
                return False
    return True


@compiled
def _as_safe_and_wanted(k: _Kinds, rival: int, kind: int) -> bool:
    if k.risk[rival] > k.risk[kind]:
        return False
    for s in range(k.wishes.shape[0]):  # noqa: SIM110 (compiled)
        if k.wishes[s, rival] > k.wishes[s, kind]:
            return False
    return True


@compiled
def _as_free(k: _Kinds, rival: int, kind: int) -> bool:
    """Whether no quota counts pods on the rival that does not count them on the other as well, nor are they lost with
    more others."""
    for q in range(k.domains.shape[0]):
        if k.domains[q, rival] >= 0 and k.domains[q, rival] != k.domains[q, kind]:
            return False
    return True


def _spare_domains(problem: Problem) -> int:
    """How many kinds that beat another one must be there before it is of no use, though quotas or the stock that they
    come from tell them apart."""
    quotas = problem.quotas
    if not len(quotas.use):
        return SPARE_SPOT_POOLS
    pods = quotas.use @ problem.count
    return SPARE_DOMAINS + int((pods // np.maximum(quotas.left.max(axis=1, initial=1), 1)).max(initial=0))
