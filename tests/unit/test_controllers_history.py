"""What the operator sees of spot, and that neither a restart nor a change of leaders counts it twice or never."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builders import make_offering
from controller_builders import UNAVAILABLE, World
from fake_provider import OFFERING
from spotkube.cluster.errors import Forbidden
from spotkube.cluster.resources import CONFIGMAPS, NODECLAIMS
from spotkube.model.history import SpotPool, SpotRecord
from spotkube.providers.port import InstanceState

POOL = SpotPool(OFFERING.instance_type, OFFERING.zone)
NAME, NAMESPACE = "spotkube-interruptions", "spotkube-system"


def kept(world: World) -> dict[str, Any]:
    """The one spot pool of the ConfigMap."""
    value = json.loads(world.kube.one(CONFIGMAPS, NAME, NAMESPACE)["data"]["history.json"])
    (entry,) = value["pools"].values()
    return dict(entry)


def keep(world: World, text: str) -> None:
    body = {"metadata": {"name": NAME, "namespace": NAMESPACE}, "data": {"history.json": text}}
    world.kube.put(CONFIGMAPS, body)


async def seen(world: World) -> tuple[SpotRecord, ...]:
    return (await world.look()).snapshot.spot_history


async def test_a_node_that_runs_tells_of_its_hours_and_nothing_is_written() -> None:
    world = World()
    await world.up_and_running()
    world.clock.now += 7200
    (record,) = await seen(world)
    assert (record.pool, record.nodes, record.interruptions) == (POOL, 1, 0)
    assert record.hours == pytest.approx(2, abs=0.01)
    assert (CONFIGMAPS, NAMESPACE, NAME) not in world.kube.objects


async def test_an_interruption_is_kept_at_once_and_only_once() -> None:
    world = World()
    name = await world.up_and_running()
    world.clock.now += 3600
    world.notice(name, world.clock() + 120)
    await world.cycles(2)
    assert kept(world)["interruptions"] == 1
    for _ in range(2):
        world.restart()
        await world.cycles(2)
    (record,) = [one for one in await seen(world) if one.interruptions]
    assert (record.interruptions, kept(world)["interruptions"]) == (1, 1)
    assert kept(world)["hours"] == pytest.approx(1 + 120 / 3600, abs=0.01)


async def test_when_the_claim_is_gone_it_stays_counted() -> None:
    world = World()
    name = await world.up_and_running()
    world.notice(name, world.clock() + 30)
    await world.cycles(4)
    world.pods_end()
    await world.cycles(10, seconds=10)
    world.instances_end()
    await world.cycles(10, seconds=10)
    assert name not in {claim.name for claim in world.claims}
    world.restart()
    await world.cycle()
    value = json.loads(world.kube.one(CONFIGMAPS, NAME, NAMESPACE)["data"]["history.json"])
    assert (kept(world)["interruptions"], kept(world)["nodes"], value["counted"]) == (1, 1, [])


async def test_an_instance_that_vanished_was_interrupted_and_one_given_back_was_not() -> None:
    world = World()
    name = await world.up_and_running()
    world.cloud.become(f"i-{name}", InstanceState.TERMINATED)
    await world.cycles(2)
    assert kept(world)["interruptions"] == 1

    world = World()
    name = await world.up_and_running()
    world.kube.mark_deleted(NODECLAIMS, name)
    await world.cycles(2)
    (new,) = (claim.name for claim in world.claims if claim.name != name)
    world.join(new)  # its pod waits for room
    await world.cycles(4)
    world.pods_end()
    await world.cycles(4, seconds=20)
    world.instances_end()
    await world.cycles(8, seconds=30)
    assert (kept(world)["interruptions"], kept(world)["nodes"]) == (0, 1)


@pytest.mark.parametrize(
    ("sign", "interruptions"),
    [
        ("aws-node-termination-handler/spot-itn", 1),
        ("aws-node-termination-handler/asg-lifecycle-termination", 0),
        ("ToBeDeletedByClusterAutoscaler", 0),
        ("karpenter.sh/disrupted", 0),
    ],
)
async def test_what_another_controller_ends_says_nothing_of_the_market(sign: str, interruptions: int) -> None:
    world = World()
    name = await world.up_and_running()
    world.notice(name, world.clock() + 120, key=sign)
    await world.cycles(2)
    assert world.claim_named(name).status.notice is not None
    assert sum(one.interruptions for one in await seen(world)) == interruptions


async def test_on_demand_is_not_counted() -> None:
    world = World()
    world.cloud.for_sale = (make_offering("m.large", 0.1),)
    name = await world.up_and_running()
    world.notice(name, world.clock() + 120)
    await world.cycles(2)
    assert await seen(world) == ()


async def test_what_another_leader_wrote_is_read_before_it_is_added_to() -> None:
    world = World()
    name = await world.up_and_running()
    world.leading = False
    world.controllers.history.forget()
    keep(world, '{"version": 1, "pools": {"m.large/zone-a": {"hours": 50.0, "nodes": 9, "interruptions": 3}}}')
    world.leading = True
    world.notice(name, world.clock() + 120)
    await world.cycles(2)
    assert (kept(world)["interruptions"], kept(world)["nodes"]) == (4, 10)


async def test_a_write_that_failed_is_made_up_for() -> None:
    world = World()
    name = await world.up_and_running()
    world.kube.refuse["patch configmaps"] = UNAVAILABLE
    world.notice(name, world.clock() + 120)
    await world.cycles(2)
    del world.kube.refuse["patch configmaps"]
    await world.cycle()
    assert kept(world)["interruptions"] == 1


async def test_without_the_right_it_counts_in_memory_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    refusal = Forbidden(403, "Forbidden", "no configmaps for you")
    world.kube.refuse.update({"patch configmaps": refusal, "create configmaps": refusal})
    name = await world.up_and_running()
    world.notice(name, world.clock() + 120)
    await world.cycles(3)
    assert [one.interruptions for one in await seen(world)] == [1]
    assert caplog.text.count("no configmaps for you") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ('{"version": 1, "pools": {"m.large/zone-a": {"hours": 5, "nodes": 1, "interruptions": 2}}}', "is taken once"),
        (
            '{"version": 1, "pools": {"x.odd/zone-a": {"hours": 5, "nodes": 1, "interruptions": 1}}}',
            "x.odd zone-a is left",
        ),
    ],
)
async def test_a_history_that_lies_is_told_and_left_out(
    text: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    keep(world, text)
    await world.cycle()
    assert await seen(world) == ()
    assert words in caplog.text
    before = len(caplog.records)
    await world.cycles(3)
    assert len(caplog.records) == before, "told once"
