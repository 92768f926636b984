"""What the pools may buy: one node kind an offering and pool, with labels, taints and what its daemons leave free."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from spotkube.model import labels as keys
from spotkube.model.cluster import Claim, Pool, Snapshot
from spotkube.model.offerings import SPOT, Offering, OfferingKey
from spotkube.model.pods import DaemonSet, Labels, PodShape
from spotkube.model.selectors import Taint
from spotkube.planner.formulation.groups import Group
from spotkube.planner.formulation.labeltable import LabelTable
from spotkube.planner.formulation.scopes import Scope
from spotkube.planner.formulation.volumes import CSI_ZONE_LABELS
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


def make_kinds(snapshot: Snapshot, pools: Sequence[Pool], *, whole_fleet: bool = False) -> Kinds:
    """Every offering that the pools' requirements and risk limits let them buy; dearest pool weight first on ties.

    For the `whole_fleet` those that rest count too, and so does what the pools hold: at the price and with the size
    that it was bought with, even where they may not buy it any more.
    """
    pools = tuple(sorted(pools, key=lambda pool: (-pool.weight, pool.name)))
    chosen = list(_bought(_Same(snapshot.offerings), pools, frozenset() if whole_fleet else snapshot.resting))
    if whole_fleet:
        chosen = list(dict.fromkeys(chosen + _held(snapshot.claims, pools)))
    unmanaged = [k.offering.capacity_type != SPOT or pools[k.pool].allow_unmanaged_on_spot for k in chosen]
    return Kinds(
        pools=pools,
        pool=np.array([kind.pool for kind in chosen], dtype=np.int64),
        offerings=tuple(kind.offering for kind in chosen),
        table=LabelTable([kind.labels for kind in chosen], [kind.taints for kind in chosen]),
        spot=np.array([kind.offering.capacity_type == SPOT for kind in chosen], dtype=np.bool_),
        unmanaged_allowed=np.array(unmanaged, dtype=np.bool_),
    )


class _Same(NamedTuple):
    """Equal to itself alone: to compare thousands of offerings takes as long as what is saved."""

    offerings: tuple[Offering, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.offerings is other.offerings

    def __hash__(self) -> int:
        return id(self.offerings)


@lru_cache(maxsize=4)
def _bought(same: _Same, pools: tuple[Pool, ...], resting: frozenset[OfferingKey]) -> tuple["_Kind", ...]:
    """What each pool may buy of what is offered; most plans ask for the same as the one before."""
    offerings = [o for o in same.offerings if o.key not in resting]
    table = LabelTable([o.labels for o in offerings], [()] * len(offerings))
    risk = np.array([o.interruption_percent for o in offerings], dtype=np.int64)
    chosen: list[_Kind] = []
    for index, pool in enumerate(pools):
        # A requirement may name a label that the pool itself gives its nodes.
        own = {**dict(pool.labels), keys.NODEPOOL: pool.name}
        term = tuple(r for r in pool.requirements if r.key not in own)
        if any(not r.matches(own) for r in pool.requirements if r.key in own):
            continue
        mask = table.all_of(term) & (risk <= pool.max_interruption_percent)
        buying = [_priced(offerings[i], pool) for i in np.flatnonzero(mask)]
        chosen += [_Kind(index, o, table_row(node_labels(pool, o)), pool.taints) for o in buying]
    return tuple(chosen)


def _priced(offering: Offering, pool: Pool) -> Offering:
    """The offering at the price of a node of this pool."""
    extra = pool.per_node_micro_usd_hour
    return replace(offering, price_micro_usd_hour=offering.price_micro_usd_hour + extra) if extra else offering


class _Kind(NamedTuple):
    pool: int
    offering: Offering
    labels: Labels
    taints: tuple[Taint, ...]


def _held(claims: Iterable[Claim], pools: Sequence[Pool]) -> list[_Kind]:
    index = {pool.name: i for i, pool in enumerate(pools)}
    held = []
    for claim in claims:
        if claim.pool in index and not claim.leaving:
            labels = tuple(item for item in claim.labels if item[0] != keys.NODECLAIM)
            offering = Offering(
                *claim.offering,
                price_micro_usd_hour=claim.price_micro_usd_hour,
                arch=dict(labels).get(keys.ARCH, ""),
                capacity=claim.allocatable,
                allocatable=claim.allocatable,
                labels=labels,
            )
            held.append(_Kind(index[claim.pool], offering, table_row(labels), claim.taints))
    return held


def table_row(labels: Labels) -> Labels:
    """The labels of a node to buy, with those that it gets when it is there."""
    zone = dict(labels).get(keys.ZONE, "")
    return (*((key, zone) for key in CSI_ZONE_LABELS if zone), *labels, *_OF_EACH_NODE.items())


def kind_mask(kinds: Kinds, group: Group) -> BoolArray:
    """[O] where kube-scheduler and the spot rules would let the group's pods, sizes apart."""
    mask = shape_mask(kinds.table, group.shape)
    if group.capacity_type:
        mask = mask & ~kinds.spot
    if not group.managed:
        mask = mask & kinds.unmanaged_allowed
    return mask & domain_mask(kinds.table, group)


def shape_mask(table: LabelTable, shape: PodShape) -> BoolArray:
    """Node selector, required node affinity, taints, and the labels without which rules between pods never hold."""
    return node_mask(table, shape) & table.tolerated(shape.tolerations) & topology_mask(table, shape)


def node_mask(table: LabelTable, shape: PodShape) -> BoolArray:
    """Node selector and required node affinity."""
    mask = table.any_of(shape.affinity_terms)
    for key, value in shape.node_selector:
        mask = mask & table.has(key, value)
    return mask


def topology_mask(table: LabelTable, shape: PodShape) -> BoolArray:
    """A node without the key of a spread or of a term of pod affinity is never taken; for anti-affinity it is."""
    mask = np.ones(len(table), dtype=np.bool_)
    for key in shape.topology_keys:
        mask &= ~table.has(key, None)
    return mask


def domain_mask(table: LabelTable, group: Group) -> BoolArray:
    """[rows] with the values of topology keys that the group is given, and without those barred to it."""
    mask = np.ones(len(table), dtype=np.bool_)
    for key, value in group.where:
        mask &= key.has(table, value) if isinstance(key, Scope) else table.has(key, value)
    for key, value in group.barred:
        mask &= ~table.has(key, value)
    return mask


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
        if any(port.clashes(other) for port in daemonset.shape.host_ports for other in shape.host_ports):
            free &= ~shape_mask(table, daemonset.shape)
    return free
