"""From the problem to what the solvers see: without node kinds that can't win, like bins together, as arrays."""

import numpy as np

from spotkube.planner.instance import Arrays, Instance
from spotkube.planner.packing.packing import best_pattern
from spotkube.planner.packing.scratch import make_work
from spotkube.planner.problem import NO_LIMIT, BoolArray, FloatArray, IntArray, Needs, Problem, rate_of
from spotkube.planner.reduced.worthwhile import worthwhile_kinds

# Weights of ranks end here, so that sums over all pods stay exact.
MOST_WEIGHT = 2**40
# Enough to find one pod with the few that it needs beside it.
BRANCHES = 10_000


def reduce_problem(problem: Problem) -> Instance:
    """Drops what can't matter; every plan of the problem keeps a plan of the instance that costs no more."""
    wanted = problem.demand.max(axis=0, initial=0) > 0
    wanted[-1:] = True
    demand, capacity, bins = problem.demand[:, wanted], problem.capacity[:, wanted], problem.bins[:, wanted]
    upper = _upper(problem)
    kinds, lean = worthwhile_kinds(problem, demand, capacity, upper)
    bins_of = _bin_classes(problem, bins)
    first = np.array([members[0] for members in bins_of], dtype=np.int64)
    n_kinds, n_bins = len(kinds), len(first)
    use = np.column_stack([problem.limit_use[kinds], np.ones(n_kinds, np.int64), problem.price[kinds]])
    # What has no limit is not counted: sums of it could leave the 64 bits.
    use[problem.pool_left[problem.pool[kinds]] >= NO_LIMIT] = 0
    room = np.vstack([capacity[kinds], bins[first]])
    allowed = np.vstack([problem.compatible[:, kinds].T, problem.bin_compatible[:, first].T])
    fits = (demand[None, :, :] <= room[:, None, :]).all(axis=2) if len(demand) else np.ones_like(allowed)
    quotas, needs, risk = problem.quotas, problem.needs, problem.spot
    spot_pool = np.concatenate([risk.spot_pool[kinds], risk.bin_pool[first]]).astype(np.int64)
    domain = (
        np.hstack([quotas.domain[:, kinds], quotas.bin_domain[:, first]]).T
        if len(quotas.use)
        else _empty(n_kinds + n_bins)
    )
    caps, cap_use = _caps(problem, kinds, first)
    allowed = allowed & fits
    for k, one in enumerate(cap_use):
        allowed &= one[None, :] <= caps[:, k, None]
    cap_start, cap_list = _lists(cap_use.T > 0)
    foe_start, foe_list = _lists(problem.conflict)
    of = np.zeros((len(needs.of), problem.groups), np.bool_)
    of[np.arange(len(needs.of)), needs.of] = True
    need_start, need_list = _lists(of.T)
    help_start, help_list = _lists(needs.member.reshape(of.shape).T)
    met = np.vstack([np.zeros((n_kinds, len(of)), np.int64), needs.met.reshape(len(of), len(bins))[:, first].T])
    arrays = Arrays(
        demand=np.ascontiguousarray(demand),
        room=np.ascontiguousarray(room),
        allowed=np.ascontiguousarray(allowed),
        caps=np.ascontiguousarray(caps),
        price=np.concatenate([problem.price[kinds], np.zeros(n_bins)]).astype(np.float64),
        risk=rate_of(risk, spot_pool),
        stock=np.concatenate([np.full(n_kinds, NO_LIMIT), [len(m) for m in bins_of]]).astype(np.int64),
        lean=np.concatenate([lean, np.ones(n_bins, np.bool_)]).astype(np.bool_),
        pool=np.concatenate([problem.pool[kinds], np.full(n_bins, -1)]).astype(np.int64),
        pool_use=np.vstack([use, np.zeros((n_bins, use.shape[1]), np.int64)]).astype(np.int64),
        cap_start=cap_start,
        cap_list=cap_list,
        cap_use=cap_use.T[cap_use.T > 0].astype(np.int64),
        foe_start=foe_start,
        foe_list=foe_list,
        need_start=need_start,
        need_list=need_list,
        help_start=help_start,
        help_list=help_list,
        met=np.ascontiguousarray(met, dtype=np.int64),
        depth=_depth(problem.needs, problem.groups),
        quota_domain=np.ascontiguousarray(domain, dtype=np.int64),
        unmet=_unmet(problem, kinds, n_bins),
        weight=_weight(problem),
        spot_pool=spot_pool,
        restart=risk.restart.astype(np.float64),
        heads=risk.heads.astype(np.int64),
        spot_rate=risk.rate.astype(np.float64),
        spot_there=risk.there.astype(np.int64),
    )
    keep_company(problem, arrays)
    nothing = np.zeros(0, np.int64)
    return Instance(
        problem=problem,
        arrays=arrays,
        kind_of=np.concatenate([kinds, np.full(n_bins, -1)]).astype(np.int64),
        bins_of=tuple(nothing for _ in kinds) + tuple(bins_of),
        upper=upper,
        placeable=np.asarray(arrays.allowed.any(axis=0)),
        pool_left=np.maximum(problem.pool_left, 0).astype(np.int64),
        quota_left=np.maximum(quotas.left, 0).astype(np.int64),
    )


def keep_company(problem: Problem, arrays: Arrays) -> None:
    """Forbids groups with needs the holders on which these can't be met: what would meet them has no room there."""
    work = make_work(problem.groups, arrays.demand.shape[1], arrays.caps.shape[1], arrays.met.shape[1])
    for g in sorted(set(problem.needs.of.tolist()), key=lambda g: int(arrays.depth[g])):
        value = np.zeros(problem.groups)
        value[g] = 1.0
        one = np.where(np.arange(problem.groups) == g, 1, problem.count)
        for h in np.flatnonzero(arrays.allowed[:, g]):
            charges = np.zeros(arrays.demand.shape[1])
            _, upper = best_pattern(
                arrays, work, arrays.room[h], arrays.caps[h], arrays.met[h], arrays.allowed[h], one, value, charges,
                0.0, BRANCHES, 1.0, False,
            )  # fmt: skip
            arrays.allowed[h, g] = upper > 0.0


def _empty(rows: int) -> IntArray:
    return np.zeros((rows, 0), np.int64)


def _caps(problem: Problem, kinds: IntArray, bins: IntArray) -> tuple[IntArray, IntArray]:
    """[H, K + Q] what a holder may hold of each cap, and [K + Q, G] what a pod counts.

    Quotas are for the search to keep: here they have no limit, since bounds leave them out.
    """
    holders, quotas = len(kinds) + len(bins), problem.quotas.use.reshape(len(problem.quotas.use), problem.groups)
    caps = np.vstack([np.tile(problem.cap_limit, (len(kinds), 1)), problem.bin_cap_left[:, bins].T])
    free = np.full((holders, len(quotas)), NO_LIMIT)
    return np.hstack([caps, free]).astype(np.int64), np.vstack([problem.cap_use, quotas]).astype(np.int64)


def _depth(needs: Needs, groups: int) -> IntArray:
    """Raises ValueError where needs lead round in a circle: nobody could be placed first."""
    depth = np.zeros(groups, np.int64)
    for _ in range(len(needs.of) + 1):
        before = depth.copy()
        for group, member in zip(needs.of, needs.member, strict=True):
            depth[group] = max(depth[group], depth[member].max(initial=0) + 1)
        if (depth == before).all():
            return depth
    raise ValueError("needs.member: groups need each other in a circle; leave them out, since none can be placed first")


def _unmet(problem: Problem, kinds: IntArray, bins: int) -> FloatArray:
    """[H, G]"""
    preferences = problem.preferences
    if not (preferences.profile >= 0).any():
        return np.zeros((0, 0))
    costs = np.vstack([preferences.cost[:, kinds], np.zeros((1, len(kinds)), np.int64)])  # profile -1: the last row
    unmet = np.vstack([costs[preferences.profile].T, np.zeros((bins, problem.groups))])
    # Compiled code is made for one order in memory.
    return np.ascontiguousarray(unmet, dtype=np.float64)


def _weight(problem: Problem) -> IntArray:
    """[G] 1 for the lowest rank, and for each higher one more than all pods below; as far as that can be counted."""
    rank = problem.rank if len(problem.rank) else np.zeros(problem.groups, np.int64)
    weight = np.ones(problem.groups, np.int64)
    below = 0
    for level in np.unique(rank):
        weight[rank == level] = below + 1
        below = min(below + (below + 1) * int(problem.count[rank == level].sum()), MOST_WEIGHT)
    return weight


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


def _bin_classes(problem: Problem, bins: IntArray) -> list[IntArray]:
    """Bins alike in all that matters, together; bins without room are left out."""
    rows = np.column_stack(
        [
            bins,
            problem.bin_compatible.T,
            problem.bin_cap_left.T,
            problem.needs.met.reshape(len(problem.needs.of), len(bins)).T,
            problem.quotas.bin_domain.reshape(len(problem.quotas.use), len(bins)).T,
            problem.spot.bin_pool,
        ]
    ).astype(np.int64)
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
