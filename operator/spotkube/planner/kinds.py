"""What the pools may buy: one node kind an offering and pool, with labels, taints and what its daemons leave free."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spotkube.model import labels as keys
from spotkube.model.cluster import Pool, Snapshot
from spotkube.model.offerings import SPOT, Offering
from spotkube.model.pods import DaemonSet, Labels, PodShape
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


# Labels that every node has and whose value is only known once it is there: they exist, and equal nothing.
_OF_EACH_NODE = dict.fromkeys((keys.HOSTNAME, keys.NODECLAIM, "metadata.name"), "\0")


def node_labels(pool: Pool, offering: Offering) -> Labels:
    """The labels of a node that the pool buys as this offering (its own name and hostname come with the node).

    Kubelets still set the beta labels, and charts still select by them.
    """
    beta = {f"beta.{key}": value for key, value in offering.labels if key in (keys.OS, keys.ARCH)}
    return tuple(sorted({**dict(offering.labels), **beta, **dict(pool.labels), keys.NODEPOOL: pool.name}.items()))


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
        table=LabelTable([_table_row(pools[i], o) for i, o in chosen], [pools[i].taints for i, _ in chosen]),
        spot=spot,
        unmanaged_allowed=np.array(unmanaged, dtype=np.bool_),
        zones=tuple(o.zone for _, o in chosen),
    )


def _table_row(pool: Pool, offering: Offering) -> Labels:
    return (*node_labels(pool, offering), *_OF_EACH_NODE.items())


def kind_mask(kinds: Kinds, group: Group) -> BoolArray:
    """[O] where kube-scheduler and the spot rules would let the group's pods, sizes apart."""
    mask = shape_mask(kinds.table, group.shape)
    if group.capacity_type:
        mask = mask & ~kinds.spot
    if not group.managed:
        mask = mask & kinds.unmanaged_allowed
    return mask & zone_mask(kinds.zones, group)


def shape_mask(table: LabelTable, shape: PodShape) -> BoolArray:
    """Node selector, required node affinity, taints."""
    mask = table.any_of(shape.affinity_terms) & table.tolerated(shape.tolerations)
    for key, value in shape.node_selector:
        mask = mask & np.array([label == value for label in table.column(key)], dtype=np.bool_)
    return mask


def zone_mask(zones: Sequence[str], group: Group) -> BoolArray:
    allowed = {zone: zone == (group.zone or zone) and zone not in group.barred_zones for zone in set(zones)}
    return np.fromiter((allowed[zone] for zone in zones), dtype=np.bool_, count=len(zones))


def daemon_overhead(table: LabelTable, daemonsets: Sequence[DaemonSet], resources: Sequence[str]) -> IntArray:
    """[rows, R] what the daemons that would run on each row's node take."""
    taken = np.zeros((len(table), len(resources)), dtype=np.int64)
    for daemonset in daemonsets:
        requests = daemonset.shape.requests
        taken[shape_mask(table, daemonset.shape)] += np.array([requests[name] for name in resources], dtype=np.int64)
    return taken


def ports_free(table: LabelTable, daemonsets: Sequence[DaemonSet], shape: PodShape) -> BoolArray:
    """[rows] where no daemon takes a port of the node that the pod wants."""
    free = np.ones(len(table), dtype=np.bool_)
    for daemonset in daemonsets:
        if set(daemonset.shape.host_ports) & set(shape.host_ports):
            free &= ~shape_mask(table, daemonset.shape)
    return free
