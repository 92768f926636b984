"""What people write on Jobs and pods about the queue that they stand in: labels and annotations."""

import re
from collections.abc import Mapping
from typing import Any

from spotkube.convert.declared import to_declared
from spotkube.model import labels as keys
from spotkube.model.queued import PodGroup, QueuedPod

Json = Mapping[str, Any]
FOREIGN_QUEUE = "kueue.x-k8s.io/queue-name"
# Their pods have another way into a queue, or none.
_NOT_BY_THEMSELVES = ("Job", "DaemonSet", "Node")
_SIZE = re.compile("[1-9][0-9]{0,5}")


def to_queued_pod(raw: Json) -> QueuedPod | None:
    """None for a pod that names no queue, and for those of Jobs, which wait as Jobs, of DaemonSets, and of nodes."""
    metadata = raw["metadata"]
    queue = queue_of(metadata)
    owner = next((one["kind"] for one in metadata.get("ownerReferences") or () if one.get("controller")), "")
    if not queue or owner in _NOT_BY_THEMSELVES:
        return None
    declared = to_declared(metadata.get("annotations") or {})
    container: Json = next(iter(raw["spec"].get("containers") or ()), {})
    return QueuedPod(
        queue=queue,
        image=container.get("image", ""),
        command=(*(container.get("command") or ()), *(container.get("args") or ())),
        run_seconds=declared.run_seconds,
        group=to_group(metadata),
        mistake="; ".join(declared.mistakes),
    )


def queue_of(metadata: Json) -> str:
    """The queue that an object's label names; "" for none, and for an object that stands in a queue of Kueue's."""
    labels = metadata.get("labels") or {}
    return "" if labels.get(FOREIGN_QUEUE) else labels.get(keys.QUEUE_NAME) or ""


def to_group(metadata: Json) -> PodGroup | None:
    """The group that its label names."""
    name = (metadata.get("labels") or {}).get(keys.POD_GROUP_NAME)
    if not name:
        return None
    text = (metadata.get("annotations") or {}).get(keys.POD_GROUP_SIZE)
    remedy = f"say how many pods the whole group {name} has, as in {keys.POD_GROUP_SIZE}: '4', on each of its members"
    if text is None:
        return PodGroup(name, None, f"annotation {keys.POD_GROUP_SIZE} is missing: {remedy}")
    if not _SIZE.fullmatch(text):
        return PodGroup(name, None, f"annotation {keys.POD_GROUP_SIZE}: {text[:40]!r} is no number of pods: {remedy}")
    return PodGroup(name, int(text))
