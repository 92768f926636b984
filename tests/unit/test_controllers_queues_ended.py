"""Bare pods that have ended: what is learned from their runs, and what they say of their group."""

from __future__ import annotations

import pytest
from test_controllers_kinds import UNAVAILABLE, add_group, add_pod, add_queue, forget_all, let_go, why

from controller_builders import World
from fake_kube import rfc3339
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


class TestGroups:
    async def partly_let_go(self, world: World) -> None:
        """Two of four, and the operator is gone."""
        add_group(world, "g", 4)
        world.kube.refuse["patch pods/g-2"] = world.kube.refuse["patch pods/g-3"] = UNAVAILABLE
        await world.cycle()
        assert let_go(world) == ["g-0", "g-1"]
        world.kube.refuse.clear()
        world.clock.now += 60

    @pytest.mark.parametrize("with_memory", [True, False])
    @pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
    async def test_the_rest_is_let_go_though_those_that_were_let_go_have_ended(
        self, world: World, with_memory: bool, phase: str
    ) -> None:
        await self.partly_let_go(world)
        for name in ("g-0", "g-1"):
            end(world, name, ran=30, phase=phase)
        (world.restart if with_memory else lambda: forget_all(world))()

        await world.cycle()

        assert let_go(world) == ["g-0", "g-1", "g-2", "g-3"]

    async def test_who_was_deleted_meanwhile_is_not_waited_for(self, world: World) -> None:
        await self.partly_let_go(world)
        end(world, "g-0", ran=30)
        end(world, "g-1", ran=30)
        world.kube.drop(PODS, "g-3", "team-a")
        world.restart()

        await world.cycle()

        assert let_go(world) == ["g-0", "g-1", "g-2"]

    async def test_who_was_made_anew_beside_those_that_ran_is_let_go(self, world: World) -> None:
        add_group(world, "g", 2)
        await world.cycles(2)
        world.clock.now += 60
        world.kube.drop(PODS, "g-1", "team-a")
        add_pod(world, "g-new", group="g", size="2")
        world.clock.now += 60
        end(world, "g-0", ran=110)
        world.restart()

        await world.cycle()

        assert let_go(world) == ["g-0", "g-new"]

    async def test_it_is_over_when_all_have_ended(self, world: World) -> None:
        add_group(world, "g", 4)
        await world.cycles(2)
        world.clock.now += 60
        for n in range(4):
            end(world, f"g-{n}", ran=50)
        world.restart()
        add_pod(world, "next", cpu="2")

        await world.cycle()

        assert "next" in let_go(world)
        memory = world.controllers.queues._memory
        assert memory is not None and memory[0].estimate_of("group/team-a/batch/g") is None

    async def test_those_of_an_earlier_group_of_the_name_are_not_of_the_next_one(self, world: World) -> None:
        add_group(world, "g", 2)
        await world.cycles(2)
        world.clock.now += 60
        for n in range(2):
            end(world, f"g-{n}", ran=50)
        await world.cycle(seconds=10)
        add_pod(world, "h-0", group="g", size="2")
        await world.cycle()
        assert why(world, "h-0") == "GangIncomplete"

        add_pod(world, "h-1", group="g", size="2")
        await world.cycle()

        assert let_go(world) == ["g-0", "g-1", "h-0", "h-1"]

    @pytest.mark.parametrize("ran", [50, 70], ids=["began after it came", "began before"])
    async def test_which_came_while_the_earlier_one_ran_is_let_go_in_its_turn(self, world: World, ran: float) -> None:
        add_group(world, "g", 2)
        await world.cycles(2)
        for n in range(2):
            add_pod(world, f"h-{n}", group="g", size="2")
        await world.cycle(seconds=60)
        assert why(world, "h-0") == "GroupInvalid"
        for n in range(2):
            end(world, f"g-{n}", ran=ran)

        await world.cycles(2)

        assert let_go(world) == ["g-0", "g-1", "h-0", "h-1"]

    async def test_which_was_in_another_queue(self, world: World) -> None:
        add_queue(world, "nightly")
        add_group(world, "g", 2)
        await world.cycles(2)
        for n in range(2):
            end(world, f"g-{n}", ran=1)
        world.clock.now += 60

        for n in range(2):
            add_pod(world, f"h-{n}", group="g", size="2", queue="nightly")
        await world.cycle()

        assert let_go(world) == ["g-0", "g-1", "h-0", "h-1"]

    async def test_how_long_it_ran_is_learned(self, world: World) -> None:
        for run, seconds in enumerate((50, 70)):
            for n in range(2):
                add_pod(world, f"train-{run}-{n}", group=f"train-{run}", size="2")
            await world.cycles(2)
            world.clock.now += seconds
            end(world, f"train-{run}-0", ran=5, ago=20)
            await world.cycle()
            end(world, f"train-{run}-1", ran=seconds)
            await world.cycle()

        for n in range(2):
            add_pod(world, f"train-2-{n}", group="train-2", size="2")
        await world.cycle()

        memory = world.controllers.queues._memory
        assert memory is not None
        told = memory[0].estimate_of("group/team-a/batch/train-2")
        assert told is not None and told.runs == 2
        assert told.seconds == pytest.approx(60, abs=3)
