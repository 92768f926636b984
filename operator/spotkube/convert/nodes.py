"""Nodes from their JSON form."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from spotkube.convert.notices import notice_of
from spotkube.convert.pods import to_labels
from spotkube.convert.selectors import to_taints
from spotkube.model import labels as keys
from spotkube.model.cluster import Node
from spotkube.model.resources import ResourceList


def to_node(raw: Mapping[str, Any]) -> Node:
    """Raises ValueError when the allocatable amounts are no quantities."""
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    labels = metadata.get("labels") or {}
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ())
    return Node(
        name=metadata["name"],
        labels=to_labels(labels),
        taints=to_taints(spec.get("taints")),
        allocatable=ResourceList.from_quantities(status.get("allocatable")),
        ready=ready,
        unschedulable=bool(spec.get("unschedulable")),
        claim=labels.get(keys.NODECLAIM),
        deleting=bool(metadata.get("deletionTimestamp")),
        provider_id=spec.get("providerID") or "",
        notice=notice_of(raw),
        finalizers=tuple(metadata.get("finalizers") or ()),
        uid=metadata.get("uid") or "",
    )


def with_volume_limits(nodes: Iterable[Node], limits: Mapping[str, tuple[tuple[str, int], ...]]) -> list[Node]:
    """The nodes with what their CSINodes say of the volumes that they take."""
    return [replace(node, volume_limits=limits[node.name]) if limits.get(node.name) else node for node in nodes]
