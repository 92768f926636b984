"""Jobs are let go beside the cycle: what the API server has not answered yet is neither forgotten nor given twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from controller_builders import World
from queue_worlds import add_job, queue_world, running
from spotkube.cluster.errors import Unavailable
from spotkube.cluster.resources import JOBS, Resource
from spotkube.controllers.queues import turns
from spotkube.model.labels import EXPECTED_RUN_TIME


class SlowDoor:
    """An API server that answers patches of Jobs only while it is open."""

    def __init__(self, world: World) -> None:
        self.open = asyncio.Event()
        self.asked: list[str] = []
        self.error: Exception | None = None
        self._patch = world.kube.patch
        world.kube.patch = self.patch  # type: ignore[method-assign]

    async def patch(self, resource: Resource, name: str, body: Any, **how: Any) -> Any:
        if resource == JOBS:
            self.asked.append(name)
            await self.open.wait()
            if self.error is not None:
                raise self.error
        return await self._patch(resource, name, body, **how)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A queue of 4 cores."""
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.01)
    return queue_world()


@pytest.fixture
async def door(world: World) -> SlowDoor:
    return SlowDoor(world)


async def test_a_cycle_does_not_wait_for_who_is_let_go(world: World, door: SlowDoor) -> None:
    add_job(world, "first")
    await world.cycle()
    assert door.asked == ["first"]
    assert running(world) == []

    door.open.set()
    await world.cycle()
    assert running(world) == ["first"]
    assert door.asked == ["first"], "it was let go a second time"


async def test_who_is_being_let_go_has_his_room(world: World, door: SlowDoor) -> None:
    """A shorter job would come before it, and does not: both together are above the quota."""
    add_job(world, "long", parallelism=3, completions=3, annotations={EXPECTED_RUN_TIME: "1h"})
    await world.cycle()
    add_job(world, "short", "team-b", parallelism=3, completions=3, annotations={EXPECTED_RUN_TIME: "1m"})
    await world.cycles(3)
    assert door.asked == ["long"]

    door.open.set()
    await world.cycles(3)
    assert running(world) == ["long"]


async def test_also_when_prices_change_meanwhile(world: World, door: SlowDoor) -> None:
    """Jobs are valued anew then."""
    add_job(world, "long", parallelism=3, completions=3, annotations={EXPECTED_RUN_TIME: "1h"})
    await world.cycle()
    world.cloud.for_sale = tuple(
        replace(one, price_micro_usd_hour=one.price_micro_usd_hour + 1) for one in world.cloud.for_sale
    )
    add_job(world, "short", "team-b", parallelism=3, completions=3, annotations={EXPECTED_RUN_TIME: "1m"})
    await world.cycles(3)
    assert door.asked == ["long"]


async def test_one_that_could_not_be_let_go_waits_again(world: World, door: SlowDoor) -> None:
    door.error = Unavailable(500, "InternalError", "etcd is away")
    door.open.set()
    add_job(world, "first")
    await world.cycle()
    assert running(world) == []

    door.error = None
    await world.cycles(2)
    assert running(world) == ["first"]


async def test_what_is_not_begun_yet_is_decided_about_again(world: World, door: SlowDoor) -> None:
    """Only so many are let go at a time; a job that has been deleted meanwhile is not asked for any more."""
    for number in range(40):
        add_job(world, f"job-{number:02d}", cpu="100m")
    await world.cycle()
    begun = set(door.asked)
    assert len(begun) < 40
    last = max(name for name in (f"job-{number:02d}" for number in range(40)) if name not in begun)
    world.kube.drop(JOBS, last, "team-a")

    await world.cycle()
    door.open.set()
    await world.cycles(3)
    assert running(world) == sorted({f"job-{number:02d}" for number in range(40)} - {last})
    assert last not in door.asked
    assert len(door.asked) == 39


async def test_another_leader_does_not_go_on_with_it(world: World, door: SlowDoor) -> None:
    for number in range(40):
        add_job(world, f"job-{number:02d}", cpu="100m")
    await world.cycle()
    begun = len(door.asked)

    world.controllers.queues.forget()
    door.open.set()
    await asyncio.sleep(0.01)
    assert len(door.asked) == begun
