"""Leader election with clocks that differ, step and stand still. At most one leads at any moment."""

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotkube.cluster.errors import AlreadyExists, Conflict, Unavailable
from spotkube.cluster.leader import LeaderElector, SoleReplica
from spotkube.cluster.leases import Decision, LeaseRecord, LeaseTimes, Observation, decide, observe, renewed
from spotkube.cluster.resources import Resource

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RECORD = LeaseRecord("a", "2026-01-01T12:00:00.000000Z", "2026-01-01T12:00:00.000000Z", 15, 3)


class World:
    """True time, and the one Lease of an API server that checks resourceVersions."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.before_call: Callable[[], Awaitable[None]] | None = None
        self.after_write: Callable[[], None] = lambda: None

    async def _reach(self) -> None:
        if self.before_call is not None:
            await self.before_call()

    def _store(self, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        metadata = {**body["metadata"], "resourceVersion": str(self.version)}
        self.lease = {**body, "metadata": metadata}
        self.after_write()
        return self.lease

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        await self._reach()
        return self.lease

    async def create(self, resource: Resource, body: dict[str, Any], namespace: str | None = None) -> dict[str, Any]:
        await self._reach()
        if self.lease is not None:
            raise AlreadyExists(409, "AlreadyExists", "lease exists")
        return self._store(body)

    async def replace(
        self, resource: Resource, name: str, body: dict[str, Any], *, namespace: str | None = None
    ) -> dict[str, Any]:
        await self._reach()
        if self.lease is None or body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", "the object has been modified")
        return self._store(body)

    @property
    def record(self) -> LeaseRecord:
        assert self.lease is not None
        return LeaseRecord.from_lease(self.lease)


class Replica:
    """An elector whose monotonic clock began at another time, and whose wall clock may say anything."""

    def __init__(self, world: World, identity: str, began_at: float = 0.0) -> None:
        self.world = world
        self.wall_offset = timedelta(0)
        self.heard: list[str] = []
        self.elector = LeaderElector(
            world,
            namespace="spotkube-system",
            name="spotkube",
            identity=identity,
            on_started=lambda: self.heard.append("started"),
            on_stopped=lambda: self.heard.append("stopped"),
            clock=lambda: world.now - began_at,
            wall_clock=lambda: NOON + timedelta(seconds=world.now) + self.wall_offset,
        )

    @property
    def leads(self) -> bool:
        return self.elector.is_leader()

    async def step(self, after_seconds: float = 0.0) -> None:
        self.world.now += after_seconds
        await self.elector.step()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def a(world: World) -> Replica:
    return Replica(world, "a")


@pytest.fixture
def b(world: World) -> Replica:
    return Replica(world, "b", began_at=-86_400.0)


@pytest.mark.parametrize(
    ("seen_for", "holder", "decision"),
    [
        (0.0, "b", Decision.RENEW),
        (99.0, "b", Decision.RENEW),
        (14.9, "a", Decision.WAIT),
        (15.0, "a", Decision.TAKE),
        (0.0, "", Decision.TAKE),
    ],
)
def test_what_b_may_do(seen_for: float, holder: str, decision: Decision) -> None:
    record = LeaseRecord(holder, RECORD.acquire_time, RECORD.renew_time, 15, 3)
    assert decide(Observation(record, 100.0), "b", 100.0 + seen_for) is decision


def test_a_lease_that_is_not_there_is_created() -> None:
    assert decide(None, "b", 0.0) is Decision.CREATE


def test_only_a_record_that_stays_the_same_grows_old() -> None:
    first = observe(None, RECORD, 10.0)
    assert observe(first, RECORD, 20.0) == Observation(RECORD, 10.0)
    changed = renewed(RECORD, "a", LeaseTimes(), NOON + timedelta(seconds=1))
    assert observe(first, changed, 20.0) == Observation(changed, 20.0)


def test_each_renewal_differs_even_if_the_wall_clock_stands_still() -> None:
    once = renewed(RECORD, "a", LeaseTimes(), NOON)
    assert once.renew_time != RECORD.renew_time
    assert (once.acquire_time, once.transitions) == (RECORD.acquire_time, 3)


def test_taking_over_counts_a_transition() -> None:
    taken = renewed(RECORD, "b", LeaseTimes(duration_seconds=15.5), NOON)
    assert (taken.holder, taken.transitions, taken.acquire_time, taken.duration_seconds) == (
        "b",
        4,
        taken.renew_time,
        16,
    )


def test_a_record_survives_the_api() -> None:
    assert LeaseRecord.from_lease({"spec": RECORD.to_spec()}) == RECORD


@pytest.mark.parametrize("times", [(10, 10, 2), (15, 2, 2), (15, 10, 0)])
def test_times_that_allow_two_leaders_are_refused(times: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="must fall in this order"):
        LeaseTimes(*times)


async def test_the_first_leads_and_the_second_waits(world: World, a: Replica, b: Replica) -> None:
    await a.step()
    await b.step()
    assert (a.leads, b.leads, b.elector.holder) == (True, False, "a")
    for _ in range(30):
        await a.step(after_seconds=2)
        await b.step()
    assert (a.leads, b.leads) == (True, False)
    assert (a.heard, b.heard) == (["started"], [])
    assert world.record.transitions == 0


async def test_a_leader_that_died_is_followed_after_the_lease_duration(a: Replica, b: Replica) -> None:
    await a.step()
    await b.step()
    await b.step(after_seconds=14.9)
    assert not b.leads
    await b.step(after_seconds=0.1)
    assert (a.leads, b.leads) == (False, True)


async def test_an_old_lease_is_not_taken_at_first_sight(world: World, a: Replica, b: Replica) -> None:
    """Its times may be years old: by whose clock?"""
    await a.step()
    world.now += 1_000_000
    await b.step()
    assert not b.leads
    await b.step(after_seconds=15)
    assert b.leads


@pytest.mark.parametrize("offset", [timedelta(hours=5), timedelta(hours=-5), timedelta(days=3650)])
async def test_clocks_apart_and_clock_steps_change_nothing(a: Replica, b: Replica, offset: timedelta) -> None:
    await a.step()
    b.wall_offset = offset
    for _ in range(20):
        await b.step(after_seconds=2)
        await a.step()
        a.wall_offset -= offset  # steps each time
        assert (a.leads, b.leads) == (True, False)


async def test_a_leader_that_was_paused_knows_that_it_leads_no_more(a: Replica, b: Replica) -> None:
    await a.step()
    await b.step()
    await b.step(after_seconds=15)
    assert b.leads
    assert not a.leads  # before it has asked anybody
    await a.step()
    assert (a.heard, a.leads, b.leads) == (["started", "stopped"], False, True)


async def test_a_pause_without_a_successor_ends_in_leading_again(a: Replica) -> None:
    await a.step()
    a.world.now += 60
    assert not a.leads
    await a.step()
    assert a.leads


async def test_a_leader_that_cannot_renew_stops_before_another_may_start(world: World, a: Replica, b: Replica) -> None:
    await a.step()
    await b.step()

    async def unreachable() -> None:
        raise Unavailable(0, "Timeout", "no answer")

    world.before_call = unreachable
    await a.step(after_seconds=9.9)
    assert a.leads
    await a.step(after_seconds=0.1)
    assert not a.leads
    assert a.heard == ["started", "stopped"]
    world.before_call = None
    await b.step()
    assert not b.leads


async def test_time_counts_from_before_the_renewal_was_sent(world: World, a: Replica) -> None:
    async def slowly() -> None:
        world.now += 4

    world.before_call = slowly
    await a.step()  # two calls, 8 seconds
    assert a.leads
    world.now += 2
    assert not a.leads


async def test_a_renewal_whose_answer_was_lost_does_not_count(world: World, a: Replica) -> None:
    def lose() -> None:
        raise Unavailable(0, "Timeout", "no answer")

    world.after_write = lose
    await a.step()
    assert world.record.holder == "a"
    assert not a.leads
    world.after_write = lambda: None
    await a.step()
    assert a.leads


async def test_of_two_that_take_at_once_one_wins(world: World, a: Replica, b: Replica) -> None:
    async def b_is_faster() -> None:
        world.before_call = None
        await b.step()

    async def after_the_get() -> None:
        world.before_call = b_is_faster

    world.before_call = after_the_get
    await a.step()
    assert (a.leads, b.leads) == (False, True)


async def test_a_release_hands_over_at_once(world: World, a: Replica, b: Replica) -> None:
    await a.step()
    await b.step()
    await a.elector.release()
    assert not a.leads
    await b.step()
    assert b.leads
    assert (a.heard, b.heard) == (["started", "stopped"], ["started"])
    await a.step()
    assert world.record.holder == "b"


async def test_releasing_what_another_holds_leaves_it(world: World, a: Replica, b: Replica) -> None:
    await a.step()
    await b.elector.release()
    assert world.record.holder == "a"


async def test_a_release_outlives_a_renewal_that_was_under_way(world: World, a: Replica, b: Replica) -> None:
    await a.step()
    calls = 0

    async def renewal_in_between() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:  # between the release's get and its write
            assert world.lease is not None
            world._store(world.lease)

    world.before_call = renewal_in_between
    await a.elector.release()
    world.before_call = None
    await b.step()
    assert b.leads


async def test_a_sole_replica_always_leads() -> None:
    sole = SoleReplica()
    await sole.release()
    assert sole.is_leader()


async def test_a_failed_release_is_no_error(world: World, a: Replica) -> None:
    async def unreachable() -> None:
        raise Unavailable(0, "Timeout", "no answer")

    await a.step()
    world.before_call = unreachable
    await a.elector.release()
    assert not a.leads


async def test_running_ends_after_a_release(a: Replica) -> None:
    await a.elector.release()
    await a.elector.run()
    assert not a.leads


@settings(deadline=None)
@given(seed=st.integers(0, 10**9))
async def test_at_most_one_leads_whatever_happens(seed: int) -> None:
    """Three replicas; lost requests, lost answers, slow calls, steps of others within calls, pauses, clock steps."""
    dice = random.Random(seed)
    world = World()
    replicas = [Replica(world, name, began_at=dice.uniform(-1e6, 1e6)) for name in "abc"]
    depth = 0

    def check() -> None:
        assert sum(replica.leads for replica in replicas) <= 1

    async def network() -> None:
        nonlocal depth
        world.now += dice.choice([0, 0, 0.1, 3, 12, 20])
        check()
        if depth == 0 and dice.random() < 0.3:
            depth += 1
            await dice.choice(others).step()
            depth -= 1
        if dice.random() < 0.1:
            raise Unavailable(0, "Timeout", "the request was lost")

    def answer() -> None:
        if dice.random() < 0.1:
            raise Unavailable(0, "Timeout", "the answer was lost")

    world.before_call, world.after_write = network, answer
    for _ in range(60):
        replica = dice.choice(replicas)
        others = [other for other in replicas if other is not replica]
        replica.wall_offset += timedelta(seconds=dice.choice([0, 0, 3600, -3600]))
        await replica.step(after_seconds=dice.choice([0, 0.5, 2, 2, 16]))
        check()

    world.before_call, world.after_write = None, lambda: None  # calm returns, and so does a leader
    for _ in range(10):
        for replica in replicas:
            await replica.step()
            check()
        world.now += 2
    assert any(replica.leads for replica in replicas)
