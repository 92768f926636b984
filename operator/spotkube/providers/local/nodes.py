"""The Node objects that instances appear as: played by KWOK, made and removed here as a kubelet and a cloud would."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, cast

from kubernetes.aio import client
from kubernetes.aio.client.exceptions import ApiException

from spotkube.providers.local.machines import Machine

KWOK_ANNOTATION = "kwok.x-k8s.io/node"
# What the local cluster's stages for KWOK go by: how long after its creation a Node turns Ready.
READY_DELAY_ANNOTATION = "spotkube.io/ready-delay"
DEADLINE_ANNOTATION = "spotkube.io/termination-deadline"
# The sign that the AWS Node Termination Handler puts on a Node when EC2 is about to take it back.
NOTICE_TAINT = "aws-node-termination-handler/spot-itn"
HOSTNAME_LABEL = "kubernetes.io/hostname"
# Who holds the Lease of a Node whose machine is gone, and for how long: longer than any cluster of ours lives.
GONE_IDENTITY = "spotkube-fakecloud-terminated"
GONE_SECONDS = 10 * 365 * 24 * 3600
_LEASE_NAMESPACE = "kube-node-lease"
_MERGE_PATCH = "application/merge-patch+json"
_REQUEST_SECONDS = 10.0
_PAGE = 500


class NodeConflict(Exception):  # noqa: N818 - reads as the state it tells of
    """There is a Node of this name that belongs to something else."""


@dataclass(frozen=True, slots=True)
class BoundPod:
    """A pod that was bound to a Node when its instance ended. `owner` is "Kind/name", "" for a bare pod."""

    namespace: str
    name: str
    uid: str
    phase: str
    owner: str
    deleting: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class ClusterNodes:
    """What the fake cloud does at the API server. Every call may be repeated; all raise ApiException or OSError."""

    def __init__(self, api: client.ApiClient, ready_seconds: float | None = None) -> None:
        """`ready_seconds` from Node to Ready; None leaves it to the cluster."""
        self._ready_seconds = ready_seconds
        self._core: Any = client.CoreV1Api(api)  # takes plain dicts too, which its annotations don't say
        self._coordination: Any = client.CoordinationV1Api(api)

    async def register(self, machine: Machine) -> None:
        """Creates the Node, unless this instance has it already. Raises NodeConflict."""
        try:
            await self._core.create_node(node_manifest(machine, self._ready_seconds), _request_timeout=_REQUEST_SECONDS)
        except ApiException as error:
            if error.status != 409:
                raise
            node = await self._read(machine)
            if node is None or not _belongs(node, machine):
                raise NodeConflict(
                    f"node {machine.order.name!r} belongs to another instance; delete it, so that {machine.id} can join"
                ) from error

    async def announce(self, machine: Machine) -> None:
        """Puts the sign of a termination notice on the Node, if it is still there."""
        node = await self._read(machine)
        if node is not None and _belongs(node, machine):
            await self._core.patch_node(
                machine.order.name,
                notice_patch(node, machine),
                _content_type=_MERGE_PATCH,
                _request_timeout=_REQUEST_SECONDS,
            )

    async def power_off(self, machine: Machine) -> tuple[BoundPod, ...]:
        """Stops KWOK from playing the Node, and returns the pods that are lost: those neither Succeeded nor Failed.

        Whatever becomes of the Node object now, its heartbeat ends. KWOK ends pods on it until it has seen that its
        Lease is gone, so the list returned here, and not how a pod ended, tells what was lost.
        """
        node = await self._read(machine)
        if node is not None and not _belongs(node, machine):
            return ()
        if node is not None:
            await self._take_lease(node)
        return await self._bound_pods(machine.order.name)

    async def remove(self, machine: Machine) -> None:
        """Asks for the Node's deletion. Finalizers may hold it; its pods are the cluster's to collect."""
        node = await self._read(machine)
        if node is None or not _belongs(node, machine):
            return
        mine = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=node.metadata.uid))
        try:
            await self._core.delete_node(machine.order.name, body=mine, _request_timeout=_REQUEST_SECONDS)
        except ApiException as error:
            # 409: by now the name belongs to another Node, which is none of ours.
            if error.status not in (404, 409):
                raise

    async def _read(self, machine: Machine) -> Any | None:
        """The Node of this name, whosever it is."""
        try:
            return await self._core.read_node(machine.order.name, _request_timeout=_REQUEST_SECONDS)
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    async def _take_lease(self, node: Any) -> None:
        """KWOK plays a Node, and its pods, only for as long as it holds the Node's Lease."""
        lease = lease_manifest(node, datetime.now(UTC))
        try:
            await self._coordination.patch_namespaced_lease(
                node.metadata.name,
                _LEASE_NAMESPACE,
                {"spec": lease["spec"]},
                _content_type=_MERGE_PATCH,
                _request_timeout=_REQUEST_SECONDS,
            )
        except ApiException as error:
            if error.status != 404:
                raise
            # KWOK has only just seen the Node. If its Lease comes first, this fails, and is repeated.
            await self._coordination.create_namespaced_lease(_LEASE_NAMESPACE, lease, _request_timeout=_REQUEST_SECONDS)

    async def _bound_pods(self, node_name: str) -> tuple[BoundPod, ...]:
        selector = f"spec.nodeName={node_name},status.phase!=Succeeded,status.phase!=Failed"
        pods: list[BoundPod] = []
        page: str | None = None
        while page != "":
            answer = await self._core.list_pod_for_all_namespaces(
                field_selector=selector, limit=_PAGE, _continue=page, _request_timeout=_REQUEST_SECONDS
            )
            pods += map(_bound_pod, answer.items)
            page = answer.metadata._continue or ""
        return tuple(pods)


def _belongs(node: Any, machine: Machine) -> bool:
    return bool(node.spec.provider_id == machine.provider_id)


def node_manifest(machine: Machine, ready_seconds: float | None = None) -> dict[str, Any]:
    """The Node as a kubelet registers it: with its status, and not Ready, so no pod is bound before KWOK plays it.

    The API server keeps the status of a Node that is created (of few other kinds), and adds the not-ready taint,
    which the node lifecycle controller takes off when the Node becomes Ready, or has no condition that says.
    """
    order = machine.order
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    starting = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "the node is starting"}
    labels = dict(order.labels) | {HOSTNAME_LABEL: order.name}
    delay = {} if ready_seconds is None else {READY_DELAY_ANNOTATION: f"{ready_seconds:g}s"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": order.name, "labels": labels, "annotations": {KWOK_ANNOTATION: "fake", **delay}},
        "spec": {
            "providerID": machine.provider_id,
            "taints": [{"key": t.key, "value": t.value, "effect": t.effect.value} for t in order.taints],
        },
        "status": {
            "capacity": order.capacity.to_quantities(),
            "allocatable": order.allocatable.to_quantities(),
            "conditions": [{**starting, "lastHeartbeatTime": now, "lastTransitionTime": now}],
        },
    }


def notice_patch(node: Any, machine: Machine) -> dict[str, Any]:
    """Adds the taint and the deadline to a Node as it was read; the version keeps taints that came in between."""
    assert machine.deadline is not None
    others = [
        {"key": taint.key, "value": taint.value or "", "effect": taint.effect}
        | ({"timeAdded": taint.time_added.isoformat()} if taint.time_added else {})
        for taint in node.spec.taints or ()
        if taint.key != NOTICE_TAINT
    ]
    notice = {"key": NOTICE_TAINT, "value": machine.notice_id, "effect": "NoSchedule"}
    return {
        "metadata": {
            "resourceVersion": node.metadata.resource_version,
            "annotations": {DEADLINE_ANNOTATION: format_time(machine.deadline)},
        },
        "spec": {"taints": [*others, notice]},
    }


def lease_manifest(node: Any, now: datetime) -> dict[str, Any]:
    """The Lease of a Node whose machine is gone: never renewed, not free for KWOK to take. It goes with the Node."""
    owner = {"apiVersion": "v1", "kind": "Node", "name": node.metadata.name, "uid": node.metadata.uid}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": node.metadata.name, "ownerReferences": [owner]},
        "spec": {
            "holderIdentity": GONE_IDENTITY,
            "leaseDurationSeconds": GONE_SECONDS,
            "renewTime": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        },
    }


def format_time(at: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _bound_pod(pod: Any) -> BoundPod:
    owners = [f"{owner.kind}/{owner.name}" for owner in pod.metadata.owner_references or () if owner.controller]
    return BoundPod(
        namespace=cast("str", pod.metadata.namespace),
        name=cast("str", pod.metadata.name),
        uid=cast("str", pod.metadata.uid),
        phase=cast("str", pod.status.phase),
        owner=owners[0] if owners else "",
        deleting=pod.metadata.deletion_timestamp is not None,
    )
