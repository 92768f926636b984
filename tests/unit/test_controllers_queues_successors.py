"""A pod that was made in another's stead has its place, and its room, also where the operator was restarted between."""

from __future__ import annotations

import pytest
from test_controllers_kinds import (
    GATE,
    UNAVAILABLE,
    add_pod,
    fill_queue,
    forget_all,
    let_go,
    pods_end,
    why,
)

from controller_builders import World
from queue_worlds import queue_world
from spotkube.cluster.resources import FAIRQUEUES, PODS
from spotkube.controllers.queues.kinds.successors import REMEMBERED_SECONDS

OWNER = "ReplicaSet/web"


@pytest.fixture
async def world() -> World:
    """The queue's four cores are in use, two of them by a pod that runs on a node of ours, and others wait."""
    world = queue_world()
    await fill_queue(world)
    return world


async def has_to_leave(world: World) -> None:
    """Its node ends."""
    (order,) = world.cloud.sold
    world.notice(order.name)
    await world.cycles(2)
    assert "evict pods/web-1" in world.kube.writes


class TestWhoHadToLeaveItsNode:
    async def test_and_is_gone_before_the_next_is_made(self, world: World) -> None:
        await has_to_leave(world)
        pods_end(world)
        world.restart()
        add_pod(world, "web-2", cpu="2", owner=OWNER)

        await world.cycles(2)

        assert let_go(world) == ["filler", "web-2"]

    async def test_and_is_still_ending_when_the_next_is_made(self, world: World) -> None:
        await has_to_leave(world)
        world.restart()
        add_pod(world, "web-2", cpu="2", owner=OWNER)
        await world.cycle()
        assert "web-2" in let_go(world)

        pods_end(world)
        await world.cycles(2)

        assert let_go(world) == ["filler", "web-2"]

    async def test_and_whose_successor_is_made_some_cycles_later(self, world: World) -> None:
        await has_to_leave(world)
        world.restart()
        await world.cycle()
        pods_end(world)
        add_pod(world, "web-2", cpu="2", owner=OWNER)

        await world.cycles(2)

        assert "web-2" in let_go(world)

    async def test_whose_successor_was_known_already(self, world: World) -> None:
        await has_to_leave(world)
        world.kube.refuse["patch pods/web-2"] = UNAVAILABLE
        add_pod(world, "web-2", cpu="2", owner=OWNER)
        await world.cycles(2, seconds=31)
        assert let_go(world) == ["filler"]
        world.kube.refuse.clear()
        world.restart()
        pods_end(world)

        await world.cycles(2)

        assert let_go(world) == ["filler", "web-2"]

    async def test_twice(self, world: World) -> None:
        await has_to_leave(world)
        pods_end(world)
        world.restart()
        add_pod(world, "web-2", cpu="2", owner=OWNER)
        await world.cycles(2, seconds=31)
        world.kube.drop(PODS, "web-2", "team-a")
        world.restart()
        add_pod(world, "web-3", cpu="2", owner=OWNER)

        await world.cycles(2)

        assert let_go(world) == ["filler", "web-3"]


class TestWhoDoesNot:
    @pytest.mark.parametrize(
        "is_", [{"cpu": "1"}, {"cpu": "2", "owner": "ReplicaSet/other"}, {"cpu": "2", "owner": ""}]
    )
    async def test_who_is_not_like_it_waits_in_its_turn(self, world: World, is_: dict[str, str]) -> None:
        await has_to_leave(world)
        pods_end(world)
        world.restart()
        add_pod(world, "web-2", **{"owner": OWNER, **is_})

        await world.cycle()

        assert "web-2" not in let_go(world)
        assert "waits-0" in let_go(world), "the room is free"

    async def test_who_comes_late(self, world: World) -> None:
        await has_to_leave(world)
        pods_end(world)
        world.restart()
        await world.cycle(seconds=REMEMBERED_SECONDS + 1)
        add_pod(world, "web-2", cpu="2", owner=OWNER)

        await world.cycle()

        assert "web-2" not in let_go(world)

    async def test_who_waited_already(self, world: World) -> None:
        add_pod(world, "web-0", cpu="2", owner=OWNER)
        await world.cycles(2, seconds=31)
        await has_to_leave(world)
        pods_end(world)
        world.restart()

        await world.cycle()

        assert "web-0" not in let_go(world)

    async def test_where_nothing_was_kept(self, world: World) -> None:
        await has_to_leave(world)
        pods_end(world)
        forget_all(world)
        add_pod(world, "web-2", cpu="2", owner=OWNER)

        await world.cycle()

        assert "web-2" not in let_go(world)


async def test_who_was_taken_back_waits_in_its_place(world: World) -> None:
    world.kube.change(FAIRQUEUES, "batch", {"spec": {"stopPolicy": "HoldAndDrain"}})
    await world.cycle(seconds=31)
    await world.cycle()
    assert "evict pods/web-1" in world.kube.writes
    pods_end(world)
    world.restart()
    add_pod(world, "web-2", cpu="2", owner=OWNER)

    await world.cycles(2)

    assert GATE in world.kube.one(PODS, "web-2", "team-a")["spec"]["schedulingGates"]
    assert why(world, "web-2") == "QueueHeld"
    memory = world.controllers.queues._memory
    assert memory is not None
    assert "uid-web-1" in set(memory[0].clock.in_order()) and "uid-web-2" not in set(memory[0].clock.in_order())
