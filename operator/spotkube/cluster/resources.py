"""The kinds that we read and write, as the API server addresses them."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from spotkube.model.labels import GROUP, VERSION


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object: `group` is empty for the core group, `plural` is the name in URLs."""

    group: str
    version: str
    plural: str
    namespaced: bool
    kind: str

    @property
    def api_version(self) -> str:
        """As in an object's `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """As kubectl and RBAC name it, `nodeclaims.spotkube.io`: unique among kinds, fit for labels of metrics."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path; without `name` that of the collection, without `namespace` that of all namespaces.

        Raises ValueError when one namespaced object is named without its namespace, or a namespace is
        given for a kind that has none.
        """
        if namespace is not None and not self.namespaced:
            raise ValueError(f"{self.name} is cluster-scoped: leave out namespace {namespace!r}")
        if namespace is None and self.namespaced and name is not None:
            raise ValueError(f"{self.name} is namespaced: {name!r} needs a namespace")
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        parts += ["namespaces", namespace] if namespace is not None else []
        parts += [part for part in (self.plural, name, subresource) if part is not None]
        return "/" + "/".join(quote(part, safe="") for part in parts)


PODS: Final = Resource("", "v1", "pods", True, "Pod")
NODES: Final = Resource("", "v1", "nodes", False, "Node")
NAMESPACES: Final = Resource("", "v1", "namespaces", False, "Namespace")
CONFIGMAPS: Final = Resource("", "v1", "configmaps", True, "ConfigMap")
PERSISTENTVOLUMECLAIMS: Final = Resource("", "v1", "persistentvolumeclaims", True, "PersistentVolumeClaim")
PERSISTENTVOLUMES: Final = Resource("", "v1", "persistentvolumes", False, "PersistentVolume")
STORAGECLASSES: Final = Resource("storage.k8s.io", "v1", "storageclasses", False, "StorageClass")
VOLUMEATTACHMENTS: Final = Resource("storage.k8s.io", "v1", "volumeattachments", False, "VolumeAttachment")
CSINODES: Final = Resource("storage.k8s.io", "v1", "csinodes", False, "CSINode")
JOBS: Final = Resource("batch", "v1", "jobs", True, "Job")
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", True, "Deployment")
STATEFULSETS: Final = Resource("apps", "v1", "statefulsets", True, "StatefulSet")
REPLICASETS: Final = Resource("apps", "v1", "replicasets", True, "ReplicaSet")
DAEMONSETS: Final = Resource("apps", "v1", "daemonsets", True, "DaemonSet")
PODDISRUPTIONBUDGETS: Final = Resource("policy", "v1", "poddisruptionbudgets", True, "PodDisruptionBudget")
EVENTS: Final = Resource("events.k8s.io", "v1", "events", True, "Event")
PRIORITYCLASSES: Final = Resource("scheduling.k8s.io", "v1", "priorityclasses", False, "PriorityClass")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", True, "Lease")

WORKLOADS: Final = Resource(GROUP, VERSION, "workloads", True, "Workload")
FAIRQUEUES: Final = Resource(GROUP, VERSION, "fairqueues", False, "FairQueue")
NODEPOOLS: Final = Resource(GROUP, VERSION, "nodepools", False, "NodePool")
NODECLAIMS: Final = Resource(GROUP, VERSION, "nodeclaims", False, "NodeClaim")
CAPACITYPLANS: Final = Resource(GROUP, VERSION, "capacityplans", False, "CapacityPlan")
