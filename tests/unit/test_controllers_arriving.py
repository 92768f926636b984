"""What is written while nodes join: next to nothing for those that are in use within seconds."""

from __future__ import annotations

from controller_builders import World
from spotkube.cluster.resources import NODES
from spotkube.controllers.claims.arriving import JOINING_SECONDS
from spotkube.controllers.claims.reconcile import SAID_AFTER_SECONDS
from spotkube.model.labels import TERMINATION_FINALIZER, UNREGISTERED_TAINT

SOON = 0.25
"""Seconds between cycles while nodes are on their way."""


async def bought(world: World) -> str:
    """A claim whose instance was bought and has not joined."""
    world.add_pool()
    world.add_pod()
    await world.cycles(3, seconds=SOON)
    world.kube.writes.clear()
    return world.claim.name


def of_claim_and_node(world: World) -> list[str]:
    return [line for line in world.kube.writes if " nodeclaims/" in line or " nodes/" in line]


async def test_a_node_that_has_its_pods_soon_is_written_of_once() -> None:
    world = World()
    name = await bought(world)

    world.join(name, ready=False)
    await world.cycles(2, seconds=SOON)
    world.join(name)
    await world.cycles(2, seconds=SOON)
    world.schedule()
    await world.cycles(2, seconds=SOON)

    assert of_claim_and_node(world) == [f"patch nodes/{name}", f"patch nodeclaims/{name}/status"]
    assert world.claim.status.phase == "Ready"
    assert list(world.claim.status.phase_times) == ["Pending", "Launched", "Registered", "Ready"]
    node = world.kube.one(NODES, name)
    assert TERMINATION_FINALIZER in node["metadata"]["finalizers"]
    assert all(taint["key"] != UNREGISTERED_TAINT for taint in node["spec"].get("taints") or ())


async def test_of_one_that_takes_its_time_it_is_said_where_it_stands() -> None:
    world = World()
    name = await bought(world)
    assert world.claim.status.message == "its instance has not joined yet"

    world.join(name, ready=False)
    await world.cycle(seconds=JOINING_SECONDS)
    assert of_claim_and_node(world) == []

    await world.cycle(seconds=SAID_AFTER_SECONDS)
    assert world.claim.status.phase == "Registered"
    assert TERMINATION_FINALIZER in world.kube.one(NODES, name)["metadata"]["finalizers"]

    await world.cycle()
    assert world.claim.status.message == "its Node is not Ready yet"
