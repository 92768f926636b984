"""ReplicaSets: how many pods they want. A Deployment's wishes reach its pods through them, in turns while it rolls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spotkube.convert.pods import owner_of_replica_set
from spotkube.convert.workloads import SourceKey

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    """`owner` is what its pods call theirs: the Deployment that several of them may belong to, or it itself.
    `blocked`: it can't make its pods, for want of quota or because they are refused."""

    owner: SourceKey
    replicas: int
    blocked: bool = False


def to_replica_set(raw: Json) -> ReplicaSet | None:
    """A ReplicaSet as the API server gives it; None for one that wants no pods, as old revisions do."""
    metadata, replicas = raw["metadata"], (raw.get("spec") or {}).get("replicas")
    if replicas == 0 or metadata.get("deletionTimestamp"):
        return None
    conditions = (raw.get("status") or {}).get("conditions") or ()
    blocked = any(one["type"] == "ReplicaFailure" and one["status"] == "True" for one in conditions)
    owner = metadata["namespace"], owner_of_replica_set(metadata["name"], metadata.get("labels") or {})
    return ReplicaSet(owner, 1 if replicas is None else int(replicas), blocked)
