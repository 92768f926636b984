"""The problem as the solvers see it: without node kinds that can't win, like bins together, as arrays."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotkube.planner.problem import NO_LIMIT, BoolArray, IntArray, Problem

FloatArray = NDArray[np.float64]


class Arrays(NamedTuple):
    """What compiled code reads. H holders are the node kinds kept, then the classes of like bins.

    Attributes:
        demand: [G, R] what a pod takes.
        room: [H, R] what a holder has.
        allowed: [H, G] whether a pod of the group may be there.
        caps: [H, K] how many pods of each cap's members it may hold.
        price: [H] micro-dollars an hour; 0 for bins.
        risk: [H] interruption in percent a month; 0 for bins, whose nodes are not for choosing.
        stock: [H] how many there are; NO_LIMIT for node kinds.
        lean: [H] whether the holder can be part of a cheapest plan (the others only serve to lower the risk).
        pool: [H] the pool that pays, -1 for bins.
        pool_use: [H, R0 + 2] what one takes of the pool's limits.
        cap_start, cap_list: the caps that group g counts in are cap_list[cap_start[g]:cap_start[g + 1]].
        foe_start, foe_list: the groups that may not be beside group g, the same way.
    """

    demand: IntArray
    room: IntArray
    allowed: BoolArray
    caps: IntArray
    price: FloatArray
    risk: FloatArray
    stock: IntArray
    lean: BoolArray
    pool: IntArray
    pool_use: IntArray
    cap_start: IntArray
    cap_list: IntArray
    foe_start: IntArray
    foe_list: IntArray


@dataclass(frozen=True, eq=False)
class Instance:
    """A problem reduced.

    Attributes:
        kind_of: [H] the problem's kind behind each holder, -1 for bins.
        bins_of: the problem's bins behind each holder (empty for kinds).
        upper: [G] how many pods any allowed split may put into the group; patterns hold no more.
        placeable: [G] whether any holder takes a pod of the group.
        pool_left: [P, R0 + 2] as in the problem.
    """

    problem: Problem
    arrays: Arrays
    kind_of: IntArray
    bins_of: tuple[IntArray, ...]
    upper: IntArray
    placeable: BoolArray
    pool_left: IntArray

    @property
    def holders(self) -> int:
        return len(self.kind_of)


def reduce_problem(problem: Problem) -> Instance:
    """Drops what can't matter; every plan of the problem keeps a plan of the instance that costs no more."""
    wanted = problem.demand.max(axis=0, initial=0) > 0
    wanted[-1:] = True
    demand, capacity, bins = problem.demand[:, wanted], problem.capacity[:, wanted], problem.bins[:, wanted]
    upper = _upper(problem)
    kinds, lean = _kinds(problem, demand, capacity, upper)
    bins_of = _bin_classes(problem, bins)
    first = np.array([members[0] for members in bins_of], dtype=np.int64)
    n_kinds, n_bins = len(kinds), len(first)
    caps = np.vstack([np.tile(problem.cap_limit, (n_kinds, 1)), problem.bin_cap_left[:, first].T])
    use = np.column_stack([problem.limit_use[kinds], np.ones(n_kinds, np.int64), problem.price[kinds]])
    cap_start, cap_list = _lists(problem.cap_member.T)
    foe_start, foe_list = _lists(problem.conflict)
    room = np.vstack([capacity[kinds], bins[first]])
    allowed = np.vstack([problem.compatible[:, kinds].T, problem.bin_compatible[:, first].T])
    fits = (demand[None, :, :] <= room[:, None, :]).all(axis=2) if len(demand) else np.ones_like(allowed)
    capped_out = (caps[:, :, None] < 1) & problem.cap_member[None, :, :]
    allowed = allowed & fits & ~capped_out.any(axis=1)
    arrays = Arrays(
        demand=np.ascontiguousarray(demand),
        room=np.ascontiguousarray(room),
        allowed=np.ascontiguousarray(allowed),
        caps=np.ascontiguousarray(caps.astype(np.int64)),
        price=np.concatenate([problem.price[kinds], np.zeros(n_bins)]).astype(np.float64),
        risk=np.concatenate([problem.interruption_percent[kinds], np.zeros(n_bins)]).astype(np.float64),
        stock=np.concatenate([np.full(n_kinds, NO_LIMIT), [len(m) for m in bins_of]]).astype(np.int64),
        lean=np.concatenate([lean, np.ones(n_bins, np.bool_)]).astype(np.bool_),
        pool=np.concatenate([problem.pool[kinds], np.full(n_bins, -1)]).astype(np.int64),
        pool_use=np.vstack([use, np.zeros((n_bins, use.shape[1]), np.int64)]).astype(np.int64),
        cap_start=cap_start,
        cap_list=cap_list,
        foe_start=foe_start,
        foe_list=foe_list,
    )
    nothing = np.zeros(0, np.int64)
    return Instance(
        problem=problem,
        arrays=arrays,
        kind_of=np.concatenate([kinds, np.full(n_bins, -1)]).astype(np.int64),
        bins_of=tuple(nothing for _ in kinds) + tuple(bins_of),
        upper=upper,
        placeable=np.asarray(allowed.any(axis=0)),
        pool_left=np.maximum(problem.pool_left, 0).astype(np.int64),
    )


def _upper(problem: Problem) -> IntArray:
    """Most pods a group can have in any allowed split of its family: the family's pods less what others surely have."""
    families = int(problem.family.max(initial=-1)) + 1
    pods = np.zeros(families, np.int64)
    sure = np.zeros(families, np.int64)
    np.add.at(pods, problem.family, problem.count)
    np.add.at(sure, problem.family, problem.sure_count)
    spare = np.maximum(pods - sure, 0)
    upper: IntArray = np.maximum(problem.sure_count + spare[problem.family], problem.count)
    return upper


def _kinds(problem: Problem, demand: IntArray, capacity: IntArray, upper: IntArray) -> tuple[IntArray, BoolArray]:
    """The kinds worth keeping, and which of them can be part of a cheapest plan.

    A kind loses to another that holds as much, is open to the same groups or more, costs no more and is under no
    tighter limit; it is kept for its lower risk if it has one.
    """
    if problem.kinds == 0 or problem.groups == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.bool_)
    # More room than all pods that may come is no advantage.
    useful = np.minimum(capacity.astype(np.float64), upper.astype(np.float64) @ demand.astype(np.float64))
    open_to, which = np.unique(problem.compatible.T, axis=0, return_inverse=True)
    superset = np.array([(open_to | row == open_to).all(axis=1) for row in open_to])  # [i, j]: j is open to all of i
    limited = np.asarray((problem.pool_left < NO_LIMIT).any(axis=1))
    order = np.lexsort((np.arange(problem.kinds), -useful.sum(axis=1), problem.interruption_percent, problem.price))
    keep: list[int] = []
    lean: list[bool] = []
    for kind in order[np.asarray(open_to.any(axis=1))[which[order]]]:
        rivals = np.array(keep, dtype=np.int64)
        if len(rivals):
            beats = np.asarray((useful[rivals] >= useful[kind]).all(axis=1)) & superset[which[kind], which[rivals]]
            same_pool = problem.pool[rivals] == problem.pool[kind]
            no_more = (problem.limit_use[rivals] <= problem.limit_use[kind]).all(axis=1)
            beats &= ~limited[problem.pool[rivals]] | (same_pool & no_more)
            as_safe = problem.interruption_percent[rivals] <= problem.interruption_percent[kind]
            if (beats & as_safe).any():
                continue
            lean.append(not beats.any())
        else:
            lean.append(True)
        keep.append(int(kind))
    return np.array(keep, dtype=np.int64), np.array(lean, dtype=np.bool_)


def _bin_classes(problem: Problem, bins: IntArray) -> list[IntArray]:
    """Bins alike in room, compatibility and what is left of caps, together; bins without room are left out."""
    rows = np.column_stack([bins, problem.bin_compatible.T, problem.bin_cap_left.T]).astype(np.int64)
    fits = np.asarray((problem.demand[:, None, :] <= problem.bins[None, :, :]).all(axis=2))
    useful = np.asarray((problem.bin_compatible & fits).any(axis=0))
    candidates = np.flatnonzero(useful)
    if not len(candidates):
        return []
    _, which = np.unique(rows[candidates], axis=0, return_inverse=True)
    return [candidates[which == i] for i in range(int(which.max()) + 1)]


def _lists(matrix: BoolArray) -> tuple[IntArray, IntArray]:
    """For each row the columns that are true, one after the other, and where each row starts."""
    rows, columns = np.nonzero(matrix)
    start = np.zeros(len(matrix) + 1, np.int64)
    np.add.at(start, rows + 1, 1)
    return np.cumsum(start), columns.astype(np.int64)
