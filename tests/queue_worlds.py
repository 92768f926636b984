"""A world with a pool and a queue, for tests of the queue's controllers."""

from __future__ import annotations

from typing import Any

from controller_builders import World
from fake_kube import rfc3339
from spotkube.cluster.resources import FAIRQUEUES, JOBS, NAMESPACES
from spotkube.model import labels as keys


def queue_world() -> World:
    """A pool that may buy 100 cores, two teams, and a queue of 4 cores."""
    world = World()
    world.add_pool(limits={"resources": {"cpu": "100", "memory": "1000Gi"}})
    for name in ("team-a", "team-b"):
        world.kube.put(NAMESPACES, {"metadata": {"name": name, "labels": {"team": name}}})
    add_queue(world, resources=[{"name": "cpu", "nominalQuota": "4"}])
    return world


def add_queue(world: World, name: str = "batch", **spec: Any) -> None:
    raw = {"apiVersion": "spotkube.io/v1alpha1", "kind": "FairQueue", "metadata": {"name": name}, "spec": spec}
    world.kube.put(FAIRQUEUES, raw)


def add_job(world: World, name: str, namespace: str = "team-a", *, cpu: str = "1", **wants: Any) -> None:
    """As the chart's policy makes it: suspended, and marked as held."""
    annotations = {keys.HELD_BY_QUEUE: "true", **wants.get("annotations", {})}
    pod = {
        "containers": [{"name": "main", "image": wants.get("image", "app"), "resources": {"requests": {"cpu": cpu}}}],
        "priorityClassName": wants.get("priority", ""),
    }
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{name}",
        "labels": {keys.QUEUE_NAME: wants.get("queue", "batch")},
        "annotations": annotations if wants.get("held", True) else {},
        "creationTimestamp": rfc3339(world.clock()),
    }
    spec = {
        "suspend": wants.get("suspend", True),
        "parallelism": wants.get("parallelism", 1),
        "completions": wants.get("completions", 1),
        "template": {"spec": pod},
    }
    raw = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": spec,
        "status": wants.get("status", {}),
    }
    world.kube.put(JOBS, raw)


def running(world: World) -> list[str]:
    return sorted(raw["metadata"]["name"] for raw in world.kube.all(JOBS) if not raw["spec"]["suspend"])
