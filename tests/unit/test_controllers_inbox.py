"""Notices from a queue of messages: stored before anything is done about them, deleted after everything is."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from typing import Any

import pytest

from controller_builders import World
from fake_kube import rfc3339
from spotkube.cluster.resources import NODECLAIMS
from spotkube.controllers.inbox import STORED_SECONDS
from spotkube.providers.port import InstanceState, ProviderUnavailable
from spotkube.providers.sqs import Message, QueueError

SPOT, REBALANCE = "EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"
STATE = "EC2 Instance State-change Notification"


def message(world: World, instance: str, kind: str = SPOT, *, id_: str = "m-1", receipt: str = "r-1") -> Message:
    """It happened just now."""
    detail = {"instance-id": instance, "instance-action": "terminate", "state": "shutting-down"}
    body = {"id": f"event-{id_}", "detail-type": kind, "time": rfc3339(world.clock.now), "detail": detail}
    return Message(id_, receipt, json.dumps(body))


async def deliver(world: World, *messages: Message) -> None:
    """Lets the inbox read once."""
    world.messages.waiting = list(messages)
    reading = asyncio.create_task(world.tools.inbox.run())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not world.messages.waiting
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading


def counted(world: World, result: str) -> float:
    value: Any = world.metrics.notice_messages_total.labels(result)._value.get()
    return float(value)


async def test_stored_drained_and_only_then_deleted() -> None:
    world = World()
    name = await world.up_and_running()
    await deliver(world, message(world, f"i-{name}"))
    deadline = world.clock.now + 120

    await world.cycles(2)
    stored = world.claim.status.notice
    assert stored is not None
    assert (stored.deadline.timestamp(), stored.source) == (deadline, SPOT)
    assert (world.messages.hidden, world.messages.deleted) == ({"r-1": STORED_SECONDS}, [])

    world.pods_end()
    await world.cycles(8)
    assert world.cloud.ended == [f"i-{name}"]
    world.cloud.become(f"i-{name}", InstanceState.TERMINATED)
    await world.cycle()
    assert world.messages.deleted == ["r-1"]


async def test_one_that_comes_again_is_nothing_new_and_its_last_receipt_counts() -> None:
    world = World()
    name = await world.up_and_running()
    await deliver(world, message(world, f"i-{name}"))
    await world.cycle()
    before = world.claim.status.notice
    await deliver(world, message(world, f"i-{name}", receipt="r-2"))
    await world.cycles(2)

    assert world.claim.status.notice == before
    assert "r-2" in world.messages.hidden


async def test_after_a_restart_it_comes_again_and_is_dealt_with() -> None:
    world = World()
    name = await world.up_and_running()
    told = message(world, f"i-{name}")
    await deliver(world, told)
    world.restart()  # before any cycle: nothing was stored
    await world.cycle()
    assert world.claim.status.notice is None

    await deliver(world, told)
    await world.cycle()
    assert world.claim.status.notice is not None


async def test_one_of_an_instance_that_is_not_ours_is_left_until_its_time_is_over() -> None:
    world = World()
    await world.up_and_running()
    await deliver(world, message(world, "i-foreign"))

    await world.cycle()
    assert world.messages.deleted == []
    world.clock.now += 130
    await world.cycle()
    assert (world.messages.deleted, world.claim.status.notice) == (["r-1"], None)


async def test_one_of_another_cluster_whose_end_is_far_off_does_not_come_again_every_few_seconds() -> None:
    world = World()
    await world.up_and_running()
    body = {
        "id": "health",
        "detail-type": "AWS Health Event",
        "time": rfc3339(world.clock.now),
        "detail": {
            "service": "EC2",
            "eventTypeCategory": "scheduledChange",
            "startTime": rfc3339(world.clock.now + 86_400),
            "affectedEntities": [{"entityValue": "i-foreign"}],
        },
    }
    await deliver(world, Message("m-1", "r-1", json.dumps(body)))
    await world.cycle()

    assert (world.messages.hidden, world.messages.deleted) == ({"r-1": STORED_SECONDS}, [])


async def test_the_clouds_word_of_an_instance_that_we_end_is_neither_a_notice_nor_an_interruption() -> None:
    world = World()
    name = await world.up_and_running()
    world.kube.mark_deleted(NODECLAIMS, name)
    await world.cycles(2)
    (new,) = (claim.name for claim in world.claims if claim.name != name)
    world.join(new)  # its pod waits for room
    await world.cycles(4)
    world.pods_end()
    await world.cycles(10)
    assert world.cloud.ended == [f"i-{name}"]

    await deliver(world, message(world, f"i-{name}", STATE))
    await world.cycles(3)
    assert world.claim_named(name).status.notice is None
    world.instances_end()
    await world.cycles(2)
    assert world.messages.deleted == ["r-1"]
    assert [one.interruptions for one in (await world.look()).snapshot.spot_history] == [0]


async def test_it_is_stored_and_pods_are_told_while_the_cloud_does_not_answer() -> None:
    world = World()
    name = await world.up_and_running()
    world.cloud.error = ProviderUnavailable("slow down")
    await deliver(world, message(world, f"i-{name}"))
    await world.cycles(3)

    assert world.claim.status.notice is not None
    assert world.pod()["metadata"].get("deletionTimestamp")
    assert world.messages.deleted == []


async def test_a_recommendation_is_done_with_once_it_is_stored() -> None:
    world = World()
    name = await world.up_and_running()
    await deliver(world, message(world, f"i-{name}", REBALANCE))
    await world.cycles(2)

    assert world.claim.status.warning is not None
    assert world.claim.status.notice is None
    assert world.messages.deleted == ["r-1"]
    assert world.claim.metadata.deletion_timestamp is None


@pytest.mark.parametrize(
    ("body", "result"), [("{", "unreadable"), ('{"detail-type": "Weather"}', "unknown"), ("[]", "unreadable")]
)
async def test_what_is_no_notice_is_counted_told_and_deleted(
    body: str, result: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    with caplog.at_level(logging.WARNING):
        await deliver(world, Message("m-1", "r-1", body))

    assert (counted(world, result), world.messages.deleted) == (1, ["r-1"])
    assert "no notice" in caplog.text


async def test_a_queue_that_lets_nothing_be_deleted_still_tells_of_notices() -> None:
    world = World()
    name = await world.up_and_running()
    world.messages.broken = "AccessDenied"
    await deliver(world, Message("m-0", "r-0", "{"), message(world, f"i-{name}"))
    await world.cycle()

    assert world.claim.status.notice is not None
    assert counted(world, "error") == 1


async def test_a_queue_that_refuses_to_delete_is_asked_again() -> None:
    world = World()
    await world.up_and_running()
    await deliver(world, message(world, "i-foreign"))
    world.clock.now += 130
    world.messages.broken = "AccessDenied"
    await world.cycle()
    world.messages.broken = ""
    await world.cycle()
    assert world.messages.deleted == [], "not asked in each cycle"

    world.clock.now += 10
    await world.cycle()
    assert world.messages.deleted == ["r-1"]


async def test_a_queue_that_does_not_answer_is_told_once_and_read_again_later(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, pauses, failures = World(), [], [5]

    async def receive(*_: int) -> tuple[Message, ...]:
        if failures[0]:
            failures[0] -= 1
            raise QueueError("QueueDoesNotExist: make the queue")
        raise asyncio.CancelledError

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(world.messages, "receive", receive)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with caplog.at_level(logging.WARNING), suppress(asyncio.CancelledError):
        await world.tools.inbox.run()

    assert pauses == [1, 2, 4, 8, 16]
    assert caplog.text.count("make the queue") == 1
    assert counted(world, "error") == 5


async def test_a_mistake_of_ours_does_not_end_the_reading_for_ever(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, readings = World(), [0]

    async def receive(*_: int) -> tuple[Message, ...]:
        readings[0] += 1
        if readings[0] == 1:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")
        raise asyncio.CancelledError

    async def sleep(_: float) -> None:
        return

    monkeypatch.setattr(world.messages, "receive", receive)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with suppress(asyncio.CancelledError):
        await world.tools.inbox.run()

    assert (readings, counted(world, "error")) == ([2], 1)
    assert "tried again" in caplog.text


async def test_who_does_not_lead_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.leading = False
    world.messages.waiting = [message(world, "i-1")]

    async def sleep(_: float) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with suppress(asyncio.CancelledError):
        await world.tools.inbox.run()

    assert len(world.messages.waiting) == 1
