"""Claims, volumes, classes and CSINodes as a real API server and its volume controller make them, read by our cache."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from localcluster.cluster import Cluster
from spotkube.cluster.cache import Cache
from spotkube.cluster.client import KubeClient
from spotkube.cluster.resources import (
    CSINODES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODS,
    STORAGECLASSES,
    Resource,
)
from spotkube.convert.binding import with_volumes
from spotkube.convert.pods import to_pod
from spotkube.convert.storage import to_storage_class, to_volume, to_volume_claim, to_volume_limits
from spotkube.model.pods import PodShape
from spotkube.model.selectors import matches_all
from spotkube.model.volumes import Storage

Kubectl = Callable[..., str]
ZONE = "topology.kubernetes.io/zone"
DRIVER = "test.csi.example.com"
READ: dict[Resource, Callable[[dict[str, Any]], Any]] = {
    PODS: to_pod,
    PERSISTENTVOLUMECLAIMS: to_volume_claim,
    PERSISTENTVOLUMES: to_volume,
    STORAGECLASSES: to_storage_class,
    CSINODES: to_volume_limits,
}


def volume(name: str, zone: str, storage_class: str) -> dict[str, Any]:
    expression = {"key": ZONE, "operator": "In", "values": [zone]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "csi": {"driver": DRIVER, "volumeHandle": name},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}},
        },
    }


def claim(name: str, storage_class: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": storage_class,
        },
    }


def storage_class(name: str, mode: str) -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": mode,
    }


def pod(name: str, claim_name: str) -> dict[str, Any]:
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}]
    spec = {"containers": [{"name": "main", "image": "none"}], "schedulerName": "nobody", "volumes": volumes}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def tag(cluster: Cluster, namespace: str) -> Iterator[str]:
    """Begins the name of each object without a namespace; these are deleted after the test."""
    tag = f"test-{secrets.token_hex(4)}"
    csi_node = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSINode",
        "metadata": {"name": f"{tag}-node"},
        "spec": {"drivers": [{"name": DRIVER, "nodeID": "n", "topologyKeys": [], "allocatable": {"count": 7}}]},
    }
    made = [
        storage_class(f"{tag}-now", "Immediate"),
        storage_class(f"{tag}-later", "WaitForFirstConsumer"),
        volume(f"{tag}-bound", "zone-a", f"{tag}-now"),
        volume(f"{tag}-free", "zone-b", f"{tag}-later"),
        csi_node,
    ]
    cluster.kubectl("create", "-f", "-", input="\n---\n".join(map(json.dumps, made)))
    yield tag
    for kind, name in (("storageclass", "now"), ("storageclass", "later"), ("pv", "bound"), ("pv", "free")):
        cluster.kubectl("delete", kind, f"{tag}-{name}", "--wait=false")
    cluster.kubectl("delete", "csinode", f"{tag}-node")


async def cache_of(cluster: Cluster) -> Cache:
    cache = Cache()
    async with await KubeClient.connect(cluster.kubeconfig) as client:
        for resource, convert in READ.items():
            store = cache.add(resource, convert)
            cache.relist(resource, *await client.list(resource))
            assert store.rejected == {}
    return cache


def zones(shape: PodShape) -> list[str]:
    return [
        zone
        for zone in ("zone-a", "zone-b", "zone-c")
        if all(any(matches_all(term, {ZONE: zone}) for term in terms) for terms in shape.volume_terms)
    ]


async def test_what_the_volume_controller_binds_and_what_waits_for_its_pod(
    cluster: Cluster, kubectl: Kubectl, namespace: str, tag: str
) -> None:
    objects = [
        claim("now", f"{tag}-now"),
        claim("later", f"{tag}-later"),
        claim("never", f"{tag}-now"),
        pod("on-now", "now"),
        pod("on-later", "later"),
        pod("on-never", "never"),
        pod("on-nothing", "nothing"),
    ]
    kubectl("create", "-n", namespace, "-f", "-", input="\n---\n".join(map(json.dumps, objects)))
    kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s", f"pv/{tag}-bound")

    cache = await cache_of(cluster)
    claims, volumes, classes = (
        cache.stores[kind].values() for kind in (PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, STORAGECLASSES)
    )
    storage = Storage({c.key: c for c in claims}, {v.name: v for v in volumes}, {s.name: s for s in classes})
    pods = [one for one in cache.stores[PODS].values() if one.namespace == namespace]
    shapes = {one.name: one.shape for one in with_volumes(pods, storage)}

    # Of two claims for one volume either may have got it.
    bound, unbound = ("on-now", "on-never") if not shapes["on-now"].refused else ("on-never", "on-now")
    assert zones(shapes[bound]) == ["zone-a"]
    assert dict(shapes[bound].attachments) == {f"attachable-volumes-csi-{DRIVER}": 1}
    assert "does not wait for the pod" in shapes[unbound].refused
    assert zones(shapes["on-later"]) == ["zone-b"]
    assert shapes["on-nothing"].refused == f"PersistentVolumeClaim {namespace}/nothing does not exist: create it"
    assert dict(cache.stores[CSINODES].values())[f"{tag}-node"] == ((DRIVER, 7),)
