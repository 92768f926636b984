"""A fleet as plans would have bought it, and pods on it."""

from collections.abc import Iterator, Sequence
from typing import Any

from spotkube.api import NodeClaim
from spotkube.catalog import load_catalog
from spotkube.controllers.plans import Decision, to_claims
from spotkube.model.cluster import Mode, Pool
from spotkube.model.offerings import SPOT, Offering
from spotkube.model.plan import Plan, PlannedNode

NAMESPACE, POOL = "load", "fleet"
INSTANCE_TYPES = ("m6i.2xlarge", "m6a.2xlarge", "m5.2xlarge", "m7i.2xlarge")
MOST_PODS_A_NODE = 40
# ReplicaSets that the pods are of.
OWNERS = 20
# Of the eight cores of a node, so that pods fill it whatever their number.
NODE_CPU_MILLI, MEMORY_MIB, GRACE_SECONDS = 7600, 256, 30
Json = dict[str, Any]


def pool() -> Json:
    """Nothing but notices makes nodes leave."""
    types = {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": list(INSTANCE_TYPES)}
    return {
        "apiVersion": "spotkube.io/v1alpha1",
        "kind": "NodePool",
        "metadata": {"name": POOL},
        "spec": {
            "mode": "Apply",
            "template": {"spec": {"requirements": [types]}},
            "spot": {"allowUnmanagedPods": True},
            "disruption": {"consolidationPolicy": "Never"},
            "readyTimeout": "20m",
        },
    }


def claims(number: int, together: int) -> list[NodeClaim]:
    """The first `together` in one zone and of one type, the others everywhere else."""
    spot = [o for o in load_catalog().offerings if o.instance_type in INSTANCE_TYPES and o.capacity_type == SPOT]
    first, *others = sorted(spot, key=lambda o: (o.zone, o.instance_type))
    others = [offering for offering in others if offering.zone != first.zone]
    chosen = [first] * together + [others[i % len(others)] for i in range(number - together)]
    return list(_claims(chosen))


def _claims(offerings: Sequence[Offering]) -> Iterator[NodeClaim]:
    nodes = tuple(PlannedNode(POOL, offering, (), "a fleet to begin with") for offering in offerings)
    yield from to_claims(Decision(Mode.APPLY, 0, "", Plan(additions=nodes), 0.0), [Pool(POOL)], "fleet", {})


def owner(number: int, replicas: int) -> Json:
    """Its controller does not run: it lacks each pod that leaves, and nobody makes that anew."""
    labels = {"app": "load", "owner": str(number)}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "load"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": f"load-{number}", "namespace": NAMESPACE}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec}


def pod(number: int, node: str, cpu_milli: int) -> Json:
    """Of one `owner` after the other."""
    requests, of = {"cpu": f"{cpu_milli}m", "memory": f"{MEMORY_MIB}Mi"}, str(number % OWNERS)
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"load-{of}", "uid": of, "controller": True}
    labels = {"app": "load", "owner": of}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"p-{number:06}",
            "namespace": NAMESPACE,
            "labels": labels,
            "ownerReferences": [reference],
        },
        "spec": {
            "nodeName": node,
            "containers": [{"name": "main", "image": "load", "resources": {"requests": requests}}],
            "terminationGracePeriodSeconds": GRACE_SECONDS,
        },
    }


def bare_pod(name: str, node: str) -> Json:
    """Of nobody."""
    made = pod(0, node, 0)
    return {**made, "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": "bare"}}}
