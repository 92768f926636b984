"""From a Snapshot and its Plan to the site on which the pods land."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from spotkube.model import labels as keys
from spotkube.model.cluster import Claim, ClaimPhase, Node, Pool, Snapshot
from spotkube.model.offerings import SPOT, Offering
from spotkube.model.plan import Plan, PlannedNode
from spotkube.model.pods import Pod
from spotkube.model.resources import ResourceList
from spotkube.planner.formulation.bins import Bin, KeptBins, make_bins, runs_on
from spotkube.planner.formulation.kinds import node_labels
from spotkube.planner.formulation.volumes import CSI_ZONE_LABELS, Shared, shared_volumes, taken
from spotkube.planner.landing.site import Guest, Place, Site, make_site


def site_of(snapshot: Snapshot, plan: Plan, pools: Sequence[Pool], kept: KeptBins | None = None) -> Site:
    """All nodes, there or planned, and all pods that wait. The snapshot's namespaces are resolved already."""
    bins, shared = make_bins(snapshot, kept), shared_volumes(snapshot)
    nodes, claims = {node.name: node for node in snapshot.nodes}, {claim.name: claim for claim in snapshot.claims}
    # A bin has the name of its claim where it has one.
    nodes |= {node.claim: node for node in snapshot.nodes if node.claim}
    by_name = {pool.name: pool for pool in pools}
    places = [_there(b, nodes.get(b.name), claims.get(b.claim), shared) for b in bins]
    target = {placement.pod: placement.target for placement in plan.placements}
    target |= {pod.uid: b.name for b in bins for pod in b.residents if pod.node is None}
    for number, node in enumerate(plan.additions):
        name = f"planned-{number}"
        places.append(_planned(name, node, by_name[node.pool], snapshot))
        target |= dict.fromkeys(node.pods, name)
    places += _closed(snapshot, bins)
    index = {place.name: number for number, place in enumerate(places)}
    waiting = [pod for pod in snapshot.pods if pod.node is None and not pod.deleting]
    waiting += [replace(pod, node=None) for pod in snapshot.pods if pod.node is not None and pod.uid in target]
    lenient = any(pool.allow_unmanaged_on_spot for pool in snapshot.pools)
    guests = [
        _guest(pod, index.get(target.get(pod.uid, ""), -1), places, lenient=lenient)
        for pod in waiting
        if pod.uid in target or not pod.gates
    ]
    return make_site(places, guests, shared)


def _guest(pod: Pod, target: int, places: Sequence[Place], *, lenient: bool) -> Guest:
    belongs_on_demand = pod.workload is None and not lenient and target >= 0 and not places[target].spot
    return Guest(pod, target, gated=keys.PLACEMENT_GATE in pod.gates, off_spot=belongs_on_demand)


def _there(b: Bin, node: Node | None, claim: Claim | None, shared: Shared) -> Place:
    allocatable = node.allocatable if node is not None and (node.allocatable or claim is None) else _of(claim)
    room = allocatable + {name: left for name, left in b.attachable if name not in allocatable}
    coming = sum((taken(pod.shape, shared) for pod in b.residents if pod.node is None), ResourceList())
    return Place(
        name=b.name,
        labels=b.labels,
        taints=b.taints,
        room=room,
        used=allocatable - b.free - {name: coming[name] for name in allocatable},
        residents=tuple(pod for pod in b.residents if pod.node is not None),
        there=node is not None and _is_open(node, claim),
        spot=b.capacity_type == SPOT,
    )


def _of(claim: Claim | None) -> ResourceList:
    return claim.allocatable if claim is not None else ResourceList()


def _is_open(node: Node, claim: Claim | None) -> bool:
    return claim is None or (claim.phase is ClaimPhase.READY and node.ready)


def _planned(name: str, node: PlannedNode, pool: Pool, snapshot: Snapshot) -> Place:
    labels = labels_of(name, pool, node.offering)
    return Place(
        name=name,
        labels=tuple(sorted(labels.items())),
        taints=pool.taints,
        room=node.offering.allocatable,
        used=daemons_of(snapshot, pool, labels),
        spot=node.offering.capacity_type == SPOT,
    )


def daemons_of(snapshot: Snapshot, pool: Pool, labels: Mapping[str, str]) -> ResourceList:
    """What the daemons of a node to come will take."""
    return sum((d.shape.requests for d in snapshot.daemonsets if runs_on(d, labels, pool.taints)), ResourceList())


def labels_of(name: str, pool: Pool, offering: Offering) -> Mapping[str, str]:
    """The labels of a node to come, by then also those that drivers of volumes give it."""
    labels = dict(node_labels(pool, offering))
    zones = dict.fromkeys(CSI_ZONE_LABELS, labels.get(keys.ZONE, ""))
    return {**zones, **labels, keys.HOSTNAME: name, keys.NODECLAIM: name, "metadata.name": name}


def _closed(snapshot: Snapshot, bins: Sequence[Bin]) -> Iterable[Place]:
    """Nodes that stay and take no more pods: those that stand there still count."""
    taking = {dict(b.labels)["metadata.name"] for b in bins}
    leaving = {claim.node or claim.name for claim in snapshot.claims if claim.leaving}
    closed = {node.name: node for node in snapshot.nodes if node.name not in taking | leaving}
    there: dict[str, list[Pod]] = defaultdict(list)
    for pod in snapshot.pods:
        if pod.node in closed:
            there[pod.node].append(pod)
    for name, node in closed.items():
        yield Place(name, node.labels, node.taints, node.allocatable, residents=tuple(there[name]), closed=True)
