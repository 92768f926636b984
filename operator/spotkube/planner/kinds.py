"""What the pools may buy: one node kind an offering and pool, with labels, taints and what its daemons leave free."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spotkube.api import labels as keys
from spotkube.model.cluster import Pool, Snapshot
from spotkube.model.offerings import SPOT, Offering
from spotkube.model.pods import DaemonSet, Labels
from spotkube.planner.groups import Group
from spotkube.planner.labeltable import LabelTable
from spotkube.planner.problem import BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class Kinds:
    """Parallel sequences over the O kinds, and their labels and taints as a table."""

    pools: tuple[Pool, ...]
    pool: IntArray
    offerings: tuple[Offering, ...]
    table: LabelTable
    spot: BoolArray
    unmanaged_allowed: BoolArray
    zones: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.offerings)


def node_labels(pool: Pool, offering: Offering) -> Labels:
    """The labels of a node that the pool buys as this offering (its own name and hostname come with the node)."""
    return tuple(sorted({**dict(offering.labels), **dict(pool.labels), keys.NODEPOOL: pool.name}.items()))


def make_kinds(snapshot: Snapshot, pools: Sequence[Pool], *, include_resting: bool = False) -> Kinds:
    """Every offering that the pools' requirements and risk limits let them buy; dearest pool weight first on ties."""
    pools = tuple(sorted(pools, key=lambda pool: (-pool.weight, pool.name)))
    offerings = [o for o in snapshot.offerings if include_resting or o.key not in snapshot.resting]
    table = LabelTable([o.labels for o in offerings], [()] * len(offerings))
    risk = np.array([o.interruption_percent for o in offerings], dtype=np.int64)
    chosen: list[tuple[int, Offering]] = []
    for index, pool in enumerate(pools):
        # A requirement may name a label that the pool itself gives its nodes.
        own = {**dict(pool.labels), keys.NODEPOOL: pool.name}
        term = tuple(r for r in pool.requirements if r.key not in own)
        if any(not r.matches(own) for r in pool.requirements if r.key in own):
            continue
        mask = table.all_of(term) & (risk <= pool.max_interruption_percent)
        chosen += [(index, offerings[i]) for i in np.flatnonzero(mask)]
    spot = np.array([o.capacity_type == SPOT for _, o in chosen], dtype=np.bool_)
    unmanaged = [o.capacity_type != SPOT or pools[i].allow_unmanaged_on_spot for i, o in chosen]
    return Kinds(
        pools=pools,
        pool=np.array([i for i, _ in chosen], dtype=np.int64),
        offerings=tuple(o for _, o in chosen),
        table=LabelTable([node_labels(pools[i], o) for i, o in chosen], [pools[i].taints for i, _ in chosen]),
        spot=spot,
        unmanaged_allowed=np.array(unmanaged, dtype=np.bool_),
        zones=tuple(o.zone for _, o in chosen),
    )


def kind_mask(kinds: Kinds, group: Group) -> BoolArray:
    """[O] where kube-scheduler and the spot rules would let the group's pods, sizes apart."""
    mask = shape_mask(kinds.table, group)
    if group.capacity_type:
        mask = mask & ~kinds.spot
    if not group.managed:
        mask = mask & kinds.unmanaged_allowed
    return mask & zone_mask(kinds.zones, group)


def shape_mask(table: LabelTable, group: Group) -> BoolArray:
    """Node selector, required node affinity, taints."""
    shape = group.shape
    mask = table.any_of(shape.affinity_terms) & table.tolerated(shape.tolerations)
    for key, value in shape.node_selector:
        mask = mask & np.array([label == value for label in table.column(key)], dtype=np.bool_)
    return mask


def zone_mask(zones: Sequence[str], group: Group) -> BoolArray:
    if not group.zone:
        return np.ones(len(zones), dtype=np.bool_)
    return np.array([zone == group.zone for zone in zones], dtype=np.bool_)


def daemon_overhead(table: LabelTable, daemonsets: Sequence[DaemonSet], resources: Sequence[str]) -> IntArray:
    """[rows, R] what the daemons that would run on each row's node take."""
    taken = np.zeros((len(table), len(resources)), dtype=np.int64)
    for daemonset in daemonsets:
        shape = daemonset.shape
        mask = table.any_of(shape.affinity_terms) & table.tolerated(shape.tolerations)
        for key, value in shape.node_selector:
            mask = mask & np.array([label == value for label in table.column(key)], dtype=np.bool_)
        taken[mask] += np.array([shape.requests[name] for name in resources], dtype=np.int64)
    return taken
