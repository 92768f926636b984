"""A job that has saved its work makes room for an urgent one; a job that has not goes on."""

from __future__ import annotations

import pytest
from test_controllers_queues import WHOLE, add_job, running

from controller_builders import World, rfc3339
from queue_worlds import add_queue
from spotkube.cluster.resources import JOBS, NAMESPACES, PRIORITYCLASSES
from spotkube.controllers.workloads.children import desired_child
from spotkube.model import labels as keys
from unit.workload_builders import make_job


@pytest.fixture
async def world() -> World:
    """A job of ten hours has all of the queue for an hour now."""
    world = World()
    world.add_pool(limits={"resources": {"cpu": "100", "memory": "1000Gi"}})
    world.kube.put(NAMESPACES, {"metadata": {"name": "team-a"}})
    world.kube.put(PRIORITYCLASSES, {"metadata": {"name": "high"}, "value": 1000})
    add_queue(world, resources=[{"name": "cpu", "nominalQuota": "4"}])
    add_job(world, "long", **WHOLE, annotations={keys.EXPECTED_RUN_TIME: "10h"})
    await world.cycle()
    world.kube.change(JOBS, "long", {"status": {"ready": 2, "active": 2}}, "team-a")
    world.clock.now += 3600
    assert running(world) == ["long"]
    return world


def annotate(world: World, key: str, value: str) -> None:
    annotations = world.kube.one(JOBS, "long", "team-a")["metadata"]["annotations"]
    world.kube.change(JOBS, "long", {"metadata": {"annotations": {**annotations, key: value}}}, "team-a")


async def is_ended_for_an_urgent_job(world: World) -> bool:
    add_job(world, "urgent", **WHOLE, priority="high", annotations={keys.EXPECTED_RUN_TIME: "10m"})
    await world.cycles(2)
    return bool(world.kube.one(JOBS, "long", "team-a")["spec"]["suspend"])


async def test_an_hour_of_work_is_not_lost_for_ten_minutes(world: World) -> None:
    assert not await is_ended_for_an_urgent_job(world)


@pytest.mark.parametrize("ago", [0, 300])
async def test_what_was_saved_is_not_lost(world: World, ago: float) -> None:
    annotate(world, keys.LAST_CHECKPOINT, rfc3339(world.clock() - ago))
    assert await is_ended_for_an_urgent_job(world)


async def test_what_is_saved_again_and_again_is_not_lost(world: World) -> None:
    annotate(world, keys.CHECKPOINT_INTERVAL, "5m")
    assert await is_ended_for_an_urgent_job(world)


@pytest.mark.parametrize("ago", [-60, 2 * 3600], ids=["in the future", "before its start"])
async def test_a_time_that_can_not_be_counts_as_not_there(world: World, ago: float) -> None:
    annotate(world, keys.LAST_CHECKPOINT, rfc3339(world.clock() - ago))
    assert not await is_ended_for_an_urgent_job(world)


def test_a_workload_says_it_to_its_job() -> None:
    workload = make_job(queueName="batch", checkpointInterval="10m", expectedRunTime="2h")
    child = desired_child(workload)
    assert child is not None
    annotations = child["metadata"]["annotations"]
    assert annotations[keys.CHECKPOINT_INTERVAL] == "10m"
    assert annotations[keys.EXPECTED_RUN_TIME] == "14400s", "four pods of that length, two at a time"
