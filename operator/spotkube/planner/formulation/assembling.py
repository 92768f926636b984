"""The arrays of the planner's Problem: what goes where, what it takes, and what keeps it out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spotkube.model.cluster import Snapshot
from spotkube.model.plan import Unplaceable
from spotkube.model.resources import PODS, ResourceList
from spotkube.planner.formulation import limits
from spotkube.planner.formulation.affinity import needs_of
from spotkube.planner.formulation.bins import Bin, free_array
from spotkube.planner.formulation.choice import with_choice
from spotkube.planner.formulation.explain import why_nothing_fits
from spotkube.planner.formulation.groups import Group
from spotkube.planner.formulation.kinds import Kinds, daemon_overhead, domain_mask, kind_mask, ports_free, shape_mask
from spotkube.planner.formulation.labeltable import LabelTable
from spotkube.planner.formulation.ledger import Ledger, usable
from spotkube.planner.formulation.neighbours import make_neighbours
from spotkube.planner.formulation.places import Places
from spotkube.planner.formulation.room import Room
from spotkube.planner.formulation.scopes import Scope
from spotkube.planner.formulation.splitting import Facts, Splitter
from spotkube.planner.formulation.volumes import limit_attachments, reach_mask, shared_volumes, taken
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


def assemble(
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
