"""From manifests to a Snapshot: what would run in a cluster that was given these objects, and what is there already.

What makes pods counts for those that it would make, less those of its pods that are in the files. Pods without a node
are taken as waiting for one, whoever they belong to. What kube-controller-manager would do at once counts as done.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spotkube.api.nodeclaim import NodeClaim
from spotkube.api.nodepool import NodePool
from spotkube.api.workload import Workload
from spotkube.convert.admission import Admission
from spotkube.convert.binding import with_volumes
from spotkube.convert.checks import converted
from spotkube.convert.documents import Document, ManifestError
from spotkube.convert.kinds import to_claim, to_pool
from spotkube.convert.nodes import to_node, with_volume_limits
from spotkube.convert.objects import Objects, Ref, controller_of, ref_of
from spotkube.convert.pods import to_daemonset, to_namespace, to_pod
from spotkube.convert.sources import Source, sources_of, targets_in
from spotkube.convert.storage import to_storage_class, to_volume, to_volume_claim, to_volume_limits
from spotkube.convert.workloads import to_workload_rule
from spotkube.model import labels as keys
from spotkube.model.cluster import Mode, Node, Pool, Snapshot, WorkloadRule
from spotkube.model.offerings import Offering
from spotkube.model.pods import DaemonSet, Pod
from spotkube.model.resources import PODS
from spotkube.model.volumes import Storage

DEFAULT_POOL = Pool("default")
# The kubelet's default, for Nodes that do not say how many pods they take.
DEFAULT_MAX_PODS = 110


@dataclass(frozen=True, slots=True)
class Manifests:
    """A Snapshot, the "namespace/name" of each of its pods by uid, and remarks on what was assumed or left out."""

    snapshot: Snapshot
    pod_names: Mapping[str, str]
    notes: tuple[str, ...]


def to_snapshot(documents: Sequence[Document], offerings: Sequence[Offering]) -> Manifests:
    """Raises ManifestError naming file, document, field, value and remedy."""
    objects = Objects(documents)
    workloads = {ref_of(d): Workload.from_dict(d.content) for d in objects.of_kind("Workload")}
    targets = targets_in(workloads, objects)
    admission = Admission(objects.of_kind("PriorityClass"), objects.of_kind("RuntimeClass"))
    sources = dict(sources_of(objects, targets, admission))
    nodes = _nodes(objects)
    found = [(pod, _maker(pod, objects)) for pod in _live_pods(objects, admission)]
    made = Counter(maker for _, maker in found)
    pods = [_owned(pod, maker, targets) for pod, maker in found]
    pods += [pod for ref, source in sources.items() for pod in source.pods(made[ref])]
    names = {node.name for node in nodes}
    here = [pod for pod in pods if pod.node is None or pod.node in names]
    storage = _storage(objects)
    here = with_volumes(here, storage)
    pools = tuple(converted(d, to_pool, NodePool.from_dict(d.content)) for d in objects.of_kind("NodePool"))
    snapshot = Snapshot(
        taken_at=0.0,
        pods=tuple(here),
        nodes=tuple(nodes),
        claims=tuple(converted(d, to_claim, NodeClaim.from_dict(d.content)) for d in objects.of_kind("NodeClaim")),
        pools=pools or (DEFAULT_POOL,),
        workloads=tuple(_rules(workloads, sources)),
        daemonsets=tuple(_daemonsets(objects, admission)),
        namespaces=tuple(to_namespace(d.content) for d in objects.of_kind("Namespace")),
        offerings=tuple(offerings),
    )
    notes = [
        *_notes(snapshot, objects, assumed=not pools, elsewhere=len(pods) - len(here)),
        *(f"{name} is not in these files: what it gives to pods is not counted" for name in sorted(admission.missing)),
    ]
    return Manifests(snapshot, {pod.uid: pod.key for pod in here}, tuple(notes))


def _nodes(objects: Objects) -> list[Node]:
    claims = {document.name for document in objects.of_kind("NodeClaim")}
    nodes = [converted(d, to_node, _as_reported(d)) for d in objects.of_kind("Node")]
    nodes = [node if node.claim in claims else replace(node, claim=None) for node in nodes]
    return with_volume_limits(nodes, dict(to_volume_limits(d.content) for d in objects.of_kind("CSINode")))


def _storage(objects: Objects) -> Storage:
    return Storage(
        {claim.key: claim for claim in (to_volume_claim(d.content) for d in objects.of_kind("PersistentVolumeClaim"))},
        {d.name: to_volume(d.content) for d in objects.of_kind("PersistentVolume")},
        {d.name: to_storage_class(d.content) for d in objects.of_kind("StorageClass")},
        settles=True,
    )


def _as_reported(document: Document) -> dict[str, Any]:
    """A Node as its kubelet would report it: one written by hand counts as ready, with all of its capacity for pods."""
    status = document.content["status"]
    allocatable = status.get("allocatable") or status.get("capacity")
    if not allocatable:
        raise ManifestError(f"{document}: status.allocatable: is missing; give cpu, memory and pods")
    reported = {
        "allocatable": {PODS: DEFAULT_MAX_PODS, **allocatable},
        "conditions": status.get("conditions") or [{"type": "Ready", "status": "True"}],
    }
    return {**document.content, "status": {**status, **reported}}


def _live_pods(objects: Objects, admission: Admission) -> Iterator[Pod]:
    for document in objects.of_kind("Pod"):
        pod = converted(document, to_pod, {**document.content, "spec": admission.admit(document.content["spec"])})
        # A daemon's pod comes with its node.
        if pod is not None and (pod.node or not pod.daemon):
            yield pod if pod.node else replace(pod, unschedulable=True)


def _daemonsets(objects: Objects, admission: Admission) -> Iterator[DaemonSet]:
    for document in objects.of_kind("DaemonSet"):
        spec = document.content["spec"]
        template = {**spec["template"], "spec": admission.admit(spec["template"]["spec"])}
        yield converted(document, to_daemonset, {**document.content, "spec": {**spec, "template": template}})


def _maker(pod: Pod, objects: Objects) -> Ref | None:
    """The topmost object of the files that the pod comes from."""
    kind, _, name = pod.owner.partition("/")
    namespace, _, workload = (pod.workload or "").partition("/")
    candidates = (
        controller_of(objects[("Pod", pod.namespace, pod.name)]),
        # A Deployment's pods name its ReplicaSet, which need not be in the files.
        (kind, pod.namespace, name),
        ("Workload", namespace, workload),
    )
    return next((objects.root(ref) for ref in candidates if ref in objects), None)


def _owned(pod: Pod, maker: Ref | None, targets: Mapping[Ref, str]) -> Pod:
    if maker is None:
        return pod
    workload = f"{maker[1]}/{maker[2]}" if maker[0] == "Workload" else targets.get(maker)
    return replace(pod, workload=workload or pod.workload)


def _rules(workloads: Mapping[Ref, Workload], sources: Mapping[Ref, Source]) -> Iterator[WorkloadRule]:
    replicas = {source.workload: source.replicas for source in sources.values()}
    for (_, namespace, name), workload in workloads.items():
        yield to_workload_rule(workload, replicas.get(f"{namespace}/{name}", 0))


def _notes(snapshot: Snapshot, objects: Objects, *, assumed: bool, elsewhere: int) -> Iterator[str]:
    if assumed:
        yield "no NodePool in these files: a pool over the whole catalog is assumed"
    paused = [pool.name for pool in snapshot.pools if pool.mode is Mode.PAUSED]
    if paused:
        yield f"paused and not planned for: NodePool {', '.join(paused)}"
    waiting = [pod for pod in snapshot.pods if pod.node is None]
    if any(pod.workload is None for pod in waiting) and not any(p.allow_unmanaged_on_spot for p in snapshot.pools):
        yield (
            "pods of no Workload are planned on demand, since only a Workload says how much spot it bears; "
            "spec.spot.allowUnmanagedPods of a NodePool lets them onto spot"
        )
    if any(pod.claims and not pod.shape.refused for pod in waiting) and not any(objects.of_kind("StorageClass")):
        yield "no StorageClass in these files: volumes that are not there yet are taken to be made where their pods are"
    if elsewhere:
        yield f"{elsewhere} pods run on nodes that are not in these files: they stay there and are not counted"
    gated = sum(1 for pod in waiting if set(pod.gates) - {keys.PLACEMENT_GATE})
    if gated:
        yield f"{gated} pods have scheduling gates of others: they are not planned until those are gone"
    idle = sorted(node.name for node in snapshot.nodes if not node.ready or node.unschedulable)
    if idle:
        yield f"not ready or cordoned, so nothing is put there: Node {', '.join(idle)}"
    suspended = [d.name for d in objects.of_kind("CronJob") if d.content["spec"].get("suspend")]
    if suspended:
        yield f"suspended, so no run is planned: CronJob {', '.join(suspended)}"
    if objects.unknown:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(objects.unknown.items()))
        yield f"not of kinds that make pods or nodes, and left out: {kinds}"
    if objects.unread:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(objects.unread.items()))
        yield f"NOT PLANNED, since it is not known how many pods these kinds make: {kinds}"
