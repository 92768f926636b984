"""Jobs that can do with fewer pods grow and shrink as others come and go, and none of their pods is ended for it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from controller_builders import World
from fake_kube import rfc3339
from spotkube.cluster.errors import Unavailable
from spotkube.cluster.resources import FAIRQUEUES, JOBS, NAMESPACES, PODS
from spotkube.convert.pods import to_timestamp
from spotkube.model import labels as keys
from spotkube.planner.formulation.waiting import pods_to_place

Object = dict[str, Any]
GATE = {"name": keys.QUEUE_GATE}
# How far the Job controller is behind.
SEEN_LATE_SECONDS = 1.5


class Stage:
    """A queue of four cores, and the Job controller and a kubelet in a few lines."""

    def __init__(self) -> None:
        self.world = World()
        self.numbers = itertools.count()
        self.removed: list[str] = []
        self.world.add_pool(limits={"resources": {"cpu": "100", "memory": "1000Gi"}})
        for name in ("team-a", "team-b"):
            self.world.kube.put(NAMESPACES, {"metadata": {"name": name}})
        self.add_queue()

    def add_queue(self, **spec: Any) -> None:
        spec = {"resources": [{"name": "cpu", "nominalQuota": "4"}], **spec}
        self.world.kube.put(
            FAIRQUEUES,
            {"apiVersion": keys.API_VERSION, "kind": "FairQueue", "metadata": {"name": "batch"}, "spec": spec},
        )

    def add_job(
        self,
        name: str,
        namespace: str = "team-a",
        *,
        pods: int = 1,
        completions: int = 1,
        least: str = "",
        run: str = "5m",
    ) -> None:
        """As the chart's policy makes it."""
        annotations = {keys.HELD_BY_QUEUE: "true", keys.EXPECTED_RUN_TIME: run}
        if least:
            annotations[keys.MIN_PARALLELISM] = least
        pod = {"containers": [{"name": "main", "image": "app", "resources": {"requests": {"cpu": "1"}}}]}
        self.world.kube.put(
            JOBS,
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {
                    "name": name,
                    "namespace": namespace,
                    "uid": f"uid-{name}",
                    "labels": {keys.QUEUE_NAME: "batch"},
                    "annotations": annotations,
                    "creationTimestamp": rfc3339(self.world.clock()),
                },
                "spec": {
                    "suspend": True,
                    "parallelism": pods,
                    "completions": completions,
                    "template": {"spec": pod},
                },
                "status": {},
            },
        )

    def job(self, name: str) -> Object:
        return next(raw for raw in self.world.kube.all(JOBS) if raw["metadata"]["name"] == name)

    def change(self, name: str, patch: Object) -> None:
        self.world.kube.change(JOBS, name, patch, self.job(name)["metadata"]["namespace"])

    def pods(self, name: str) -> list[Object]:
        return [raw for raw in self.world.kube.all(PODS) if raw["metadata"]["ownerReferences"][0]["name"] == name]

    def free(self, name: str) -> list[Object]:
        """Pods that run: those that nothing holds back."""
        return [raw for raw in self.pods(name) if not raw["spec"].get("schedulingGates")]

    def width(self, name: str) -> int:
        return int(self.job(name)["spec"]["parallelism"])

    async def cycles(self, count: int = 3) -> None:
        """The operator, the Job controller and the kubelet take turns."""
        for _ in range(count):
            await self.world.cycle()
            self.make_pods()
            for raw in self.world.kube.all(PODS):
                if not raw["spec"].get("schedulingGates") and not raw["spec"].get("nodeName"):
                    raw["spec"]["nodeName"] = "node"
                    started = rfc3339(self.world.clock())
                    self.world.kube.put(PODS, raw | {"status": {"phase": "Running", "startTime": started}})

    def make_pods(self) -> None:
        for job in self.world.kube.all(JOBS):
            name, spec, status = job["metadata"]["name"], job["spec"], job["status"]
            wanted = min(spec["parallelism"], spec["completions"] - status.get("succeeded", 0))
            there = self.pods(name)
            for _ in range((0 if spec["suspend"] else wanted) - len(there)):
                self._make_pod(job)
            surplus = len(there) - (0 if spec["suspend"] else wanted)
            # Of those that it does not know to run, it takes any: here those that it should not.
            by_rank = sorted(there, key=lambda raw: (self._is_known_to_run(raw), "schedulingGates" in raw["spec"]))
            for raw in by_rank[: max(0, surplus)]:
                self.removed.append("waiting" if raw["spec"].get("schedulingGates") else "let go")
                self.world.kube.drop(PODS, raw["metadata"]["name"], raw["metadata"]["namespace"])

    def _is_known_to_run(self, pod: Object) -> bool:
        started = pod["status"].get("startTime")
        return bool(started) and to_timestamp(started) <= self.world.clock() - SEEN_LATE_SECONDS

    def _make_pod(self, job: Object) -> None:
        name, namespace = f"{job['metadata']['name']}-{next(self.numbers):03}", job["metadata"]["namespace"]
        owner = {
            "kind": "Job",
            "name": job["metadata"]["name"],
            "controller": True,
            "uid": "o",
            "apiVersion": "batch/v1",
        }
        spec = {**job["spec"]["template"]["spec"]}
        spec["schedulingGates"] = list(spec.get("schedulingGates", ()))
        metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "ownerReferences": [owner]}
        self.world.kube.put(PODS, {"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}})

    def end_pods(self, name: str, count: int, *, replaced: bool = True) -> None:
        """They end well, and the Job controller has replaced them before the operator looks, or has not seen it yet."""
        job = self.job(name)
        for raw in self.free(name)[:count]:
            self.world.kube.drop(PODS, raw["metadata"]["name"], raw["metadata"]["namespace"])
        succeeded = job["status"].get("succeeded", 0) + count
        status: Object = {"succeeded": succeeded}
        if succeeded == job["spec"]["completions"]:
            status["conditions"] = [{"type": "Complete", "status": "True"}]
            status |= {"startTime": rfc3339(self.world.clock() - 60), "completionTime": rfc3339(self.world.clock())}
        self.change(name, {"status": status})
        if replaced:
            self.make_pods()


@pytest.fixture
def stage() -> Stage:
    return Stage()


class TestAdmission:
    async def test_with_the_width_that_has_room_and_its_own_noted(self, stage: Stage) -> None:
        stage.add_job("big", pods=8, completions=100, least="2")

        await stage.cycles()

        job = stage.job("big")
        assert stage.width("big") == 4
        assert job["metadata"]["annotations"][keys.PARALLELISM] == "8"
        assert job["spec"]["template"]["spec"]["schedulingGates"] == [GATE]
        assert len(stage.free("big")) == len(stage.pods("big")) == 4

    async def test_by_one_patch(self, stage: Stage) -> None:
        stage.add_job("big", pods=8, completions=100, least="2")

        await stage.world.cycle()

        assert stage.world.kube.writes.count("patch jobs/big") == 1

    async def test_it_waits_where_not_even_its_least_has_room(self, stage: Stage) -> None:
        stage.add_job("big", pods=8, completions=100, least="5")

        await stage.cycles()

        assert stage.job("big")["spec"]["suspend"]

    @pytest.mark.parametrize(
        ("least", "completions", "words"),
        [
            ("0", 100, "'0' must be a whole number from 1 to spec.parallelism, which is 3"),
            ("4", 100, "'4' must be a whole number from 1 to spec.parallelism, which is 3"),
            ("some", 100, "'some' must be a whole number"),
            ("1", 3, "raise spec.completions above 3"),
        ],
    )
    async def test_what_can_not_be_divided_runs_whole_and_its_owner_is_told(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch, least: str, completions: int, words: str
    ) -> None:
        told: list[str] = []
        monkeypatch.setattr(stage.world.tools.recorder, "record", lambda *said: told.append(said[3]))
        stage.add_job("odd", pods=3, completions=completions, least=least)

        await stage.cycles()

        assert stage.width("odd") == len(stage.free("odd")) == 3
        assert "schedulingGates" not in stage.job("odd")["spec"]["template"]["spec"]
        assert any(words in one for one in told)


class TestShrinkingAndGrowing:
    async def fill(self, stage: Stage) -> None:
        stage.add_job("big", pods=4, completions=100, least="1", run="1h")
        await stage.cycles()
        assert len(stage.free("big")) == 4

    async def test_it_makes_room_as_its_pods_end_and_has_it_back_later(self, stage: Stage) -> None:
        await self.fill(stage)
        stage.add_job("small", "team-b", pods=2, completions=2)
        await stage.cycles()
        assert len(stage.free("big")) == 4, "no pod is ended for it"

        stage.end_pods("big", 1)
        await stage.cycles()
        assert (stage.width("big"), len(stage.free("big"))) == (3, 3)
        assert stage.job("small")["spec"]["suspend"]

        stage.end_pods("big", 1)
        await stage.cycles()
        assert len(stage.free("big")) == len(stage.free("small")) == 2
        assert stage.removed == ["waiting", "waiting"]

        stage.end_pods("small", 2)
        await stage.cycles()
        assert len(stage.free("big")) == 4

    async def test_it_does_not_shrink_before_the_job_controller_knows_that_a_pod_has_ended(self, stage: Stage) -> None:
        """Else that would end another of them: it still counts the one that has ended."""
        await self.fill(stage)
        stage.add_job("small", "team-b", pods=2, completions=2)
        await stage.cycles()

        stage.end_pods("big", 1, replaced=False)
        await stage.world.cycle()
        assert stage.width("big") == 4

        await stage.cycles()
        assert (stage.width("big"), len(stage.free("big"))) == (3, 3)
        assert stage.removed == ["waiting"]

    async def test_none_is_let_go_while_the_job_controller_chooses_whom_to_remove(self, stage: Stage) -> None:
        """Where all end at once, those that follow are alike to it."""
        await self.fill(stage)
        stage.add_job("small", "team-b", pods=2, completions=2)
        await stage.cycles()

        stage.end_pods("big", 4)
        await stage.cycles()

        assert stage.removed == ["waiting", "waiting"]
        assert len(stage.free("big")) == len(stage.free("small")) == 2

    async def test_it_shrinks_once_the_job_controller_knows_who_runs(self, stage: Stage) -> None:
        await self.fill(stage)
        stage.end_pods("big", 1)
        await stage.cycles(1)  # the one that followed runs since a moment
        stage.add_job("small", "team-b", pods=1)
        stage.end_pods("big", 1)

        await stage.cycles(6)

        assert stage.removed == ["waiting"]
        assert (len(stage.free("big")), len(stage.free("small"))) == (3, 1)

    async def test_it_never_goes_below_its_least(self, stage: Stage) -> None:
        stage.add_job("big", pods=4, completions=100, least="3", run="1h")
        await stage.cycles()
        for number in range(4):
            stage.add_job(f"small-{number}", "team-b")
        await stage.cycles()

        for _ in range(6):
            stage.end_pods("big", 1)
            await stage.cycles()

        assert len(stage.free("big")) == 3
        assert "let go" not in stage.removed

    @pytest.mark.parametrize("crash", ["patch jobs/big", "patch pods/"])
    async def test_after_a_crash_it_goes_on_from_what_is_there(self, stage: Stage, crash: str) -> None:
        await self.fill(stage)
        stage.add_job("small", "team-b", pods=2, completions=2)
        await stage.cycles()
        stage.world.kube.refuse[crash] = Unavailable(500, "InternalError", "etcd is away")
        stage.end_pods("big", 2)
        await stage.cycles(1)
        stage.world.kube.refuse.clear()
        stage.world.restart()

        await stage.cycles(4)

        assert len(stage.free("big")) == len(stage.free("small")) == 2
        assert "let go" not in stage.removed

    async def test_one_that_is_taken_back_has_its_own_parallelism_again(self, stage: Stage) -> None:
        stage.add_job("big", pods=8, completions=100, least="1")
        await stage.cycles()
        stage.add_queue(stopPolicy="HoldAndDrain")
        await stage.cycles()
        assert (stage.job("big")["spec"]["suspend"], stage.width("big")) == (True, 8)

        stage.add_queue()
        await stage.cycles(15)

        assert len(stage.free("big")) == 4

    async def test_its_pods_behind_the_gate_are_not_planned_for(self, stage: Stage) -> None:
        await self.fill(stage)
        stage.add_job("small", "team-b", pods=2, completions=2)
        await stage.cycles()
        stage.end_pods("big", 1)

        view = await stage.world.look()

        (behind,) = [pod for pod in view.pods.values() if pod.gates]
        assert behind.gates == (keys.QUEUE_GATE,)
        assert behind not in pods_to_place(view.snapshot)
        assert not view.expected

    async def test_pods_still_to_be_made_count_up_to_its_width(self, stage: Stage) -> None:
        stage.add_job("big", pods=8, completions=100, least="2")
        await stage.world.cycle()
        stage.make_pods()
        for raw in stage.pods("big")[1:]:
            stage.world.kube.drop(PODS, raw["metadata"]["name"], "team-a")
        assert not (await stage.world.look()).expected, "the one that is there waits for its queue"

        await stage.world.cycle()

        assert len((await stage.world.look()).expected) == 3

    async def test_what_it_did_with_fewer_pods_counts_as_less(self, stage: Stage) -> None:
        stage.add_job("big", pods=8, completions=16, least="1", run="10m")
        await stage.cycles()
        for _ in range(4):
            stage.world.clock.now += 300
            stage.end_pods("big", 4)
            await stage.cycles()

        memory = stage.world.controllers.queues._memory
        assert memory is not None
        ((runs,),) = [classes.values() for classes in memory[0].history.tenants.values()]
        assert runs.run_seconds == (pytest.approx(30, abs=5),), "a run of a minute, told above, with half of its pods"


class TestLongPods:
    async def test_they_are_told_of_with_the_time_since_when(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[tuple[str, str]] = []
        monkeypatch.setattr(stage.world.tools.recorder, "record", lambda *said: told.append((said[2], said[3])))
        stage.add_queue(advisoryRunTime="10m")
        stage.add_job("long", pods=2, completions=20, least="1")
        await stage.cycles()
        begun = max(raw["status"]["startTime"] for raw in stage.pods("long"))
        stage.world.clock.now += 900

        await stage.cycles()

        (overrun,) = stage.world.kube.one(FAIRQUEUES, "batch")["status"]["overruns"]
        assert (overrun["job"], overrun["pods"]) == ("team-a/long", 2)
        assert overrun["since"] > begun
        (words,) = [words for reason, words in told if reason == "RunsLong"]
        assert "2 of its pods have run longer than the 10m that queue batch advises" in words


class TestFigures:
    def figure(self, stage: Stage, name: str, **labels: str) -> float | None:
        whole = {"queue": "batch", "tenant": "team-a", **labels}
        return stage.world.metrics.registry.get_sample_value(f"spotkube_queue_{name}", whole)

    def widths(self, stage: Stage) -> list[float | None]:
        return [self.figure(stage, "width_pods", state=state) for state in ("now", "due", "most")]

    async def test_widths_beside_what_is_due(self, stage: Stage) -> None:
        stage.add_job("big", pods=8, completions=100, least="1", run="1h")
        await stage.cycles()
        assert self.widths(stage) == [4, 4, 8]

        stage.add_job("small", "team-b", pods=2, completions=2)
        await stage.cycles()
        assert self.widths(stage) == [4, 2, 8], "it shrinks as its pods end"

        stage.end_pods("big", 2)
        await stage.cycles()
        assert self.widths(stage) == [2, 2, 8]

        stage.end_pods("small", 2)
        await stage.cycles()
        assert self.widths(stage) == [4, 4, 8]

    async def test_of_all_jobs_of_a_tenant_together(self, stage: Stage) -> None:
        for name in ("one", "two"):
            stage.add_job(name, pods=2, completions=10, least="1")
        await stage.cycles()
        assert self.widths(stage) == [4, 4, 4]

    async def test_a_queue_that_is_stopped_leaves_them_as_they_are(self, stage: Stage) -> None:
        stage.add_job("big", pods=4, completions=100, least="1", run="1h")
        await stage.cycles()
        stage.add_job("small", "team-b", pods=2, completions=2)
        stage.add_queue(stopPolicy="Hold")
        await stage.cycles()
        assert self.widths(stage) == [4, 4, 4]

    async def test_whose_jobs_have_ended_has_none(self, stage: Stage) -> None:
        stage.add_job("big", pods=2, completions=3, least="1")
        await stage.cycles()
        stage.end_pods("big", 2)
        await stage.cycles()
        stage.end_pods("big", 1)
        await stage.cycles()
        assert self.widths(stage) == [None, None, None]

    async def test_how_long_others_wait_for_pods_that_run_long(self, stage: Stage) -> None:
        stage.add_queue(advisoryRunTime="10m")
        stage.add_job("long", pods=2, completions=20, least="1")
        await stage.cycles()
        assert self.figure(stage, "overrun_pods") is None
        stage.world.clock.now += 900
        await stage.cycles()

        assert self.figure(stage, "overrun_pods") == 2
        assert self.figure(stage, "overrun_seconds") == pytest.approx(300, abs=5)

        stage.end_pods("long", 2)
        await stage.cycles()
        assert self.figure(stage, "overrun_pods") is None
        assert self.figure(stage, "overrun_seconds") is None

    async def test_another_replica_leads(self, stage: Stage) -> None:
        stage.add_queue(advisoryRunTime="10m")
        stage.add_job("long", pods=2, completions=20, least="1")
        await stage.cycles()
        stage.world.clock.now += 900
        await stage.cycles()

        stage.world.controllers.queues.forget()

        assert not [line for line in stage.world.metrics.render().decode().splitlines() if "queue=" in line]
