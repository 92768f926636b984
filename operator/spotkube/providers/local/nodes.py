"""The Node objects that instances appear as: played by KWOK, made and removed here as a kubelet and a cloud would."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, cast

from kubernetes.aio import client
from kubernetes.aio.client.exceptions import ApiException

from spotkube.providers.local.machines import Machine

KWOK_ANNOTATION = "kwok.x-k8s.io/node"
DEADLINE_ANNOTATION = "spotkube.io/termination-deadline"
# The sign that the AWS Node Termination Handler puts on a Node when EC2 is about to take it back.
NOTICE_TAINT = "aws-node-termination-handler/spot-itn"
HOSTNAME_LABEL = "kubernetes.io/hostname"
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

    def __init__(self, api: client.ApiClient) -> None:
        self._core: Any = client.CoreV1Api(api)  # takes plain dicts too, which its annotations don't say

    async def register(self, machine: Machine) -> None:
        """Creates the Node, unless this instance has it already. Raises NodeConflict."""
        try:
            await self._core.create_node(node_manifest(machine), _request_timeout=_REQUEST_SECONDS)
        except ApiException as error:
            if error.status != 409:
                raise
            if await self._read(machine) is None:
                raise NodeConflict(
                    f"node {machine.order.name!r} belongs to another instance; delete it, so that {machine.id} can join"
                ) from error

    async def announce(self, machine: Machine) -> None:
        """Puts the sign of a termination notice on the Node, if it is still there."""
        node = await self._read(machine)
        if node is not None:
            await self._core.patch_node(
                machine.order.name,
                notice_patch(node, machine),
                _content_type=_MERGE_PATCH,
                _request_timeout=_REQUEST_SECONDS,
            )

    async def bound_pods(self, machine: Machine) -> tuple[BoundPod, ...]:
        """The pods on the Node that have something to lose: those that are neither Succeeded nor Failed."""
        selector = f"spec.nodeName={machine.order.name},status.phase!=Succeeded,status.phase!=Failed"
        pods: list[BoundPod] = []
        page: str | None = None
        while page != "":
            answer = await self._core.list_pod_for_all_namespaces(
                field_selector=selector, limit=_PAGE, _continue=page, _request_timeout=_REQUEST_SECONDS
            )
            pods += map(_bound_pod, answer.items)
            page = answer.metadata._continue or ""
        return tuple(pods)

    async def remove(self, machine: Machine) -> None:
        """Takes the Node from KWOK, so that nothing plays a machine that is gone, and asks for its deletion.

        Finalizers may hold the object; pods still bound to it are left to the cluster's pod garbage collector.
        """
        node = await self._read(machine)
        if node is None:
            return
        unplug = {"metadata": {"uid": node.metadata.uid, "annotations": {KWOK_ANNOTATION: None}}}
        try:
            await self._core.patch_node(
                machine.order.name, unplug, _content_type=_MERGE_PATCH, _request_timeout=_REQUEST_SECONDS
            )
            await self._core.delete_node(
                machine.order.name,
                body=client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=node.metadata.uid)),
                _request_timeout=_REQUEST_SECONDS,
            )
        except ApiException as error:
            # 409: by now the name belongs to another Node, which is none of ours.
            if error.status not in (404, 409):
                raise

    async def _read(self, machine: Machine) -> Any | None:
        """The Node, if it is this instance's and not another's of the same name."""
        try:
            node = await self._core.read_node(machine.order.name, _request_timeout=_REQUEST_SECONDS)
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return node if node.spec.provider_id == machine.provider_id else None


def node_manifest(machine: Machine) -> dict[str, Any]:
    """The Node as a kubelet registers it: with its status, and not Ready, so no pod is bound before KWOK plays it.

    The API server keeps the status of a Node that is created (of few other kinds), and adds the not-ready taint,
    which the node lifecycle controller takes off when the Node becomes Ready.
    """
    order = machine.order
    labels = dict(order.labels) | {HOSTNAME_LABEL: order.name}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": order.name, "labels": labels, "annotations": {KWOK_ANNOTATION: "fake"}},
        "spec": {
            "providerID": machine.provider_id,
            "taints": [{"key": t.key, "value": t.value, "effect": t.effect.value} for t in order.taints],
        },
        "status": {
            "capacity": order.capacity.to_quantities(),
            "allocatable": order.allocatable.to_quantities(),
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
