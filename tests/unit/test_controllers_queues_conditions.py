"""What is wrong with queues and jobs is said in conditions and Events, and holds nobody else up."""

from __future__ import annotations

from typing import Any

import pytest
from test_controllers_queues import WHOLE, add_job, order, queue_status, running, why

from controller_builders import World
from queue_worlds import add_queue, queue_world
from spotkube.cluster.resources import FAIRQUEUES, WORKLOADS
from spotkube.controllers.queues.conditions import overlaps
from spotkube.model import labels as keys

# The API server takes it, and no node has it.
BEYOND_SENSE = [{"name": "cpu", "nominalQuota": "99999999999999999"}]


@pytest.fixture
def world() -> World:
    return queue_world()


@pytest.fixture
def events(world: World, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str, str]]:
    """Kind/name, type, reason and message of all that are recorded."""
    told: list[tuple[str, str, str, str]] = []
    monkeypatch.setattr(
        world.tools.recorder,
        "record",
        lambda ref, type_, reason, message, _: told.append((f"{ref.kind}/{ref.name}", type_, reason, message)),
    )
    return told


def condition(world: World, name: str, type_: str = "Active") -> dict[str, Any] | None:
    return next((one for one in queue_status(world, name)["conditions"] if one["type"] == type_), None)


def active(world: World, name: str) -> tuple[str, str, str]:
    found = condition(world, name)
    assert found is not None
    return found["status"], found["reason"], found["message"]


class TestAQueueThatCanNotBeRead:
    async def test_it_says_so_and_so_do_its_jobs(self, world: World, events: list[tuple[str, str, str, str]]) -> None:
        add_queue(world, "odd", resources=BEYOND_SENSE)
        add_job(world, "j", queue="odd")
        add_job(world, "other")

        await world.cycles(3)

        status, reason, message = active(world, "odd")
        assert (status, reason) == ("False", "Invalid")
        assert "spec.resources: cpu: '99999999999999999' is more than any node can have; check its suffix" in message
        standing = world.controllers.queues.standings["uid-j"]
        assert (standing.reason, "check its suffix" in standing.message) == ("QueueInvalid", True)
        assert running(world) == ["other"], "others are not held up"
        assert [one[:3] for one in events if one[0] == "FairQueue/odd"] == [("FairQueue/odd", "Warning", "Invalid")]
        assert [one[1:3] for one in events if one[0] == "Job/j"] == [("Warning", "Waits")]

    async def test_mended_it_admits_and_nobody_has_lost_a_place(self, world: World) -> None:
        quota = [{"name": "cpu", "nominalQuota": "1"}]
        add_queue(world, "odd", resources=quota, weight=0, tenants=[{"name": "team-b", "weight": 2}])
        for n in range(4):
            add_job(world, f"a{n}", queue="odd")
            add_job(world, f"b{n}", "team-b", queue="odd")
        await world.cycles(2)
        before = order(world)

        world.kube.change(FAIRQUEUES, "odd", {"spec": {"resources": BEYOND_SENSE}})
        await world.cycles(2)
        assert len(running(world)) == 1, "what runs goes on"
        assert order(world) == before
        world.kube.change(FAIRQUEUES, "odd", {"spec": {"resources": [{"name": "cpu", "nominalQuota": "2"}]}})
        await world.cycles(2)

        assert active(world, "odd")[0] == "True"
        assert len(running(world)) == 2

    async def test_one_that_is_none_of_those_we_know(
        self, world: World, events: list[tuple[str, str, str, str]]
    ) -> None:
        add_queue(world, "newer", weight="heavy")
        add_job(world, "j", queue="newer")
        add_job(world, "other")

        await world.cycles(3)

        assert active(world, "newer")[:2] == ("False", "Invalid")
        assert why(world, "j") == "QueueInvalid"
        assert running(world) == ["other"]
        assert len([one for one in events if one[0] == "FairQueue/newer"]) == 1


class TestQueuesThatShareANamespace:
    async def test_both_say_with_whom(self, world: World) -> None:
        add_queue(world, "nightly", namespaceSelector={"matchLabels": {"team": "team-b"}})
        add_queue(world, "of-a", namespaceSelector={"matchLabels": {"team": "team-a"}})
        await world.cycles(2)

        shared = condition(world, "nightly", "Overlaps")
        assert shared is not None
        assert (shared["status"], shared["reason"]) == ("True", "SharesNamespaces")
        assert "jobs of namespace team-b may name batch as well" in shared["message"]
        whole = condition(world, "batch", "Overlaps")
        assert whole is not None and "team-a, team-b may name nightly, of-a as well" in whole["message"]

        world.kube.drop(FAIRQUEUES, "batch")
        await world.cycles(2)
        assert condition(world, "nightly", "Overlaps") is None

    async def test_jobs_go_by_the_queue_that_they_name(self, world: World) -> None:
        add_queue(world, "other", resources=[{"name": "cpu", "nominalQuota": "1"}])
        for n in range(3):
            add_job(world, f"j{n}", queue="other")

        await world.cycle()

        assert len(running(world)) == 1

    def test_of_many_a_few_are_named(self) -> None:
        spaces = frozenset(f"n{n}" for n in range(9))
        words = overlaps((("a", spaces), ("b", spaces), ("c", frozenset())))
        assert words.keys() == {"a", "b"}
        assert "n0, n1, n2 and 6 more may name b" in words["a"]


class TestJobsThatCanNotRun:
    async def test_they_are_told_at_once_and_so_is_their_workload(
        self, world: World, events: list[tuple[str, str, str, str]]
    ) -> None:
        add_job(world, "huge", cpu="5")
        target = {"apiVersion": "batch/v1", "kind": "Job", "name": "huge"}
        world.kube.put(
            WORKLOADS,
            {
                "apiVersion": keys.API_VERSION,
                "kind": "Workload",
                "metadata": {"name": "huge", "namespace": "team-a", "generation": 1},
                "spec": {"targetRef": target},
            },
        )
        add_job(world, "lost", queue="nowhere")
        add_job(world, "fits", **WHOLE)

        await world.cycles(3)

        status = world.kube.one(WORKLOADS, "huge", "team-a")["status"]
        assert status["queue"]["reason"] == "TooLarge"
        assert "it needs 5 cpu, and queue batch never has more than 4 cpu: ask for less" in status["waitingFor"]
        assert {one[:3] for one in events if one[2] == "Waits"} == {
            ("Job/huge", "Warning", "Waits"),
            ("Job/lost", "Warning", "Waits"),
        }
        assert any("UnknownQueue: there is no queue nowhere: create it, or name another" in one[3] for one in events)
        assert running(world) == ["fits"]

    @pytest.mark.parametrize(
        ("text", "seconds", "words"),
        [
            ("0s", 1.0, "0 s count as 1 s; write from 1s to 720h"),
            ("900000h", 2_592_000.0, "3.24e+09 s count as 2.592e+06 s; write from 1s to 720h"),
        ],
    )
    async def test_run_times_of_nothing_and_of_centuries_are_bounded_with_words(
        self, world: World, events: list[tuple[str, str, str, str]], text: str, seconds: float, words: str
    ) -> None:
        add_job(world, "j", annotations={keys.EXPECTED_RUN_TIME: text})
        add_job(world, "other", "team-b")

        await world.cycle()

        memory = world.controllers.queues._memory
        estimate = memory[0].estimate_of("uid-j") if memory else None
        assert estimate is not None and estimate.seconds == seconds
        assert running(world) == ["j", "other"]
        assert any(words in one[3] for one in events if one[0] == "Job/j")


class TestQuotasAndWeightsOfNothing:
    async def test_a_quota_of_zero_is_said_to_hold_nothing(self, world: World) -> None:
        add_queue(world, "none", resources=[{"name": "cpu", "nominalQuota": "0"}])
        add_job(world, "j", queue="none")
        await world.cycle()
        assert why(world, "j") == "TooLarge"

    async def test_a_weight_of_zero_gets_what_nobody_else_wants(self, world: World) -> None:
        add_queue(
            world,
            resources=[{"name": "cpu", "nominalQuota": "4"}],
            tenants=[{"name": "team-b", "weight": 0}],
        )
        for n in range(3):
            add_job(world, f"b{n}", "team-b")
            add_job(world, f"a{n}")

        await world.cycle()

        assert running(world) == ["a0", "a1", "a2", "b0"]


async def test_a_clock_that_steps_back_stops_nothing(world: World) -> None:
    add_job(world, "first", **WHOLE)
    await world.cycles(2)
    world.clock.now -= 7200
    add_job(world, "second", "team-b")
    await world.cycles(2)
    told = world.kube.writes.count("patch configmaps/spotkube-queues")
    add_job(world, "third", "team-b")

    await world.cycles(2)

    assert why(world, "second") == "Quota"
    assert world.kube.writes.count("patch configmaps/spotkube-queues") > told, "what changes is kept"
