"""From a Snapshot to the planner's Problem, and the names that lead back from its arrays to pods and offerings."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spotkube.model.cluster import Pool, Snapshot
from spotkube.model.offerings import ON_DEMAND, SPOT
from spotkube.model.plan import Unplaceable
from spotkube.model.pods import NEVER_ON_SPOT, Pod, PodShape, shapes_of
from spotkube.model.resources import PODS, ResourceList
from spotkube.planner.formulation import limits
from spotkube.planner.formulation.affinity import needs_of
from spotkube.planner.formulation.bins import (
    Bin,
    KeptBins,
    by_node,
    capacity_type_of,
    free_array,
    make_bins,
    standing_elsewhere,
)
from spotkube.planner.formulation.choice import with_choice
from spotkube.planner.formulation.explain import why_nothing_fits
from spotkube.planner.formulation.groups import (
    Group,
    OnDemandNeed,
    group_pods,
    is_whole_by_choice,
    project,
    selected_keys,
)
from spotkube.planner.formulation.kinds import (
    Kinds,
    daemon_overhead,
    domain_mask,
    kind_mask,
    make_kinds,
    ports_free,
    shape_mask,
)
from spotkube.planner.formulation.labeltable import LabelTable
from spotkube.planner.formulation.ledger import Ledger, Part, usable
from spotkube.planner.formulation.namespaces import with_namespaces
from spotkube.planner.formulation.neighbours import make_neighbours
from spotkube.planner.formulation.places import Places, other_nodes
from spotkube.planner.formulation.preferences import with_preferences
from spotkube.planner.formulation.quotas import counted_apart, make_quotas
from spotkube.planner.formulation.risk import make_risk
from spotkube.planner.formulation.room import Room
from spotkube.planner.formulation.scopes import Scope
from spotkube.planner.formulation.splitting import Facts, Splitter
from spotkube.planner.formulation.subjects import Subjects
from spotkube.planner.formulation.together import bring_together
from spotkube.planner.formulation.volumes import limit_attachments, reach_mask, shared_volumes, taken
from spotkube.planner.formulation.waiting import pods_to_place
from spotkube.planner.problem import NO_LIMIT, BoolArray, IntArray, Needs, Problem


@dataclass(frozen=True, eq=False)
class Built:
    """A Problem and what its axes stand for; `unplaceable` never came into it.

    `narrowed` says that a choice of domains was made beforehand which the bound of the problem does not see through.
    `opens` [O] are kinds whose purchase would add a domain that a spread counts and that was not reckoned with.
    `vague` are spreads that held pods back since it was not known whom of other groups they count.
    """

    problem: Problem
    groups: tuple[Group, ...]
    kinds: Kinds
    bins: tuple[Bin, ...]
    unplaceable: tuple[Unplaceable, ...]
    narrowed: bool
    opens: BoolArray
    vague: frozenset[Scope]


def build(
    snapshot: Snapshot,
    pools: Sequence[Pool],
    most: Mapping[Part, int] | None = None,
    bought: frozenset[int] = frozenset(),
    apart: frozenset[Scope] = frozenset(),
    kept: KeptBins | None = None,
) -> Built:
    """The problem of placing what waits onto what is there, whosever it is, and onto what `pools` may still buy.

    `most` is how many pods an earlier solution found room for, where it was less than what a domain had been given;
    `bought` are kinds that it bought and whose domains spreads have to reckon with; `apart` are spreads that held pods
    back for fear that they count others, whom they are now told apart from; `kept` as for `make_bins`.
    """
    snapshot = with_namespaces(snapshot)
    bins = make_bins(snapshot, kept)
    settled = {pod.uid for b in bins for pod in b.residents}
    pods = [pod for pod in pods_to_place(snapshot) if pod.uid not in settled]
    elsewhere = standing_elsewhere(snapshot, bins)
    residents = [(pod, b.labels) for b in bins for pod in b.residents] + elsewhere
    kinds = make_kinds(snapshot, pools)
    there = by_node(residents, capacity_type_of)
    needs = on_demand_needs(snapshot, Counter(pod.workload for pod, kind in there if kind == ON_DEMAND))
    together = bring_together(pods, kinds, bins, needs, residents)
    pods, pinned = together, together != pods
    keys = selected_keys([*pods, *(pod for pod, _ in residents)])
    groups = group_pods(pods, keys, needs, counted_apart(snapshot, pools))
    pinned |= any(is_whole_by_choice(group, groups) for group in groups)
    places = Places(kinds, bins, other_nodes(snapshot, bins))
    rows = [(pod, len(kinds) + b) for b, bin_ in enumerate(bins) for pod in bin_.residents]
    rows += [(pod, row) for pod, _ in elsewhere if (row := places.row_of(pod.node or "")) is not None]
    subjects = Subjects([*(g.subject for g in groups), *((p.namespace, project(p.labels, keys)) for p, _ in rows)])
    ledger = Ledger(places, subjects, rows, keys, most or {})
    built = _assemble(snapshot, groups, kinds, bins, ledger, limits.left_over(snapshot, kinds.pools), bought, apart)
    problem = replace(
        with_preferences(built.problem, built.groups, kinds, snapshot.preference_percent),
        quotas=make_quotas(snapshot, built.groups, kinds, bins, residents),
        rank=_ranks(built.groups),
        risk=make_risk(snapshot, built.problem, built.groups, kinds, bins, residents),
    )
    return replace(built, problem=problem, narrowed=built.narrowed or pinned)


def build_fleet(snapshot: Snapshot, pools: Sequence[Pool], placed: Mapping[str, str]) -> Built:
    """The problem of holding the `placed` pods from nothing, without limits: what the bound is taken of.

    Args:
        snapshot, pools: as for `build`.
        placed: the capacity type of the node that each pod (its uid) has in the end.

    Whatever could lift the bound above the cost of what stands already is left out: spreads and pod affinity, since
    pods that run may have come to stand unevenly, and alone; spot rules, where what runs does not keep them; what a
    purchase costs today.
    """
    snapshot = with_namespaces(snapshot)
    pods = _as_placed([pod for pod in snapshot.pods if pod.uid in placed])
    kinds = make_kinds(snapshot, pools, whole_fleet=True)
    on_demand = Counter(pod.workload for pod in pods if placed[pod.uid] == ON_DEMAND)
    on_spot = {pod.workload for pod in pods if placed[pod.uid] == SPOT}
    needs = {
        key: OnDemandNeed(min(need.pods, on_demand[key]), need.never_on_spot and key not in on_spot)
        for key, need in on_demand_needs(snapshot, Counter()).items()
    }
    keys = selected_keys(pods)
    let = {uid for uid, capacity_type in placed.items() if capacity_type == SPOT}  # as they are there already
    groups = group_pods(pods, keys, needs, open_ended=True, let=let)
    ledger = Ledger(Places(kinds, (), ()), Subjects(group.subject for group in groups), (), keys, {})
    return _assemble(snapshot, groups, kinds, (), ledger, [{} for _ in kinds.pools], None)


def on_demand_needs(snapshot: Snapshot, there: Counter[str | None]) -> dict[str, OnDemandNeed]:
    """What each Workload's spot rule leaves to be placed on demand, after its pods that are `there` already."""
    return {
        rule.key: OnDemandNeed(
            pods=max(0, rule.spot.on_demand_count(rule.replicas) - there[rule.key]),
            never_on_spot=rule.spot == NEVER_ON_SPOT,
        )
        for rule in snapshot.workloads
    }


def _as_placed(pods: Sequence[Pod]) -> list[Pod]:
    """The pods without spreads, pod affinity and volumes."""
    bare = {id(shape): _bare(shape) for shape in shapes_of(pods)}
    return [p if (shape := bare[id(p.shape)]) is p.shape else replace(p, shape=shape) for p in pods]


def _bare(shape: PodShape) -> PodShape:
    if not (shape.spread or shape.affinity or shape.attachments or shape.shared_attachments):
        return shape
    return replace(shape, spread=(), affinity=(), attachments=ResourceList(), shared_attachments=ResourceList())


def _assemble(
    snapshot: Snapshot,
    groups: Sequence[Group],
    kinds: Kinds,
    bins: Sequence[Bin],
    ledger: Ledger,
    pool_left: Sequence[Mapping[str, int]],
    bought: frozenset[int] | None,
    apart: frozenset[Scope] = frozenset(),
) -> Built:
    """`bought` None: nothing is split by domains."""
    table = LabelTable([b.labels for b in bins], [b.taints for b in bins])
    groups, refused = _without_unsupported(groups)
    shared = shared_volumes(snapshot)
    demands = {group.shape: taken(group.shape, shared) for group in groups}
    resources = _resources(demands.values(), pool_left)
    free = free_array(bins, resources)
    gross = _amounts([o.allocatable for o in kinds.offerings], resources)
    capacity = np.maximum(gross - daemon_overhead(kinds.table, snapshot.daemonsets, resources), 0)
    limit_attachments(capacity, kinds.offerings, resources, shared)

    def masks(group: Group) -> tuple[BoolArray, BoolArray]:
        demand = _amounts([demands[group.shape]], resources) * group.bundle
        fits = kind_mask(kinds, group) & ports_free(kinds.table, snapshot.daemonsets, group.shape)
        fits &= (capacity >= demand).all(axis=1) & reach_mask(kinds.table, group.shape)
        return (
            # The bound of what stands already must hold for what was bought while there was a choice.
            fits if bought is None else with_choice(kinds, fits),
            _bin_mask(table, bins, group)
            & (free >= demand).all(axis=1)
            & reach_mask(table, group.shape)
            & ports_free(table, snapshot.daemonsets, group.shape),
        )

    narrowed, opens, vague = False, np.zeros(len(kinds), dtype=np.bool_), frozenset[Scope]()
    limits = _limits(pool_left, resources)
    if bought is not None:
        room = Room(ledger.places, kinds, capacity, gross, free, limits, resources, demands)
        splitter = Splitter(groups, ledger, _facts(ledger.places, kinds, masks, room, bought), apart)
        groups = splitter.run()
        refused += splitter.refused
        narrowed, opens, vague = splitter.narrowed, splitter.opens[: len(kinds)], splitter.vague
    bundles = np.array([group.bundle for group in groups], dtype=np.int64)
    demand = _amounts([demands[g.shape] for g in groups], resources) * bundles[:, None]
    compatible = np.zeros((len(groups), len(kinds)), dtype=np.bool_)
    bin_compatible = np.zeros((len(groups), len(bins)), dtype=np.bool_)
    for g, group in enumerate(groups):
        compatible[g], bin_compatible[g] = masks(group)
    keep = compatible.any(axis=1) | bin_compatible.any(axis=1)
    refused += [
        _refuse(groups[g], why_nothing_fits(groups[g], demands[groups[g].shape], kinds, capacity, resources))
        for g in np.flatnonzero(~keep)
    ]
    groups = [groups[g] for g in np.flatnonzero(keep)]
    neighbours = make_neighbours(groups, ledger)
    needs = needs_of(groups, ledger)
    problem = Problem(
        resources=resources,
        group_names=tuple(group.name for group in groups),
        demand=demand[keep],
        count=np.array([group.count for group in groups], dtype=np.int64),
        family=np.unique(np.array([group.family for group in groups], dtype=np.int64), return_inverse=True)[1],
        sure_count=np.array([group.sure_count for group in groups], dtype=np.int64),
        capacity=capacity,
        limit_use=gross,
        price=np.array([o.price_micro_usd_hour for o in kinds.offerings], dtype=np.int64),
        pool=kinds.pool,
        compatible=compatible[keep] & needs.kind_allowed[:, None],
        bins=free,
        bin_compatible=bin_compatible[keep] & neighbours.bin_allowed & needs.bin_allowed,
        conflict=neighbours.conflict,
        cap_use=neighbours.cap_use,
        cap_limit=neighbours.cap_limit,
        bin_cap_left=neighbours.bin_cap_left,
        pool_left=limits,
        needs=Needs(needs.of, needs.member, needs.met),
    )
    narrowed |= neighbours.narrowed
    return Built(problem, tuple(groups), kinds, tuple(bins), tuple(refused), narrowed, opens, vague)


def _facts(
    places: Places,
    kinds: Kinds,
    masks: Callable[[Group], tuple[BoolArray, BoolArray]],
    room: Room,
    bought: frozenset[int],
) -> Facts:
    none = np.zeros(len(places), dtype=np.bool_)
    opened = none.copy()
    opened[list(bought)] = True
    return Facts(
        usable=lambda group: usable(places, *masks(group)),
        for_sale=lambda group: usable(places, kind_mask(kinds, group), none[: places.bins]),
        estimate=room.estimate,
        together=room.together,
        only_one=lambda group, sold: room.only_one(lambda: usable(places, *masks(group)), sold),
        bought=opened,
    )


def _limits(pool_left: Sequence[Mapping[str, int]], resources: Sequence[str]) -> IntArray:
    rows = [[left.get(key, NO_LIMIT) for key in (*resources, limits.NODES, limits.DOLLARS)] for left in pool_left]
    return np.array(rows, dtype=np.int64).reshape(len(pool_left), len(resources) + 2)


def _without_unsupported(groups: Sequence[Group]) -> tuple[list[Group], list[Unplaceable]]:
    refused = [_refuse(group, group.shape.refused) for group in groups if group.shape.refused]
    groups = [group for group in groups if not group.shape.refused]
    problems = [group.shape.unsupported for group in groups]
    refused += [
        _refuse(group, f"uses what the planner does not model: {', '.join(found)}")
        for group, found in zip(groups, problems, strict=True)
        if found
    ]
    return [group for group, found in zip(groups, problems, strict=True) if not found], refused


def _bin_mask(table: LabelTable, bins: Sequence[Bin], group: Group) -> BoolArray:
    """[B] where the group's pods may go, sizes and neighbours apart.

    What must run on demand stays off spot; pods of no Workload go wherever kube-scheduler would put them anyway.
    """
    mask = shape_mask(table, group.shape) & domain_mask(table, group)
    if group.capacity_type:
        mask = mask & np.array([b.capacity_type == group.capacity_type for b in bins], dtype=np.bool_)
    return mask


def _refuse(group: Group, reason: str) -> Unplaceable:
    return Unplaceable(group.name, group.pods, reason)


def _resources(demands: Iterable[ResourceList], pool_left: Sequence[Mapping[str, int]]) -> tuple[str, ...]:
    """Every resource that a pod asks for or a pool limits; "pods" comes last."""
    names = {name for demand in demands for name in demand} | {name for left in pool_left for name in left}
    return (*sorted(names - {PODS, limits.NODES, limits.DOLLARS}), PODS)


def _amounts(rows: Sequence[ResourceList], resources: Sequence[str]) -> IntArray:
    amounts = [[row[name] for name in resources] for row in rows]
    return np.array(amounts, dtype=np.int64).reshape(len(rows), len(resources))


def _ranks(groups: Sequence[Group]) -> IntArray:
    """[G] the priorities of their pods, and of the same priority Jobs below others, as small numbers."""
    priorities = [(group.shape.priority, not group.batch) for group in groups]
    order = {priority: rank for rank, priority in enumerate(sorted(set(priorities)))}
    return np.array([order[priority] for priority in priorities], dtype=np.int64)
