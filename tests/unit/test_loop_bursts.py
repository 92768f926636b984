"""Many nodes that come or go at once: none waits for the slowest, and what a burst takes is replaced by one plan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from builders import make_offering
from controller_builders import UNAVAILABLE, World
from spotkube.api.nodeclaim import Phase
from spotkube.cluster.resources import NODECLAIMS
from spotkube.controllers.claims.reconcile import LONGEST_TURN_SECONDS, turn_seconds
from spotkube.controllers.toolbox import NotLeading
from spotkube.controllers.view import View
from spotkube.model.cluster import Snapshot
from spotkube.providers.port import Instance, InstanceOrder
from spotkube.worker import Planned

PATIENCE_SECONDS = 10.0


async def in_force() -> tuple[World, str, str]:
    world = World()
    first, second = await world.two_decided()
    await world.cycles(2)
    world.join(first)
    world.join(second)
    await world.cycles(3)
    world.schedule()
    await world.cycles(3)
    # What was taken back rests for a while.
    world.cloud.for_sale = (*world.cloud.for_sale, make_offering("m.other", 0.04, spot=True))
    return world, first, second


def test_a_cycle_leaves_time_to_evict_but_not_for_ever() -> None:
    assert turn_seconds(1) < 1.0
    assert turn_seconds(100) > 5.0
    assert turn_seconds(100_000) == LONGEST_TURN_SECONDS


async def test_only_claims_that_leave_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others' pods come meanwhile, and have to be let onto their nodes."""
    world = World()
    first, _ = await world.two_decided()
    told: list[int] = []

    def turn_told(leaving: int) -> float:
        told.append(leaving)
        return turn_seconds(leaving)

    monkeypatch.setattr("spotkube.controllers.claims.reconcile.turn_seconds", turn_told)
    await world.cycle()
    world.kube.mark_deleted(NODECLAIMS, first)

    await world.cycle()

    assert told == [0, 1]


class SlowCloud:
    """Holds back what is ordered for one claim until it is told to `go_on`."""

    def __init__(self, world: World, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on, self.orders = asyncio.Event(), list[str]()
        create = world.cloud.create

        async def slow(order: InstanceOrder) -> Instance:
            self.orders.append(order.name)
            if order.name == name:
                await self.go_on.wait()
            return await create(order)

        monkeypatch.setattr(world.cloud, "create", slow)


async def cycle(world: World) -> None:
    await asyncio.wait_for(world.cycle(), PATIENCE_SECONDS)


async def test_what_was_decided_is_ordered_before_the_next_cycle_and_the_cloud_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world.add_pool()
    for name in ("web-1", "web-2"):
        world.add_pod(name)
    await world.cycle()
    hanging, ordered = asyncio.Event(), list[str]()

    async def hang(order: InstanceOrder) -> Instance:
        ordered.append(order.name)
        await hanging.wait()
        raise AssertionError

    monkeypatch.setattr(world.cloud, "create", hang)
    world.sync()

    await asyncio.wait_for(world.loop.act(), PATIENCE_SECONDS)
    await asyncio.sleep(0.01)

    assert len(ordered) == 2
    assert sorted(ordered) == sorted(claim.name for claim in world.claims)


async def test_no_claim_waits_for_one_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(begins=False)
    first, second = await world.two_decided()
    cloud = SlowCloud(world, first, monkeypatch)

    await cycle(world)
    await cycle(world)

    assert world.claim_named(second).status.phase is Phase.LAUNCHED
    assert world.claim_named(first).status.phase in (None, Phase.PENDING)
    assert cloud.orders.count(first) == 1, "it was begun again"
    cloud.go_on.set()
    await cycle(world)
    await cycle(world)
    assert world.claim_named(first).status.phase is Phase.LAUNCHED
    assert len(world.cloud.sold) == 2


async def test_who_leads_no_more_begins_nothing_and_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    first, _ = await world.two_decided()
    cloud = SlowCloud(world, first, monkeypatch)
    await cycle(world)
    world.kube.writes.clear()

    world.leading = False
    with pytest.raises(NotLeading):
        await cycle(world)
    world.loop._forget()
    cloud.go_on.set()
    for _ in range(100):
        await asyncio.sleep(0)

    assert world.kube.writes == []


async def test_what_one_burst_takes_is_replaced_by_one_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    world, first, second = await in_force()
    patch, plan, leaving = world.kube.patch, world.worker.plan, list[set[str]]()

    async def planned(snapshot: Snapshot, *args: Any, **kwargs: Any) -> Planned:
        leaving.append({claim.name for claim in snapshot.claims if claim.leaving})
        return await plan(snapshot, *args, **kwargs)

    async def patched(resource: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        if resource == NODECLAIMS and name == first and not world.claim_named(first).status.notice:
            world.notice(second, world.clock.now + 120)  # the next one of the burst
            world.sync()
        return await patch(resource, name, *args, **kwargs)

    monkeypatch.setattr(world.kube, "patch", patched)
    monkeypatch.setattr(world.worker, "plan", planned)
    world.notice(first, world.clock.now + 120)
    await cycle(world)

    assert leaving[0] == {first, second}
    await world.cycles(2)
    new = [claim for claim in world.claims if claim.name not in (first, second)]
    assert len(new) == 2
    assert len({claim.spec.plan for claim in new}) == 1, "planned in two parts"


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)


async def test_what_comes_while_others_are_evicted_is_planned_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cycle waits up to LONGEST_TURN_SECONDS for evictions: replacements of later notices came after all of them."""
    world, first, second = await in_force()
    monkeypatch.setattr("spotkube.loop.BESIDE_SECONDS", 0.01)
    monkeypatch.setattr("spotkube.controllers.claims.reconcile.turn_seconds", lambda _: PATIENCE_SECONDS)
    monkeypatch.setattr("spotkube.controllers.claims.evicting.PATIENCE_SECONDS", PATIENCE_SECONDS)
    evict, plan, answer, leaving = world.kube.evict, world.worker.plan, asyncio.Event(), list[set[str]]()

    async def planned(snapshot: Snapshot, *args: Any, **kwargs: Any) -> Planned:
        leaving.append({claim.name for claim in snapshot.claims if claim.leaving})
        return await plan(snapshot, *args, **kwargs)

    async def hanging(*args: Any, **kwargs: Any) -> bool:
        await answer.wait()
        return await evict(*args, **kwargs)

    monkeypatch.setattr(world.worker, "plan", planned)
    monkeypatch.setattr(world.kube, "evict", hanging)
    world.notice(first, world.clock.now + 120)
    running = asyncio.create_task(cycle(world))
    await until(lambda: leaving == [{first}])

    world.notice(second, world.clock.now + 120)
    world.sync()
    assert await world.doors.close_all(PATIENCE_SECONDS)
    await until(lambda: leaving[1:] == [{first, second}])

    assert not running.done(), "it waited for the evictions"
    assert world.claim_named(second).status.notice is not None
    answer.set()
    await running


async def test_a_decision_that_fails_beside_evictions_is_tried_again_by_the_next_cycle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was tried for as long as the evictions took, without a pause."""
    world, first, _ = await in_force()
    monkeypatch.setattr("spotkube.controllers.claims.reconcile.turn_seconds", lambda _: PATIENCE_SECONDS)
    monkeypatch.setattr("spotkube.controllers.claims.evicting.PATIENCE_SECONDS", PATIENCE_SECONDS)
    evict, answer, tries = world.kube.evict, asyncio.Event(), list[int]()

    async def hanging(*args: Any, **kwargs: Any) -> bool:
        await answer.wait()
        return await evict(*args, **kwargs)

    async def failing() -> None:
        tries.append(1)
        raise UNAVAILABLE

    monkeypatch.setattr(world.kube, "evict", hanging)
    monkeypatch.setattr(world.loop, "act", failing)
    world.notice(first, world.clock.now + 120)
    running = asyncio.create_task(cycle(world))
    await until(lambda: bool(tries))
    for _ in range(100):
        await asyncio.sleep(0)

    assert len(tries) == 1
    answer.set()
    await running


async def test_nodes_are_closed_before_anything_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    world, first, second = await in_force()
    patch, look, order = world.kube.patch, world.observer.look, list[str]()

    async def patched(resource: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        after = await patch(resource, name, *args, **kwargs)
        order.append(f"patch {name}")
        return after

    async def looked() -> View:
        order.append("look")
        return await look()

    monkeypatch.setattr(world.kube, "patch", patched)
    monkeypatch.setattr(world.observer, "look", looked)
    for name in (first, second):
        world.notice(name, world.clock.now + 120)
    await cycle(world)

    assert sorted(order[:2]) == sorted([f"patch {first}", f"patch {second}"])
    assert order[2] == "look"


async def test_a_node_that_can_not_be_closed_holds_nothing_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    first, _ = await world.two_decided()
    await world.cycles(2)
    world.join(first)
    await world.cycles(3)
    hanging = asyncio.Event()
    patch = world.kube.patch

    async def patched(resource: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        await hanging.wait()
        return await patch(resource, name, *args, **kwargs)

    monkeypatch.setattr(world.kube, "patch", patched)
    world.notice(first, world.clock.now + 120)
    world.sync()
    await asyncio.wait_for(world.doors.settled(0.01), PATIENCE_SECONDS)
    assert not await world.doors.close_all(), "there was nothing to close"
    hanging.set()
    assert await world.doors.close_all(PATIENCE_SECONDS)
