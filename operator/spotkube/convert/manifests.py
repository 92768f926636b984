"""From manifests to a Snapshot: what would run in a cluster that was given these objects, and what is there already.

What makes pods counts for those that it would make, less those of its pods that are in the files. Pods without a node
are taken as waiting for one, whoever they belong to. What kube-controller-manager would do at once counts as done.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from spotkube.api.nodeclaim import NodeClaim
from spotkube.api.nodepool import NodePool
from spotkube.api.workload import Workload
from spotkube.convert.admission import Admission
from spotkube.convert.binding import with_volumes
from spotkube.convert.budgets import to_disruption_budget
from spotkube.convert.checks import converted
from spotkube.convert.documents import Document, Mistakes
from spotkube.convert.history import CONFIG_MAP, KEY, History, parse_history
from spotkube.convert.kinds import to_claim, to_pool
from spotkube.convert.nodes import to_node, with_volume_limits
from spotkube.convert.objects import Objects, Ref, controller_of, ref_of
from spotkube.convert.pods import to_daemonset, to_namespace, to_pod
from spotkube.convert.sources import Source, sources_of, targets_in
from spotkube.convert.storage import to_storage_class, to_volume, to_volume_claim, to_volume_limits
from spotkube.convert.workloads import to_workload_rule
from spotkube.model import labels as keys
from spotkube.model.cluster import Mode, Node, Pool, Snapshot, WorkloadRule
from spotkube.model.history import SpotPool
from spotkube.model.offerings import SPOT, Offering
from spotkube.model.pods import Pod
from spotkube.model.resources import CPU, MEMORY, PODS
from spotkube.model.volumes import Storage

DEFAULT_POOL = Pool("default")
# The kubelet's default, for Nodes that do not say how many pods they take.
DEFAULT_MAX_PODS = 110
Converted = TypeVar("Converted")


@dataclass(frozen=True, slots=True)
class Manifests:
    """A Snapshot, the "namespace/name" of each of its pods by uid, and remarks on what was assumed or left out."""

    snapshot: Snapshot
    pod_names: Mapping[str, str]
    notes: tuple[str, ...]


def to_snapshot(documents: Sequence[Document], offerings: Sequence[Offering], mistakes: Mistakes) -> Manifests:
    """What can't be used is left out, and noted in `mistakes` by file, document, field, value and remedy."""
    history = [document for document in documents if _is_history(document)]
    objects = Objects([document for document in documents if not _is_history(document)], mistakes)
    seen = parse_history(str((history[-1].content.get("data") or {}).get(KEY))) if history else History()
    workloads = {ref_of(d): Workload.from_dict(d.content) for d in objects.of_kind("Workload")}
    targets = targets_in(workloads, objects, mistakes)
    admission = Admission(objects.of_kind("PriorityClass"), objects.of_kind("RuntimeClass"))
    sources = tuple(sources_of(objects, targets, admission, mistakes))
    nodes = _nodes(objects, mistakes)
    pods = _pods(objects, sources, targets, admission, mistakes)
    names = {node.name for node in nodes}
    here = with_volumes([pod for pod in pods if pod.node is None or pod.node in names], _storage(objects))
    # A NodePool with a mistake is no reason to buy what no NodePool allows.
    assumed = not any((d.group, d.kind) == (keys.GROUP, "NodePool") for d in documents)
    snapshot = Snapshot(
        taken_at=0.0,
        pods=tuple(here),
        nodes=tuple(nodes),
        claims=_converted(objects, "NodeClaim", lambda value: to_claim(NodeClaim.from_dict(value)), mistakes),
        pools=(DEFAULT_POOL,)
        if assumed
        else _converted(objects, "NodePool", lambda value: to_pool(NodePool.from_dict(value)), mistakes),
        workloads=tuple(_rules(workloads, sources)),
        daemonsets=_converted(objects, "DaemonSet", lambda value: to_daemonset(_admitted(value, admission)), mistakes),
        namespaces=tuple(to_namespace(d.content) for d in objects.of_kind("Namespace")),
        budgets=tuple(to_disruption_budget(d.content, here) for d in objects.of_kind("PodDisruptionBudget")),
        offerings=tuple(offerings),
        spot_history=tuple(seen.records[pool] for pool in sorted(seen.records)),
    )
    notes = [
        *(f"ConfigMap {CONFIG_MAP}: {sentence}" for sentence in seen.refused),
        *_strangers(snapshot),
        *_notes(snapshot, objects, assumed=assumed, elsewhere=len(pods) - len(here)),
        *(f"{name} is not in these files: what it gives to pods is not counted" for name in sorted(admission.missing)),
    ]
    return Manifests(snapshot, {pod.uid: pod.key for pod in here}, tuple(notes))


def _is_history(document: Document) -> bool:
    """What the operator keeps of interruptions: kubectl get configmap spotkube-interruptions -o yaml."""
    # Names are checked later.
    name = (document.content.get("metadata") or {}).get("name")
    return (document.group, document.kind, name) == ("", "ConfigMap", CONFIG_MAP)


def _strangers(snapshot: Snapshot) -> Iterator[str]:
    offered = {SpotPool(o.instance_type, o.zone) for o in snapshot.offerings if o.capacity_type == SPOT}
    for record in snapshot.spot_history:
        if record.pool not in offered:
            yield f"ConfigMap {CONFIG_MAP}: {record.pool} is left out, since no such spot is offered"


def _converted(
    objects: Objects, kind: str, convert: Callable[[dict[str, Any]], Converted], mistakes: Mistakes
) -> tuple[Converted, ...]:
    """Each object of the kind that can be converted."""
    found = []
    for document in objects.of_kind(kind):
        with mistakes.collected():
            found.append(converted(document, convert, document.content))
    return tuple(found)


def _nodes(objects: Objects, mistakes: Mistakes) -> list[Node]:
    claims = {document.name for document in objects.of_kind("NodeClaim")}
    nodes = _converted(objects, "Node", lambda value: to_node(_as_reported(value)), mistakes)
    nodes = tuple(node if node.claim in claims else replace(node, claim=None) for node in nodes)
    return with_volume_limits(nodes, dict(to_volume_limits(d.content) for d in objects.of_kind("CSINode")))


def _pods(
    objects: Objects,
    sources: Sequence[tuple[Ref, Source]],
    targets: Mapping[Ref, str],
    admission: Admission,
    mistakes: Mistakes,
) -> list[Pod]:
    """The pods of the files, and those that would be made from them."""
    live = _converted(objects, "Pod", lambda value: to_pod({**value, "spec": admission.admit(value["spec"])}), mistakes)
    # A daemon's pod comes with its node.
    kept = [pod for pod in live if pod is not None and (pod.node or not pod.daemon)]
    found = [(pod if pod.node else replace(pod, unschedulable=True), _maker(pod, objects)) for pod in kept]
    made = Counter((maker, owner) for pod, maker in found for owner in {"", pod.owner})
    pods = [_owned(pod, maker, targets) for pod, maker in found]
    for ref, source in sources:
        with mistakes.collected():
            pods += source.pods(made[ref, source.owner])
    return pods


def _storage(objects: Objects) -> Storage:
    return Storage(
        {claim.key: claim for claim in (to_volume_claim(d.content) for d in objects.of_kind("PersistentVolumeClaim"))},
        {d.name: to_volume(d.content) for d in objects.of_kind("PersistentVolume")},
        {d.name: to_storage_class(d.content) for d in objects.of_kind("StorageClass")},
        settles=True,
    )


def _as_reported(node: dict[str, Any]) -> dict[str, Any]:
    """A Node as its kubelet would report it: one written by hand counts as ready, with all of its capacity for pods."""
    status = node["status"]
    allocatable = status.get("allocatable") or status.get("capacity")
    if not allocatable:
        raise ValueError("status.allocatable: is missing; give cpu, memory and pods")
    reported = {
        "allocatable": {PODS: DEFAULT_MAX_PODS, **allocatable},
        "conditions": status.get("conditions") or [{"type": "Ready", "status": "True"}],
    }
    return {**node, "status": {**status, **reported}}


def _admitted(owner: dict[str, Any], admission: Admission) -> dict[str, Any]:
    spec = owner["spec"]
    template = {**spec["template"], "spec": admission.admit(spec["template"]["spec"])}
    return {**owner, "spec": {**spec, "template": template}}


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


def _rules(workloads: Mapping[Ref, Workload], sources: Sequence[tuple[Ref, Source]]) -> Iterator[WorkloadRule]:
    replicas = Counter[str | None]()
    for _, source in sources:
        replicas[source.workload] += source.replicas
    for (_, namespace, name), workload in workloads.items():
        yield to_workload_rule(workload, replicas[f"{namespace}/{name}"])


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
    modest = sorted(pod.key for pod in waiting if not (pod.shape.requests[CPU] or pod.shape.requests[MEMORY]))
    if modest:
        yield f"{len(modest)} pods request neither cpu nor memory, such as {modest[0]}: they are taken to need none"
    gated = sum(1 for pod in waiting if set(pod.gates) - {keys.PLACEMENT_GATE})
    if gated:
        yield f"{gated} pods have scheduling gates of others: they are not planned until those are gone"
    others = sorted((pod.shape.scheduler_name, pod.key) for pod in waiting if not pod.shape.is_pinnable)
    if others:
        scheduler, example = others[0]
        yield (
            f"{len(others)} pods have a scheduler of their own, such as {example} ({scheduler}): nodes are planned for "
            "them, but it may put them elsewhere, since they are neither gated nor nominated"
        )
    idle = sorted(node.name for node in snapshot.nodes if not node.ready or node.unschedulable)
    if idle:
        yield f"not ready or cordoned, so nothing is put there: Node {', '.join(idle)}"
    suspended = [d.name for d in objects.of_kind("CronJob") if d.content["spec"].get("suspend")]
    if suspended:
        yield f"suspended, so no run is planned: CronJob {', '.join(suspended)}"
    if objects.unknown:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(objects.unknown.items()))
        yield f"left out, since these kinds are not read: {kinds}"
    if objects.unread:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(objects.unread.items()))
        yield f"NOT PLANNED, since it is not known how many pods these kinds make: {kinds}"
