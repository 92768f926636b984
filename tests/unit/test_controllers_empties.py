"""Empty nodes are given back, when they are, and when nobody is about to need them."""

from __future__ import annotations

import pytest

from controller_builders import UNAVAILABLE, World
from spotkube.cluster.resources import NODECLAIMS, NODEPOOLS, PODS


async def empty_node(world: World) -> str:
    name = await world.up_and_running()
    world.kube.drop(PODS, "web-1", "shop")
    return name


def leaving(world: World, name: str) -> bool:
    return "deletionTimestamp" in world.kube.one(NODECLAIMS, name)["metadata"]


async def test_after_the_pools_time_it_is_given_back_and_told_in_a_plan() -> None:
    world = World()
    name = await empty_node(world)

    await world.cycles(2, seconds=29)
    assert not leaving(world, name)
    await world.cycles(2)

    assert leaving(world, name)
    (told,) = [plan for plan in world.plans if plan["status"]["drains"]]
    assert told["status"]["drains"][0]["claim"] == name
    assert told["status"]["costAfterUSDPerHour"] == 0
    assert told["status"]["nodes"] == {"add": 0, "keep": 0, "drain": 1}


async def test_the_time_begins_anew_when_a_pod_came_in_between() -> None:
    world = World()
    name = await empty_node(world)
    await world.cycle(seconds=29)
    world.add_pod("web-2", node=name)
    await world.cycle(seconds=29)
    world.kube.drop(PODS, "web-2", "shop")

    await world.cycles(2, seconds=20)

    assert not leaving(world, name)


@pytest.mark.parametrize(("owner", "gone"), [("DaemonSet/agent", True), ("ReplicaSet/web", False)])
async def test_daemons_do_not_count(owner: str, gone: bool) -> None:
    world = World()
    name = await empty_node(world)
    world.add_pod("agent-1", node=name, owner=owner)

    await world.cycles(3, seconds=40)

    assert leaving(world, name) is gone


@pytest.mark.parametrize(
    "spec",
    [
        {"mode": "Recommend"},
        {"mode": "Paused"},
        {"disruption": {"consolidationPolicy": "Never"}},
        {"disruption": {"consolidateAfter": "10m"}},
    ],
)
async def test_not_where_the_pool_says_otherwise(spec: dict[str, object]) -> None:
    world = World()
    name = await empty_node(world)
    world.kube.change(NODEPOOLS, "pool", {"spec": spec})

    await world.cycles(3, seconds=60)

    assert not leaving(world, name)


async def test_not_while_a_pod_is_on_its_way_to_it() -> None:
    world = World()
    name = await empty_node(world)
    await world.cycle(seconds=100)
    world.add_pod("web-2")

    await world.cycles(4, seconds=40)

    assert not leaving(world, name)
    assert world.pod("web-2")["status"]["nominatedNodeName"] == name


async def test_not_in_the_cycle_in_which_a_plan_puts_a_pod_there() -> None:
    world = World()
    name = await empty_node(world)
    await world.cycle(seconds=20)
    world.add_pod("web-2")
    await world.cycle(seconds=60)  # the search begins, and in the next cycle the node is due

    await world.cycle()

    assert not leaving(world, name)
    assert len(world.cloud.sold) == 1


async def test_nor_while_it_waits_for_pods_that_a_budget_still_holds_elsewhere() -> None:
    world = World()
    old = await world.up_and_running()
    world.kube.budgets_hold = {"web-1"}
    world.kube.mark_deleted(NODECLAIMS, old)
    await world.cycles(5)
    new = next(claim.name for claim in world.claims if claim.name != old)
    world.join(new)

    await world.cycles(20, seconds=60)

    assert not leaving(world, new)
    assert len(world.cloud.sold) == 2


async def test_a_plan_that_cannot_be_written_costs_no_second_one_in_the_same_cycle() -> None:
    world = World()
    name = await empty_node(world)
    world.kube.refuse["create capacityplans"] = UNAVAILABLE
    await world.cycles(3, seconds=40)
    assert not leaving(world, name)
    world.kube.refuse.clear()

    await world.cycle()

    assert leaving(world, name)
    assert world.kube.writes.count(f"delete nodeclaims/{name}") == 1
