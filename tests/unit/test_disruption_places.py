"""Whether there is room elsewhere for pods that shall leave a node, and where."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller_builders import World
from spotkube.cluster.resources import NODECLAIMS, NODES, PODS
from spotkube.controllers.disruption.places import Room, is_gone, movable
from spotkube.controllers.disruption.quiet import QuietNodes
from spotkube.controllers.view import View


async def two_nodes() -> tuple[World, str, str]:
    """One with pod web-1, and an empty one for three cores more."""
    world = World()
    first = await world.up_and_running()
    world.kube.put(
        NODECLAIMS, {**world.kube.one(NODECLAIMS, first), "metadata": {**meta(world, first), "name": "free"}}
    )
    world.kube.change(NODECLAIMS, "free", {"status": {"nodeName": "free"}})
    node = world.node(first)
    for_free = {**node["metadata"]["labels"], "spotkube.io/nodeclaim": "free", "kubernetes.io/hostname": "free"}
    world.kube.put(NODES, {**node, "metadata": {"name": "free", "labels": for_free}})
    return world, first, "free"


def meta(world: World, name: str) -> dict[str, object]:
    kept = world.kube.one(NODECLAIMS, name)["metadata"]
    return {key: value for key, value in kept.items() if key in ("labels", "finalizers")} | {"uid": "uid-free"}


def draining(view: View, name: str, places: dict[str, str], now: float = 0.0) -> frozenset[str]:
    view = replace(view, places=places, now=view.now + now)
    return movable(view.claims[name], view.pods_on[name], view, Room(view))


async def test_a_pod_may_go_when_its_place_is_ready_and_free() -> None:
    world, first, free = await two_nodes()
    view = await world.look()
    assert draining(view, first, {"uid-web-1": free}) == {"uid-web-1"}
    assert draining(view, first, {}) == frozenset()
    assert draining(view, first, {"uid-web-1": "elsewhere"}) == frozenset()


@pytest.mark.parametrize("pods", [0, 9])
async def test_not_when_it_is_not_ready_or_was_taken(pods: int) -> None:
    world, first, free = await two_nodes()
    for number in range(pods):
        world.add_pod(f"other-{number}", node=free)
    if not pods:
        conditions = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
        world.kube.change(NODES, free, conditions)
    assert draining(await world.look(), first, {"uid-web-1": free}) == frozenset()


async def test_one_that_nobody_makes_anew_waits_for_nothing() -> None:
    world, first, _ = await two_nodes()
    world.kube.change(PODS, "web-1", {"metadata": {"ownerReferences": []}}, "shop")
    assert draining(await world.look(), first, {}) == {"uid-web-1"}


async def test_where_the_planned_place_was_taken_another_will_do() -> None:
    world, first, free = await two_nodes()
    view = await world.look()
    pod = view.pods["uid-web-1"]
    assert Room(view).place(pod, free) == free
    assert Room(view).place(pod, "gone") in (first, free)
    fussy = replace(pod, shape=replace(pod.shape, node_selector=(("disk", "ssd"),)))
    assert Room(view).place(fussy, "gone") is None


async def test_a_place_is_gone_with_its_claim_or_node() -> None:
    world, _, free = await two_nodes()
    assert not is_gone(free, await world.look())
    assert is_gone("elsewhere", await world.look())
    world.kube.mark_deleted(NODECLAIMS, free)
    assert is_gone(free, await world.look())


async def test_a_node_is_quiet_when_no_pod_came_or_went_for_a_while() -> None:
    world, first, free = await two_nodes()
    quiet = QuietNodes()
    assert quiet.look(await world.look()) == frozenset()
    world.clock.now += 20
    world.add_pod("web-2", node=free)
    assert quiet.look(await world.look()) == frozenset()
    world.clock.now += 20
    assert quiet.look(await world.look()) == {first}
    world.clock.now += 20
    assert quiet.look(await world.look()) == {first, free}
    world.kube.drop(PODS, "web-1", "shop")
    assert quiet.look(await world.look()) == {free}
