"""Bare pods that have ended: what is learned from their runs, and what they say of their group."""

from __future__ import annotations

import pytest
from test_controllers_kinds import add_pod, let_go

from controller_builders import World, rfc3339
from queue_worlds import queue_world
from spotkube.cluster.resources import PODS
from spotkube.convert.ended import to_live_or_ended
from spotkube.model import labels as keys
from spotkube.model.pods import EndedPod, Pod
from spotkube.queueing.estimates import Estimate, Source


@pytest.fixture
def world() -> World:
    """A pool that may buy 100 cores, and a queue of 4."""
    return queue_world()


def end(world: World, name: str, *, ran: float = 90, phase: str = "Succeeded", ago: float = 0) -> None:
    """The kubelet says so; the pod is still there."""
    ended = world.clock() - ago
    state = {"terminated": {"exitCode": 0, "finishedAt": rfc3339(ended)}}
    status = {
        "phase": phase,
        "startTime": rfc3339(ended - ran),
        "containerStatuses": [{"name": "main", "state": state}],
    }
    spec = {"nodeName": "somewhere", "schedulingGates": None}
    world.kube.change(PODS, name, {"spec": spec, "status": status}, "team-a")


def estimated(world: World, name: str) -> Estimate:
    memory = world.controllers.queues._memory
    assert memory is not None
    found = memory[0].estimate_of(f"uid-{name}")
    assert found is not None
    return found


class TestRuns:
    async def test_are_learned_from_as_those_of_jobs(self, world: World) -> None:
        add_pod(world, "etl-1")
        await world.cycles(2)
        world.clock.now += 90
        end(world, "etl-1")
        await world.cycle()

        add_pod(world, "etl-2")
        await world.cycle()

        told = estimated(world, "etl-2")
        assert (told.source, told.runs) == (Source.HISTORY, 1)
        assert told.seconds == pytest.approx(90, abs=2)

    async def test_count_to_their_end_where_that_is_seen_late(self, world: World) -> None:
        """It was let go a minute and a half before its end, and the operator was down since."""
        add_pod(world, "etl-1")
        await world.cycles(2)
        world.clock.now += 3600
        end(world, "etl-1", ago=3510)
        world.restart()
        await world.cycle()

        add_pod(world, "etl-2")
        await world.cycle()

        assert estimated(world, "etl-2").seconds == pytest.approx(90, abs=2)

    async def test_between_two_looks(self, world: World) -> None:
        add_pod(world, "etl-1")
        await world.cycle(seconds=20)
        end(world, "etl-1", ran=5)
        await world.cycle()

        add_pod(world, "etl-2")
        await world.cycle()

        assert estimated(world, "etl-2").seconds == pytest.approx(5, abs=1)

    async def test_are_learned_from_once(self, world: World) -> None:
        add_pod(world, "etl-1")
        await world.cycles(2)
        end(world, "etl-1", ran=1)
        await world.cycles(3)
        world.restart()
        await world.cycles(3)

        add_pod(world, "etl-2")
        await world.cycle()

        assert estimated(world, "etl-2").runs == 1

    async def test_that_failed_say_nothing(self, world: World) -> None:
        add_pod(world, "etl-1")
        await world.cycles(2)
        end(world, "etl-1", phase="Failed")
        await world.cycle()

        add_pod(world, "etl-2")
        await world.cycle()

        assert estimated(world, "etl-2").source is Source.DEFAULT

    async def test_are_counted_beside_their_estimates(self, world: World) -> None:
        add_pod(world, "etl-1", annotations={keys.EXPECTED_RUN_TIME: "1m"})
        await world.cycles(2)
        world.clock.now += 89
        end(world, "etl-1")
        await world.cycles(2)

        labels = {"queue": "batch", "source": "Declared"}
        read = world.metrics.registry.get_sample_value
        assert read("spotkube_queue_run_time_ratio_count", labels) == 1
        assert read("spotkube_queue_run_time_ratio_sum", labels) == pytest.approx(1.5, abs=0.05)

    async def test_room_comes_back_at_their_end(self, world: World) -> None:
        for n in range(5):
            add_pod(world, f"p{n}")
        await world.cycle()
        end(world, "p0", ran=1)
        await world.cycle()

        assert "p4" in let_go(world)


class TestWhichAreKept:
    def stored(self, world: World, **is_: str) -> Pod | EndedPod | None:
        add_pod(world, "p", **is_)
        end(world, "p", phase="Failed")
        return to_live_or_ended(world.kube.one(PODS, "p", "team-a"))

    def test_bare_pods_of_a_queue(self, world: World) -> None:
        found = self.stored(world)
        assert isinstance(found, EndedPod)
        assert (found.pod.name, found.succeeded, found.ended_at) == ("p", False, world.clock())

    @pytest.mark.parametrize("owner", ["Job/j", "ReplicaSet/web", "StatefulSet/db", "DaemonSet/d"])
    def test_not_those_of_which_others_tell_or_that_are_made_anew(self, world: World, owner: str) -> None:
        assert self.stored(world, owner=owner) is None

    def test_not_those_of_no_queue(self, world: World) -> None:
        assert self.stored(world, queue="") is None

    async def test_nothing_else_takes_them_for_pods(self, world: World) -> None:
        add_pod(world, "p")
        await world.cycles(2)
        end(world, "p")

        view = await world.look()

        assert [one.pod.name for one in view.ended] == ["p"]
        assert not view.pods and not view.pods_as_stored and not view.snapshot.pods
