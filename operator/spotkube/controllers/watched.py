"""What the operator watches, and what it keeps of each object."""

from spotkube.api import CapacityPlan, FairQueue, NodeClaim, NodePool, Workload
from spotkube.cluster.cache import Cache
from spotkube.cluster.resources import (
    CAPACITYPLANS,
    CSINODES,
    DAEMONSETS,
    DEPLOYMENTS,
    FAIRQUEUES,
    JOBS,
    NAMESPACES,
    NODECLAIMS,
    NODEPOOLS,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODDISRUPTIONBUDGETS,
    PODS,
    PRIORITYCLASSES,
    REPLICASETS,
    STATEFULSETS,
    STORAGECLASSES,
    VOLUMEATTACHMENTS,
    WORKLOADS,
)
from spotkube.convert.ended import to_live_or_ended
from spotkube.convert.nodes import to_node
from spotkube.convert.pods import to_daemonset, to_namespace
from spotkube.convert.replicasets import to_replica_set
from spotkube.convert.storage import to_attachment, to_storage_class, to_volume, to_volume_claim, to_volume_limits
from spotkube.convert.workloads import to_budget, to_source


def add_all(cache: Cache) -> None:
    """Adds every kind that is watched to an empty cache."""
    cache.add(PODS, to_live_or_ended)
    cache.add(NODES, to_node)
    cache.add(DAEMONSETS, to_daemonset)
    cache.add(NAMESPACES, to_namespace)
    cache.add(PERSISTENTVOLUMECLAIMS, to_volume_claim)
    cache.add(PERSISTENTVOLUMES, to_volume)
    cache.add(STORAGECLASSES, to_storage_class)
    cache.add(CSINODES, to_volume_limits)
    cache.add(VOLUMEATTACHMENTS, to_attachment)
    for resource in (JOBS, DEPLOYMENTS, STATEFULSETS):
        cache.add(resource, to_source)
    cache.add(REPLICASETS, to_replica_set)
    cache.add(PODDISRUPTIONBUDGETS, to_budget)
    cache.add(PRIORITYCLASSES, lambda raw: (str(raw["metadata"]["name"]), int(raw.get("value") or 0)))
    cache.add(WORKLOADS, Workload.from_dict)
    cache.add(NODEPOOLS, NodePool.from_dict)
    cache.add(NODECLAIMS, NodeClaim.from_dict)
    cache.add(CAPACITYPLANS, CapacityPlan.from_dict)
    cache.add(FAIRQUEUES, FairQueue.from_dict)
