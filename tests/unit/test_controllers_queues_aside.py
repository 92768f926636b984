"""Jobs that ended stay in a cluster by the thousands: once all is known that they tell, they cost a cycle nothing."""

from __future__ import annotations

import pytest

from controller_builders import World
from fake_kube import rfc3339
from queue_worlds import add_job, queue_world, running
from spotkube.cluster.resources import JOBS, PODS, WORKLOADS
from spotkube.controllers.view import View
from spotkube.model import labels as keys
from spotkube.observe import Observer


@pytest.fixture
def world() -> World:
    return queue_world()


def end(world: World, name: str, active: int = 0) -> None:
    now = world.clock()
    conditions = [{"type": "Complete", "status": "True"}]
    ended = {"startTime": rfc3339(now - 60), "completionTime": rfc3339(now)}
    status = {"conditions": conditions, "succeeded": 1, "active": active, **ended}
    world.kube.change(JOBS, name, {"status": status}, "team-a")


async def seen(world: World) -> set[str]:
    return {key[1].removeprefix("Job/") for key in (await world.look()).sources}


async def test_one_that_has_ended_is_looked_at_no_more(world: World) -> None:
    add_job(world, "first")
    add_job(world, "second")
    await world.cycle()
    end(world, "first")
    assert await seen(world) == {"first", "second"}
    await world.cycle()
    assert await seen(world) == {"second"}

    world.controllers.queues.forget()
    assert await seen(world) == {"first", "second"}, "the next leader has to learn of it"


async def test_one_whose_pods_are_still_there_is(world: World) -> None:
    add_job(world, "first")
    await world.cycle()
    end(world, "first", active=1)
    await world.cycles(2)
    assert await seen(world) == {"first"}


async def test_how_long_it_ran_is_learned_before(world: World) -> None:
    add_job(world, "first")
    await world.cycle()
    memory = world.controllers.queues._memory
    assert memory is not None
    nothing = memory[0].history.state()
    world.clock.now += 60
    end(world, "first")
    await world.cycle()
    assert await seen(world) == set()
    assert memory[0].history.state() != nothing


async def test_a_workload_still_tells_of_the_end_of_its_target(world: World) -> None:
    add_job(world, "first")
    await world.cycle()
    end(world, "first")
    await world.cycles(2)
    target = {"apiVersion": "batch/v1", "kind": "Job", "name": "first"}
    raw = {
        "apiVersion": "spotkube.io/v1alpha1",
        "kind": "Workload",
        "metadata": {"name": "of-first", "namespace": "team-a"},
        "spec": {"targetRef": target},
    }
    world.kube.put(WORKLOADS, raw)
    await world.cycles(2)
    conditions = world.kube.one(WORKLOADS, "of-first", "team-a")["status"]["conditions"]
    assert [one["reason"] for one in conditions if one["type"] == "Ready"] == ["JobComplete"]


class TestWhatIsLetGo:
    """A second look in a cycle is for pods that were let go: those of Jobs are made only then."""

    @pytest.fixture
    def looks(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        looks, look = [0], Observer.look

        async def counted(observer: Observer) -> View:
            looks[0] += 1
            return await look(observer)

        monkeypatch.setattr(Observer, "look", counted)
        return looks

    async def test_of_jobs_nothing_more_is_to_be_seen(self, world: World, looks: list[int]) -> None:
        await world.cycle()
        quiet, looks[0] = looks[0], 0
        add_job(world, "first")
        await world.cycle()
        assert running(world) == ["first"]
        assert looks[0] == quiet

    async def test_pods_are_looked_at_again(self, world: World, looks: list[int]) -> None:
        await world.cycle()
        quiet, looks[0] = looks[0], 0
        container = {"name": "main", "resources": {"requests": {"cpu": "1"}}}
        metadata = {"name": "bare", "namespace": "team-a", "uid": "u", "labels": {keys.QUEUE_NAME: "batch"}}
        spec = {"containers": [container], "schedulingGates": [{"name": keys.QUEUE_GATE}]}
        world.kube.put(PODS, {"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}})
        await world.cycle()
        assert looks[0] > quiet
