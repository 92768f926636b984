"""The scheduler brings Nodes and takes them away in time, whatever the API server does."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fakecloud import Clock, make_order, make_pod, open_cloud, settle

from spotkube.providers.local.cloud import Delays, FakeCloud
from spotkube.providers.local.machines import Machine
from spotkube.providers.local.nodes import BoundPod
from spotkube.providers.local.scheduler import MAX_RETRY_SECONDS, Scheduler
from spotkube.providers.local.store import Store
from spotkube.providers.local.wire import FaultsMessage
from spotkube.providers.port import InstanceState


class FakeNodes:
    """Remembers the calls; `broken` ones fail, those of `hung` names never return."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.called = asyncio.Event()
        self.broken: set[str] = set()
        self.hung: set[str] = set()

    async def _called(self, call: str, machine: Machine) -> None:
        self.calls.append((call, machine.order.name))
        self.called.set()
        if machine.order.name in self.hung:
            await asyncio.Event().wait()
        if call in self.broken:
            raise ConnectionError("the API server is down")

    async def register(self, machine: Machine) -> None:
        await self._called("register", machine)

    async def announce(self, machine: Machine) -> None:
        await self._called("announce", machine)

    async def power_off(self, machine: Machine) -> tuple[BoundPod, ...]:
        await self._called("power_off", machine)
        return (make_pod(),)

    async def remove(self, machine: Machine) -> None:
        await self._called("remove", machine)


class World:
    """A cloud with its scheduler, and a clock that wakes it."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.cloud, self._store = open_cloud(path, self.clock)
        self.nodes = FakeNodes()
        self._task = asyncio.create_task(Scheduler(self.cloud, self.nodes, self.clock).run())

    async def later(self, seconds: float) -> None:
        """Time passes, and the scheduler looks at the clock, as it would have by itself."""
        self.clock.pass_by(seconds)
        self.cloud.changed()
        for _ in range(50):
            await asyncio.sleep(0)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._store.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path / "cloud.db")
    yield world
    await world.stop()


def last_event(cloud: FakeCloud) -> str:
    return cloud.events()[-1].event


async def test_a_whole_life(world: World) -> None:
    machine, _ = world.cloud.create(make_order("a"))
    await world.later(1.9)
    assert world.nodes.calls == []
    await world.later(0.1)
    assert world.nodes.calls == [("register", "a")]
    world.cloud.interrupt(machine.id, 120)
    await settle(lambda: world.nodes.calls[-1] == ("announce", "a"))
    await world.later(119.9)
    assert world.nodes.calls[-1] == ("announce", "a")
    await world.later(0.1)
    assert world.nodes.calls[-2:] == [("power_off", "a"), ("remove", "a")]
    assert [event.event for event in world.cloud.events()] == [
        *("launched", "registered", "noticed", "announced", "terminated", "removed")
    ]
    assert world.cloud.open_machines() == ()


async def test_it_wakes_by_itself_when_something_is_due(tmp_path: Path) -> None:
    """With the real clock: no test's hand moves it."""
    clock = asyncio.get_running_loop().time
    order, nodes = make_order("a"), FakeNodes()
    store = Store(tmp_path / "cloud.db")
    cloud = FakeCloud(store, [order.offering], Delays(0.05, 0.05), clock)
    task = asyncio.create_task(Scheduler(cloud, nodes, clock).run())
    cloud.create(order)
    async with asyncio.timeout(20):
        await nodes.called.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    store.close()
    assert nodes.calls == [("register", "a")]


async def test_a_failed_errand_is_repeated_ever_more_seldom_and_at_last_done(world: World) -> None:
    world.nodes.broken = {"register"}
    world.cloud.create(make_order("a"))
    await world.later(2)
    assert len(world.nodes.calls) == 1, "not repeated at once"
    await world.later(MAX_RETRY_SECONDS)
    await world.later(0.01)
    assert len(world.nodes.calls) == 2, "the delay has grown"
    world.nodes.broken = set()
    await world.later(MAX_RETRY_SECONDS)
    assert len(world.nodes.calls) == 3
    assert last_event(world.cloud) == "registered"


async def test_a_deadline_kills_while_the_api_server_is_down(world: World) -> None:
    world.nodes.broken = {"register", "announce", "power_off", "remove"}
    machine, _ = world.cloud.create(make_order("a"))
    noticed = world.cloud.interrupt(machine.id, 30)
    assert noticed is not None
    await world.later(2)
    await world.later(28)
    assert [each.state for each in world.cloud.list()] == [InstanceState.TERMINATED]

    world.nodes.broken = set()
    await world.later(60)
    [event] = [each for each in world.cloud.events() if each.event == "terminated"]
    assert event.at == noticed.deadline
    assert [each["name"] for each in event.detail["lost_pods"]] == ["web-1"]
    assert last_event(world.cloud) == "removed"


async def test_one_node_that_hangs_holds_up_no_other(world: World) -> None:
    world.nodes.hung = {"a"}
    for name in ("a", "b"):
        world.cloud.create(make_order(name))
    await world.later(2)
    await world.later(10)
    assert Counter(world.nodes.calls) == {("register", "a"): 1, ("register", "b"): 1}
    assert last_event(world.cloud) == "registered"


async def test_one_that_never_joins_runs_without_a_node(world: World) -> None:
    world.cloud.set_faults(FaultsMessage(never_register=1))
    world.cloud.create(make_order("a"))
    await world.later(100)
    assert [each.state for each in world.cloud.list()] == [InstanceState.RUNNING]
    assert world.nodes.calls == []


async def test_a_restart_takes_up_what_was_owed(tmp_path: Path) -> None:
    before = World(tmp_path / "cloud.db")
    before.nodes.broken = {"register"}
    before.cloud.create(make_order("a"))
    await before.later(2)
    await before.stop()

    after = World(tmp_path / "cloud.db")
    await after.later(2)
    assert after.nodes.calls == [("register", "a")]
    await after.stop()
