"""Jobs that name a queue wait for their turn, are let go, taken back, and told why they wait."""

import hashlib
import json
import lzma
from datetime import UTC, datetime
from typing import Any

import pytest

from controller_builders import World
from fake_kube import rfc3339
from queue_worlds import add_job, add_queue, queue_world, running
from spotkube.cluster.errors import Forbidden, Unavailable
from spotkube.cluster.resources import CONFIGMAPS, FAIRQUEUES, JOBS, PRIORITYCLASSES
from spotkube.controllers.queues import keeping, reconcile, tempo
from spotkube.controllers.queues.keeping import KEY
from spotkube.convert.places import CONFIG_MAP, to_places
from spotkube.model import labels as keys
from spotkube.queueing.book import Book

Object = dict[str, Any]
# All of the queue's quota, on the two cores that each node on offer has.
WHOLE: dict[str, Any] = {"cpu": "2", "parallelism": 2, "completions": 2}
UNAVAILABLE = Unavailable(500, "InternalError", "etcd is away")


@pytest.fixture
def world() -> World:
    """A pool that may buy 100 cores, and a queue of 4."""
    return queue_world()


def end(world: World, name: str, namespace: str = "team-a", seconds: float = 60.0) -> None:
    now = world.clock()
    status = {
        "conditions": [{"type": "Complete", "status": "True"}],
        "succeeded": 1,
        "startTime": rfc3339(now - seconds),
        "completionTime": rfc3339(now),
    }
    world.kube.change(JOBS, name, {"status": status}, namespace)


def queue_status(world: World, name: str = "batch") -> Object:
    status: Object = world.kube.one(FAIRQUEUES, name)["status"]
    return status


def why(world: World, name: str) -> str:
    return world.controllers.queues.standings[f"uid-{name}"].reason


class TestAdmission:
    async def test_as_many_as_the_quota_holds_and_the_next_when_one_has_ended(self, world: World) -> None:
        for n in range(6):
            add_job(world, f"j{n}")

        await world.cycle()
        assert running(world) == ["j0", "j1", "j2", "j3"]
        assert why(world, "j4") == "Quota"

        end(world, "j0")
        await world.cycle()
        assert running(world) == ["j0", "j1", "j2", "j3", "j4"]

    async def test_a_job_is_let_go_by_one_patch_that_says_when(self, world: World) -> None:
        add_job(world, "j")

        await world.cycle()

        assert world.kube.writes.count("patch jobs/j") == 1
        annotations = world.kube.one(JOBS, "j", "team-a")["metadata"]["annotations"]
        told = datetime.fromisoformat(annotations[keys.ADMITTED_AT])
        assert abs(told.timestamp() - world.clock()) <= 1 and told.tzinfo == UTC

    async def test_one_tenants_burst_does_not_hold_up_another(self, world: World) -> None:
        for n in range(20):
            add_job(world, f"burst-{n:02}")
        await world.cycle()
        add_job(world, "single", "team-b")
        await world.cycle()

        end(world, "burst-00")
        await world.cycle()

        assert "single" in running(world)

    async def test_priority_goes_first_within_a_queue(self, world: World) -> None:
        world.kube.put(PRIORITYCLASSES, {"metadata": {"name": "high"}, "value": 1000})
        for n in range(4):
            add_job(world, f"low-{n}", **WHOLE)
        add_job(world, "urgent", **WHOLE, priority="high")

        await world.cycle()

        assert running(world) == ["urgent"]

    async def test_a_weight_gives_a_larger_share(self, world: World) -> None:
        add_queue(world, resources=[{"name": "cpu", "nominalQuota": "4"}], tenants=[{"name": "team-b", "weight": 3}])
        for n in range(8):
            add_job(world, f"a{n}")
            add_job(world, f"b{n}", "team-b")

        await world.cycle()

        assert [name[0] for name in running(world)].count("b") == 3

    async def test_jobs_of_others_are_left_alone(self, world: World) -> None:
        add_job(world, "suspended-by-its-owner", held=False)
        add_job(world, "kueue")
        world.kube.change(JOBS, "kueue", {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "q"}}}, "team-a")
        add_job(world, "no-queue", queue="")

        await world.cycles(2)

        assert running(world) == []
        assert not [line for line in world.kube.writes if "patch jobs" in line]

    async def test_one_that_goes_past_its_queue_is_held_where_no_policy_does_it(self, world: World) -> None:
        add_job(world, "first", **WHOLE)
        await world.cycle()
        add_job(world, "sneak", suspend=False, held=False)

        await world.cycles(2)

        raw = world.kube.one(JOBS, "sneak", "team-a")
        assert raw["spec"]["suspend"]
        assert raw["metadata"]["annotations"][keys.HELD_BY_QUEUE] == "true"


class TestWhatIsSaid:
    async def test_reasons(self, world: World) -> None:
        add_job(world, "huge", cpu="5")
        add_job(world, "nowhere", queue="nightly")
        world.kube.put(FAIRQUEUES, {"metadata": {"name": "held"}, "spec": {"stopPolicy": "Hold"}})
        add_job(world, "held", queue="held")

        await world.cycle()

        assert {name: why(world, name) for name in ("huge", "nowhere", "held")} == {
            "huge": "TooLarge",
            "nowhere": "UnknownQueue",
            "held": "QueueHeld",
        }

    async def test_a_namespace_that_the_queue_is_not_for(self, world: World) -> None:
        add_queue(world, namespaceSelector={"matchLabels": {"team": "team-b"}})
        add_job(world, "stranger")
        add_job(world, "own", "team-b")

        await world.cycle()

        assert running(world) == ["own"]
        assert why(world, "stranger") == "NotAllowed"

    async def test_a_pod_that_no_node_holds(self, world: World) -> None:
        add_queue(world)
        add_job(world, "wide", cpu="64")

        await world.cycle()

        assert why(world, "wide") == "TooLarge"
        assert "no node holds that" in world.controllers.queues.standings["uid-wide"].message

    async def test_when_it_will_start(self, world: World) -> None:
        add_job(world, "long", **WHOLE, annotations={keys.EXPECTED_RUN_TIME: "30m"})
        await world.cycle()
        add_job(world, "next", **WHOLE)
        await world.cycle()

        start = world.controllers.queues.standings["uid-next"].start

        assert start is not None
        assert start.start_seconds - world.clock() == pytest.approx(1800, abs=5)
        assert start.low_seconds <= start.start_seconds <= start.high_seconds

    async def test_how_the_queue_stands(self, world: World) -> None:
        for n in range(5):
            add_job(world, f"j{n}")
        add_job(world, "other", "team-b")

        await world.cycles(2)

        status = queue_status(world)
        assert (status["pendingWorkloads"], status["admittedWorkloads"]) == (2, 4)
        assert status["usage"] == [{"name": "cpu", "used": "4", "borrowed": "0"}]
        assert [tenant["name"] for tenant in status["tenants"]] == ["team-a", "team-b"]
        (active,) = status["conditions"]
        assert (active["type"], active["status"]) == ("Active", "True")

    async def test_a_class_that_gets_another_priority_has_it_for_jobs_that_wait_already(self, world: World) -> None:
        for name, value in (("early", 10), ("late", 1)):
            world.kube.put(PRIORITYCLASSES, {"metadata": {"name": name}, "value": value})
        add_job(world, "blocker", **WHOLE, annotations={keys.EXPECTED_RUN_TIME: "1m"})
        add_job(world, "blocker-2", **WHOLE, annotations={keys.EXPECTED_RUN_TIME: "1m"})
        await world.cycle()
        add_job(world, "first", **WHOLE, priority="early", annotations={keys.EXPECTED_RUN_TIME: "1m"})
        add_job(world, "second", **WHOLE, priority="late", annotations={keys.EXPECTED_RUN_TIME: "1m"})
        await world.cycle()

        world.kube.change(PRIORITYCLASSES, "late", {"value": 100})
        end(world, "blocker")
        await world.cycle()

        assert "second" in running(world) and "first" not in running(world)

    async def test_a_run_time_that_is_none(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        told: list[str] = []
        monkeypatch.setattr(world.tools.recorder, "record", lambda *words: told.append(words[3]))
        add_job(world, "j", annotations={keys.EXPECTED_RUN_TIME: "soon"})

        await world.cycle()

        assert running(world) == ["j"], "a mistake of its owner holds nobody up"
        assert any("'soon' is no duration; write it as in 90s" in words for words in told)


async def test_who_has_ended_is_met_once_and_again_by_the_next_leader(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended Jobs stay by the thousands: to look at all of them again was half of a cycle."""
    met = list[set[str]]()
    meet = Book.meet

    def noted(book: Book, now: float, queues: Any, seen: Any, totals: Any) -> None:
        seen = list(seen)
        met.append({one.job.uid for one in seen})
        meet(book, now, queues, seen, totals)

    monkeypatch.setattr(Book, "meet", noted)
    add_job(world, "first")
    add_job(world, "second")
    await world.cycle()
    end(world, "first")

    await world.cycles(2)
    assert met[1:] == [{"uid-first", "uid-second"}, {"uid-second"}]

    world.controllers.queues.forget()
    await world.cycle()
    assert met[-1] == {"uid-first", "uid-second"}


class TestManyWait:
    """Saying how many jobs stand takes longer than deciding about them."""

    @pytest.fixture(autouse=True)
    def three_are_many_and_telling_takes_a_second(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tempo, "TOLD_EACH_CYCLE", 2)

        def take_time(line: str) -> None:
            if line.endswith("configmaps/spotkube-queues"):
                world.clock.now += 1.0

        world.kube.before_write = take_time

    async def test_they_are_told_now_and_then_and_let_go_at_once(self, world: World) -> None:
        for n in range(20):
            add_job(world, f"j{n:02}")
        await world.cycle()
        told = world.kube.writes.count("patch configmaps/spotkube-queues")
        end(world, "j00")

        await world.cycle()

        assert "j04" in running(world)
        assert "uid-j04" not in world.controllers.queues.standings
        assert why(world, "j05") == "Quota"
        assert world.kube.writes.count("patch configmaps/spotkube-queues") == told

        await world.cycles(60)

        assert world.kube.writes.count("patch configmaps/spotkube-queues") > told

    async def test_who_is_taken_back_is_kept_at_once(self, world: World) -> None:
        for n in range(20):
            add_job(world, f"j{n:02}")
        await world.cycle()
        told = world.kube.writes.count("patch configmaps/spotkube-queues")
        world.kube.change(FAIRQUEUES, "batch", {"spec": {"stopPolicy": "HoldAndDrain"}})

        await world.cycle()

        assert world.kube.writes.count("patch configmaps/spotkube-queues") == told + 1

    async def test_an_event_on_each_takes_more_than_one_cycle(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reconcile, "_EVENTS_AT_ONCE", 3)
        monkeypatch.setattr(tempo, "TOLD_EACH_CYCLE", 100)
        for n in range(12):
            add_job(world, f"j{n:02}")
        recorded = []
        monkeypatch.setattr(
            world.tools.recorder, "record", lambda ref, _, reason, *__: recorded.append((ref.name, reason))
        )

        await world.cycle()
        assert len([name for name, reason in recorded if reason == "Waits"]) == 3

        await world.cycles(5)
        waits = [name for name, reason in recorded if reason == "Waits"]
        assert sorted(waits) == [f"j{n:02}" for n in range(4, 12)]


class TestTakingBack:
    async def test_a_drained_queue_gives_back_what_runs_and_goes_on_when_it_may(self, world: World) -> None:
        add_job(world, "j")
        await world.cycle()
        world.kube.change(FAIRQUEUES, "batch", {"spec": {"stopPolicy": "HoldAndDrain"}})
        await world.cycles(2)
        assert running(world) == []

        world.kube.change(FAIRQUEUES, "batch", {"spec": {"stopPolicy": "None"}})
        await world.cycles(2)

        assert running(world) == ["j"]

    async def test_borrowed_room_is_reclaimed_and_used_only_when_it_was_left(self, world: World) -> None:
        for name in ("lender", "borrower"):
            add_queue(world, name, cohort="all", resources=[{"name": "cpu", "nominalQuota": "4"}])
        for n in range(8):
            add_job(world, f"b{n}", queue="borrower", annotations={keys.EXPECTED_RUN_TIME: "10h"})
        await world.cycle()
        assert len(running(world)) == 8
        for n in range(8):
            world.kube.change(JOBS, f"b{n}", {"status": {"active": 1}}, "team-a")
        add_job(world, "own", "team-b", queue="lender", **WHOLE, annotations={keys.EXPECTED_RUN_TIME: "10h"})
        await world.cycles(2)
        assert "own" not in running(world), "their pods are still there"
        assert len(running(world)) == 4, "no more than needed"

        for n in range(8):
            if world.kube.one(JOBS, f"b{n}", "team-a")["spec"]["suspend"]:
                world.kube.change(JOBS, f"b{n}", {"status": {"active": 0}}, "team-a")
        await world.cycles(2)

        assert "own" in running(world)
        assert len(running(world)) == 5


class TestTricks:
    async def test_who_asks_for_more_while_he_waits_is_given_a_new_place(self, world: World) -> None:
        add_job(world, "blocker", **WHOLE)
        await world.cycle()
        for name in ("small", "other"):
            add_job(world, name, "team-b")
        await world.cycles(2)
        first = order(world)[0].removeprefix("uid-")

        world.kube.change(JOBS, first, {"spec": {"parallelism": 4, "completions": 4}}, "team-b")
        await world.cycle()

        assert order(world)[-1] == f"uid-{first}"


class TestMemory:
    async def test_a_restart_changes_nothing(self, world: World) -> None:
        for n in range(20):
            add_job(world, f"burst-{n:02}")
        await world.cycle()
        add_job(world, "single", "team-b")
        await world.cycles(2)
        before = order(world)
        world.restart()

        await world.cycles(2)

        assert order(world) == before

    async def test_estimates_are_learned_and_kept(self, world: World) -> None:
        for n in range(3):
            add_job(world, f"train-{n}", image="train")
            await world.cycle()
            end(world, f"train-{n}", seconds=240)
            await world.cycle()
        world.restart()
        add_job(world, "blocker", **WHOLE)
        await world.cycle()
        add_job(world, "train-3", image="train")
        await world.cycle()

        memory = world.controllers.queues._memory
        assert memory is not None
        estimate = memory[0].estimate_of("uid-train-3")
        assert estimate is not None
        assert (estimate.seconds, estimate.runs) == (240, 3)

    async def test_what_was_kept_and_can_not_be_read_is_begun_anew(self, world: World) -> None:
        add_job(world, "j")
        await world.cycle()
        world.kube.change(CONFIGMAPS, CONFIG_MAP, {"binaryData": {KEY: "AAAA"}}, "spotkube-system")
        world.restart()

        await world.cycles(2)

        assert running(world) == ["j"]

    async def test_where_nothing_may_be_kept_the_queue_works_nevertheless(self, world: World) -> None:
        world.kube.refuse["patch configmaps"] = Forbidden(403, "Forbidden", "no")
        add_job(world, "j")

        await world.cycles(2)

        assert running(world) == ["j"]

    async def test_of_more_than_a_config_map_holds_fewer_places_are_kept(self) -> None:
        places = [{"position": n, "uid": hashlib.sha256(str(n).encode()).hexdigest()} for n in range(1, 201)]

        async def kept(most_bytes: int) -> list[int]:
            shown = await keeping._shown(places, 0.0, most_bytes)
            return [place["position"] for place in json.loads(lzma.decompress(shown))["places"]]

        assert await kept(1_000_000) == list(range(1, 201))
        assert await kept(5_000) == list(range(1, 51))
        assert await kept(0) == []

    async def test_what_no_config_map_holds_is_said_once(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(keeping, "MOST_BYTES", 100)
        add_job(world, "j")
        await world.cycle()
        add_job(world, "k")

        await world.cycle()

        assert running(world) == ["j", "k"]
        assert "patch configmaps/spotkube-queues" not in world.kube.writes
        assert caplog.text.count("too many jobs wait") == 1

    async def test_a_patch_that_fails_is_tried_again(self, world: World) -> None:
        world.kube.refuse["patch jobs"] = UNAVAILABLE
        add_job(world, "j")
        await world.cycle()
        world.kube.refuse.clear()

        await world.cycle()

        assert running(world) == ["j"]


def order(world: World) -> list[str]:
    memory = world.controllers.queues._memory
    assert memory is not None
    return list(memory[0].clock.in_order())


class TestWhatIsShown:
    """`spotkube queue` reads what the operator keeps of those who wait."""

    async def test_places_with_the_numbers_that_explain_them(self, world: World) -> None:
        add_queue(world, resources=[{"name": "cpu", "nominalQuota": "4"}], tenants=[{"name": "team-b", "weight": 2}])
        add_job(world, "runs", **WHOLE)
        await world.cycle()
        for n in range(2):
            add_job(world, f"a{n}", cpu="2")
            add_job(world, f"b{n}", "team-b", cpu="2")
        await world.cycle()

        found = to_places(world.kube.one(CONFIGMAPS, CONFIG_MAP, "spotkube-system")).of_queue("batch")

        assert [(one.key, one.position) for one in found] == [
            ("team-b/b0", 1), ("team-b/b1", 2), ("team-a/a0", 3), ("team-a/a1", 4),
        ]  # fmt: skip
        assert {one.reason for one in found} <= {"Quota", "Reservation"}
        numbers = [one.numbers for one in found]
        assert [one.weight for one in numbers if one] == [2, 2, 1, 1]
        spans = [one.virtual_deadline - one.virtual_start for one in numbers if one and one.virtual_deadline]
        size = numbers[0].size if numbers[0] else 0.0
        assert spans == pytest.approx([size / 2, size, size, 2 * size])
        assert all(one.estimated_start is not None for one in found)
