"""A world with a pool and a queue, for tests of the queue's controllers."""

from __future__ import annotations

from typing import Any

from controller_builders import World
from spotkube.cluster.resources import FAIRQUEUES, NAMESPACES


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
