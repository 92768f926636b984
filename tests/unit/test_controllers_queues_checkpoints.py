"""A job that has saved its work makes room for an urgent one; a job that has not goes on."""

from __future__ import annotations

import pytest
from test_controllers_kinds import add_pod
from test_controllers_queues import WHOLE, add_job, running

from controller_builders import World
from fake_kube import rfc3339
from queue_worlds import add_queue
from spotkube.cluster.resources import JOBS, NAMESPACES, PODS, PRIORITYCLASSES
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


def add_pods(world: World, *saved_ago: float | None) -> None:
    """Of the job, that run since it began; each with what it says of its last checkpoint."""
    for number, ago in enumerate(saved_ago):
        name, annotations = (
            f"long-{number}",
            {} if ago is None else {keys.LAST_CHECKPOINT: rfc3339(world.clock() - ago)},
        )
        add_pod(world, name, owner="Job/long", queue="", gates=[], cpu="2", annotations=annotations)
        status = {"phase": "Running", "startTime": rfc3339(world.clock() - 3600)}
        world.kube.change(PODS, name, {"spec": {"nodeName": "somewhere"}, "status": status}, "team-a")


class TestWhatPodsSay:
    async def test_that_all_of_them_have_saved(self, world: World) -> None:
        add_pods(world, 60, 300)
        assert await is_ended_for_an_urgent_job(world)

    @pytest.mark.parametrize("other", [3300.0, None], ids=["long ago", "never"])
    async def test_that_one_of_them_has_not(self, world: World, other: float | None) -> None:
        add_pods(world, 60, other)
        assert not await is_ended_for_an_urgent_job(world)

    async def test_beside_what_stands_on_the_job_for_the_others(self, world: World) -> None:
        annotate(world, keys.LAST_CHECKPOINT, rfc3339(world.clock() - 60))
        add_pods(world, 300, None)
        assert await is_ended_for_an_urgent_job(world)

    async def test_against_what_stands_on_the_job(self, world: World) -> None:
        annotate(world, keys.LAST_CHECKPOINT, rfc3339(world.clock() - 60))
        add_pods(world, 3300, None)
        assert not await is_ended_for_an_urgent_job(world)

    @pytest.mark.parametrize("ago", [-60, 2 * 3600], ids=["in the future", "before its start"])
    async def test_what_can_not_be(self, world: World, ago: float) -> None:
        add_pods(world, ago, ago)
        assert not await is_ended_for_an_urgent_job(world)

    async def test_anew_each_time(self, world: World) -> None:
        add_pods(world, 3300, 3300)
        await world.cycle()
        for number in range(2):
            said = {"metadata": {"annotations": {keys.LAST_CHECKPOINT: rfc3339(world.clock())}}}
            world.kube.change(PODS, f"long-{number}", said, "team-a")
        assert await is_ended_for_an_urgent_job(world)


@pytest.mark.parametrize("interval", ["", "5m"])
async def test_jobs_of_a_group_save_their_work_each(interval: str) -> None:
    world = World()
    world.add_pool(limits={"resources": {"cpu": "100", "memory": "1000Gi"}})
    world.kube.put(NAMESPACES, {"metadata": {"name": "team-a"}})
    world.kube.put(PRIORITYCLASSES, {"metadata": {"name": "high"}, "value": 1000})
    add_queue(world, resources=[{"name": "cpu", "nominalQuota": "4"}])
    says = {keys.EXPECTED_RUN_TIME: "10h", keys.POD_GROUP_SIZE: "2", keys.CHECKPOINT_INTERVAL: "5m"}
    add_job(world, "long", cpu="2", annotations=says)
    add_job(world, "other", cpu="2", annotations={**says, keys.CHECKPOINT_INTERVAL: interval})
    for name in ("long", "other"):
        world.kube.change(JOBS, name, {"metadata": {"labels": {keys.POD_GROUP_NAME: "g"}}}, "team-a")
    await world.cycle()
    assert running(world) == ["long", "other"]
    for name in ("long", "other"):
        world.kube.change(JOBS, name, {"status": {"ready": 1, "active": 1}}, "team-a")
    world.clock.now += 3600

    assert await is_ended_for_an_urgent_job(world) is bool(interval), "one that saves nothing loses all"


def test_a_workload_says_it_to_its_job() -> None:
    workload = make_job(queueName="batch", checkpointInterval="10m", expectedRunTime="2h")
    child = desired_child(workload)
    assert child is not None
    annotations = child["metadata"]["annotations"]
    assert annotations[keys.CHECKPOINT_INTERVAL] == "10m"
    assert annotations[keys.EXPECTED_RUN_TIME] == "14400s", "four pods of that length, two at a time"
