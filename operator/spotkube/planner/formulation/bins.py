"""What is there already: nodes in force and claims on their way, with the room that they have left."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from spotkube.model import labels as keys
from spotkube.model.cluster import Claim, ClaimPhase, Node, Snapshot
from spotkube.model.kept import KeptByName
from spotkube.model.offerings import ON_DEMAND, SPOT
from spotkube.model.pods import DaemonSet, Labels, Pod
from spotkube.model.resources import ResourceList
from spotkube.model.selectors import Taint, untolerated
from spotkube.model.volumes import ATTACHABLE, UNLIMITED
from spotkube.planner.formulation.volumes import Shared, attachable, shared_volumes, taken

# Taints that Kubernetes, or we, put onto a node until it is ready, and take off again.
_PASSING_TAINTS = (
    keys.UNREGISTERED_TAINT,
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/network-unavailable",
    "node.cloudprovider.kubernetes.io/uninitialized",
)
# By which nodes, ours and others, say that they are spot.
_SPOT_LABELS = {
    (keys.CAPACITY_TYPE, SPOT),
    ("karpenter.sh/capacity-type", SPOT),
    ("eks.amazonaws.com/capacityType", "SPOT"),
    ("cloud.google.com/gke-spot", "true"),
    ("cloud.google.com/gke-preemptible", "true"),
    ("kubernetes.azure.com/scalesetpriority", SPOT),
}
# Phases in which a claim has no Node yet; later, a Node that is missing has vanished.
_ON_THE_WAY = (ClaimPhase.PENDING, ClaimPhase.LAUNCHED)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bin:
    """A node that may take pods: `name` is its claim's or, where it has none, the Node's; `claim` "" likewise.

    `residents` are the pods that are bound to it or nominated onto it, `free` what they and its daemons leave.
    `attachable` is how many more volumes of the CSI drivers that name a limit it takes, by resource.
    """

    name: str
    claim: str
    labels: Labels
    taints: tuple[Taint, ...]
    free: ResourceList
    residents: tuple[Pod, ...]
    attachable: tuple[tuple[str, int], ...] = ()

    @property
    def zone(self) -> str:
        return dict(self.labels).get(keys.ZONE, "")

    @property
    def capacity_type(self) -> str:
        return capacity_type_of(self.labels)


class KeptBins:
    """The bins that were made last: to fill thousands of nodes takes a good part of a second, and few change."""

    def __init__(self) -> None:
        self._bins: KeptByName[Bin] = KeptByName()
        self._common: tuple[object, ...] = ()

    def begin(self, *common: object) -> None:
        """`common` is what all bins depend on: where it differs, none is the same."""
        if common != self._common:
            self._bins, self._common = KeptByName(), common

    def of(self, name: str, parts: tuple[object, ...], make: Callable[[], Bin]) -> Bin:
        return self._bins.of(name, parts, make)

    def end(self) -> None:
        self._bins.turn()


def make_bins(snapshot: Snapshot, kept: KeptBins | None = None) -> list[Bin]:
    """Bins of the cluster in a stable order: nodes of ours, of whatever pool, nodes of others, and claims on their way.

    A pod nominated onto a bin keeps its place there as long as it fits. `kept` is of the last call.
    """
    pods_on: dict[str, list[Pod]] = defaultdict(list)
    for pod in snapshot.pods:
        if pod.node:
            pods_on[pod.node].append(pod)
        elif pod.nominated and not pod.deleting:
            pods_on[pod.nominated].append(pod)
    nodes = {node.name: node for node in snapshot.nodes}
    claims = {claim.name: claim for claim in snapshot.claims}
    shared, daemonsets = shared_volumes(snapshot), snapshot.daemonsets
    kept = kept or KeptBins()
    kept.begin(shared, daemonsets)
    bins = []
    for node in sorted(nodes.values(), key=lambda node: node.name):
        claim, pods = claims.get(node.claim or ""), pods_on[node.name]
        if _takes_pods(node, claim):
            make = partial(_from_node, node, claim, pods, daemonsets, shared)
            bins.append(kept.of(f"node/{node.name}", (node, claim, *pods), make))
    for claim in sorted(claims.values(), key=lambda claim: claim.name):
        if claim.phase in _ON_THE_WAY and not claim.leaving and (claim.node or claim.name) not in nodes:
            make = partial(_from_claim, claim, pods_on[claim.name], daemonsets, shared)
            bins.append(kept.of(f"claim/{claim.name}", (claim, *pods_on[claim.name]), make))
    kept.end()
    return bins


def by_node(standing: Iterable[tuple[Pod, Labels]], told_by: Callable[[Labels], T]) -> Iterator[tuple[Pod, T]]:
    """Each pod with what the labels of its node tell, which is found out once a node: its pods come with one and the
    same object."""
    told: dict[int, T] = {}
    for pod, labels in standing:
        if id(labels) not in told:
            told[id(labels)] = told_by(labels)
        yield pod, told[id(labels)]


def capacity_type_of(labels: Labels) -> str:
    """What a node with these labels is; one that does not say so is no spot."""
    return ON_DEMAND if _SPOT_LABELS.isdisjoint(labels) else SPOT


def standing_elsewhere(snapshot: Snapshot, bins: Sequence[Bin]) -> list[tuple[Pod, Labels]]:
    """Pods that stay on nodes which take no more pods (cordoned, not ready), with the labels of their nodes."""
    settled = {pod.uid for b in bins for pod in b.residents}
    leaving = {claim.node or claim.name for claim in snapshot.claims if claim.leaving}
    labels = {node.name: node.labels for node in snapshot.nodes if node.name not in leaving}
    return [(p, labels[p.node]) for p in snapshot.pods if p.node in labels and p.uid not in settled]


def _takes_pods(node: Node, claim: Claim | None) -> bool:
    if node.unschedulable or node.deleting or (node.notice is not None and node.notice.ends_instance):
        return False
    if node.claim is None:
        return node.ready
    if claim is None or claim.leaving:
        return False
    # A node of ours that is not ready yet takes pods as soon as it is; one that was ready before is sick.
    return node.ready or claim.phase is not ClaimPhase.READY


def _from_node(
    node: Node, claim: Claim | None, pods: Sequence[Pod], daemonsets: Sequence[DaemonSet], shared: Shared
) -> Bin:
    taints = tuple(taint for taint in node.taints if taint.key not in _PASSING_TAINTS)
    if claim is not None:
        taints = tuple(taint for taint in taints if taint not in claim.startup_taints)
    labels = tuple(sorted({**dict(node.labels), "metadata.name": node.name}.items()))
    allocatable = node.allocatable if node.allocatable or claim is None else claim.allocatable
    limits = attachable(node, (pod for pod in pods if pod.node), shared)
    name = claim.name if claim else node.name
    return _make(name, claim, labels, taints, allocatable, pods, daemonsets, shared, limits)


def _from_claim(claim: Claim, pods: Sequence[Pod], daemonsets: Sequence[DaemonSet], shared: Shared) -> Bin:
    labels = tuple(sorted({**dict(claim.labels), "metadata.name": claim.name, keys.HOSTNAME: claim.name}.items()))
    drivers = [(name, number) for name, number in claim.allocatable.items() if name.startswith(ATTACHABLE)]
    limits = tuple(
        (name, max(0, number - len(shared.get(name.removeprefix(ATTACHABLE), ())))) for name, number in drivers
    )
    return _make(claim.name, claim, labels, claim.taints, claim.allocatable, pods, daemonsets, shared, limits)


def _make(
    name: str,
    claim: Claim | None,
    labels: Labels,
    taints: tuple[Taint, ...],
    allocatable: ResourceList,
    pods: Sequence[Pod],
    daemonsets: Sequence[DaemonSet],
    shared: Shared,
    limits: tuple[tuple[str, int], ...] = (),
) -> Bin:
    present = {f"{pod.namespace}/{pod.owner.partition('/')[2]}" for pod in pods if pod.daemon}
    coming = [d for d in daemonsets if d.key not in present and runs_on(d, dict(labels), taints)]
    free = allocatable
    for request in (*(pod.shape.requests for pod in pods if pod.node), *(d.shape.requests for d in coming)):
        free = free - request
    residents = [pod for pod in pods if pod.node]
    left = dict(limits)
    for pod in sorted((pod for pod in pods if not pod.node), key=lambda pod: pod.uid):
        brings = taken(pod.shape, shared)
        if pod.shape.requests.fits(free) and all(brings[driver] <= number for driver, number in left.items()):
            free = free - pod.shape.requests
            left = {driver: number - brings[driver] for driver, number in left.items()}
            residents.append(pod)
    return Bin(name, claim.name if claim else "", labels, taints, free, tuple(residents), tuple(left.items()))


def runs_on(daemonset: DaemonSet, labels: Mapping[str, str], taints: Iterable[Taint]) -> bool:
    shape = daemonset.shape
    if any(labels.get(key) != value for key, value in shape.node_selector):
        return False
    if shape.affinity_terms and not any(all(r.matches(labels) for r in term) for term in shape.affinity_terms):
        return False
    return untolerated(taints, shape.tolerations) is None


def _left(b: Bin, name: str) -> int:
    if not name.startswith(ATTACHABLE):
        return b.free[name]
    return dict(b.attachable).get(name, UNLIMITED)


def free_array(bins: Sequence[Bin], resources: Sequence[str]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """[B, R], never negative."""
    rows = [[max(0, _left(b, name)) for name in resources] for b in bins]
    return np.array(rows, dtype=np.int64).reshape(len(bins), len(resources))
