"""The problem as the solvers see it: holders of pods and the rules between groups, as arrays for compiled code."""

from dataclasses import dataclass
from typing import NamedTuple

from spotkube.planner.problem import BoolArray, FloatArray, IntArray, Problem


class Arrays(NamedTuple):
    """What compiled code reads. H holders are the node kinds kept, then the classes of like bins.

    Attributes:
        demand: [G, R] what a pod takes.
        room: [H, R] what a holder has.
        allowed: [H, G] whether a pod of the group may be there.
        caps: [H, K + Q] how much of each cap it may hold; what comes after them, for quotas, has no limit here.
        price: [H] micro-dollars an hour; 0 for bins.
        risk: [H] how often in an hour a node of it is interrupted.
        stock: [H] how many there are; NO_LIMIT for node kinds.
        lean: [H] whether the holder can be part of a cheapest plan (the others only serve to lower the risk).
        pool: [H] the pool that pays, -1 for bins.
        pool_use: [H, R0 + 2] what one takes of the pool's limits.
        cap_start, cap_list, cap_use: the caps and quotas that group g counts in are
            cap_list[cap_start[g]:cap_start[g + 1]], and cap_use there is how much a pod counts. So are the lists below.
        foe_start, foe_list: the groups that may not be beside group g.
        need_start, need_list: the needs of group g.
        help_start, help_list: the needs that group g meets for others.
        met: [H, N] 1 where the pods that are there meet the need.
        depth: [G] 0 without needs; else more than that of all who meet them, so that they can be placed first.
        quota_domain: [H, Q] -1 where the quota does not count.
        unmet: [H, G] micro-dollars an hour that a pod's unmet preferences cost there; [0, 0] if nobody has any.
        weight: [G] what leaving out a pod counts: more than all pods of lower ranks together.
        spot_pool: [H] the spot pool, -1 where nothing is interrupted.
        restart, heads, spot_rate, spot_there: as restart, heads, rate and there in Risk.
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
    cap_use: IntArray
    foe_start: IntArray
    foe_list: IntArray
    need_start: IntArray
    need_list: IntArray
    help_start: IntArray
    help_list: IntArray
    met: IntArray
    depth: IntArray
    quota_domain: IntArray
    unmet: FloatArray
    weight: IntArray
    spot_pool: IntArray
    restart: FloatArray
    heads: IntArray
    spot_rate: FloatArray
    spot_there: IntArray


@dataclass(frozen=True, eq=False)
class Instance:
    """A problem reduced.

    Attributes:
        kind_of: [H] the problem's kind behind each holder, -1 for bins.
        bins_of: the problem's bins behind each holder (empty for kinds).
        upper: [G] how many pods any allowed split may put into the group; patterns hold no more.
        placeable: [G] whether any holder takes a pod of the group.
        pool_left: [P, R0 + 2] as in the problem.
        quota_left: [Q, D] as in the problem.
    """

    problem: Problem
    arrays: Arrays
    kind_of: IntArray
    bins_of: tuple[IntArray, ...]
    upper: IntArray
    placeable: BoolArray
    pool_left: IntArray
    quota_left: IntArray

    @property
    def holders(self) -> int:
        return len(self.kind_of)
