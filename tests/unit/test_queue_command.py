"""`spotkube queue` and `spotkube queue why` as people see them, over a cluster that is played."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from queue_shown import LINE, NOW, fair_queue, kept, place, queue_status, waiting_workload
from spotkube.cli import app
from spotkube.cluster.client import KubeClient
from spotkube.cluster.errors import Forbidden, NotFound
from spotkube.cluster.resources import CONFIGMAPS, FAIRQUEUES, JOBS, WORKLOADS, Resource
from spotkube.commands import queue_reading
from spotkube.model.labels import QUEUE_NAME

Object = dict[str, Any]


@dataclass
class FakeCluster:
    """A `KubeClient` that only reads. `forbidden` are kinds that who asks may not read at all, `own` the namespace
    whose objects he may list where he may not list all."""

    objects: dict[Resource, list[Object]] = field(default_factory=dict)
    forbidden: set[Resource] = field(default_factory=set)
    missing: set[Resource] = field(default_factory=set)
    own: str | None = None

    async def __aenter__(self) -> FakeCluster:
        return self

    async def __aexit__(self, *exc_info: object) -> None: ...

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        self._check(resource, namespace)
        for raw in self.objects.get(resource, []):
            if (raw["metadata"].get("namespace"), raw["metadata"]["name"]) == (namespace, name):
                return copy.deepcopy(raw)
        return None

    async def list(self, resource: Resource, namespace: str | None = None) -> tuple[list[Object], str]:
        self._check(resource, namespace)
        found = self.objects.get(resource, [])
        return [raw for raw in found if namespace in (None, raw["metadata"].get("namespace"))], "1"

    def _check(self, resource: Resource, namespace: str | None) -> None:
        if resource in self.missing:
            raise NotFound(404, "NotFound", "the server could not find the requested resource")
        if resource in self.forbidden or (self.own and resource.namespaced and namespace != self.own):
            raise Forbidden(403, "Forbidden", f"{resource.plural} is forbidden")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """Queue batch, and three that wait in it."""
    cluster = FakeCluster({FAIRQUEUES: [fair_queue()], CONFIGMAPS: [kept(*LINE)], WORKLOADS: [waiting_workload()]})

    async def connect(*_: object) -> FakeCluster:
        return cluster

    monkeypatch.setattr(KubeClient, "connect", connect)
    monkeypatch.setattr(queue_reading, "time", SimpleNamespace(time=lambda: NOW))
    return cluster


def spotkube_queue(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["queue", *words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of a section's table, without its header."""
    lines = text.split(heading, 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell for cell in line.split("  ") if cell.strip()] for line in lines]


class TestQueues:
    def test_a_row_for_each_queue_tenant_and_waiting_job(self, cluster: FakeCluster) -> None:
        code, out, _ = spotkube_queue()

        assert code == 0
        for words in (
            "3.50/20.00",
            "cpu 44/40 (4 borrowed)",
            "Waiting, as of 12 s ago",
            "Quota: it needs 4 cpu, and of the quota of queue batch 2 cpu are left",
        ):
            assert words in out
        stripped = [[cell.strip() for cell in row] for row in rows(out, "Tenants")]
        assert stripped == [
            ["batch", "bank", "1", "1", "1", "0.40", "11.25", "25%", "33%"],
            ["batch", "shop", "2", "2", "4", "1.20", "30.00", "75%", "67%"],
        ]
        first, _, last = ([cell.strip() for cell in row] for row in rows(out, "Waiting"))
        assert first[:5] == ["1", "3", "Job bank/urgent", "batch", "bank"]
        assert last[:8] == ["3", "2", "Job shop/report", "batch", "shop", "14:12", "in 12 min", "14:08 and 14:20"]

    def test_pods_that_run_longer_than_advised(self, cluster: FakeCluster) -> None:
        assert "longer than" not in spotkube_queue()[1]
        overrun = {"job": "bank/nightly", "pods": 3, "since": "2026-11-28T13:48:00Z"}
        spec, status = fair_queue()["spec"] | {"advisoryRunTime": "10m"}, queue_status() | {"overruns": [overrun]}
        cluster.objects[FAIRQUEUES] = [fair_queue(spec=spec, status=status)]

        (row,) = rows(spotkube_queue()[1], "longer than the queue advises")
        assert [cell.strip() for cell in row] == ["bank/nightly", "batch", "10m", "3", "12 min"]
        assert json.loads(spotkube_queue("-o", "json")[1])["queues"][0]["overruns"] == [overrun]

    def test_the_first_twenty_unless_all_are_asked_for(self, cluster: FakeCluster) -> None:
        cluster.objects[CONFIGMAPS] = [kept(*(place(f"shop/j{n:02}", n) for n in range(1, 31)))]

        out = spotkube_queue()[1]
        assert "the first 20 of 30 (--all shows all)" in out
        assert len(rows(out, "Waiting")) == 20
        assert len(rows(spotkube_queue("--all")[1], "Waiting")) == 30

    def test_one_queue_and_one_namespace(self, cluster: FakeCluster) -> None:
        cluster.objects[FAIRQUEUES].append(fair_queue("other", spec={}, status={}))

        assert "no quota" in spotkube_queue("--queue", "other")[1]
        told = json.loads(spotkube_queue("-n", "bank", "-o", "json")[1])
        assert [one["name"] for one in told["tenants"]] == ["bank"]
        assert [one["job"] for one in told["waiting"]] == ["Job bank/urgent", "Job bank/close"]
        assert len(told["queues"]) == 2

    def test_json_has_all_in_one_object(self, cluster: FakeCluster) -> None:
        told = json.loads(spotkube_queue("-o", "json")[1])

        assert set(told) == {"version", "asOf", "origin", "queues", "tenants", "waiting", "notes"}
        assert (told["origin"], told["asOf"]) == ("Operator", "2026-11-28T13:59:48Z")
        (queue,) = told["queues"]
        assert (queue["active"], queue["pending"], queue["budget"]["usdPerDay"]) == ("True", 3, 20)
        assert queue["usage"] == [{"name": "cpu", "used": "44", "borrowed": "4", "quota": "40"}]
        report = told["waiting"][2]
        assert report["estimatedStart"] == "2026-11-28T14:12:00Z"
        assert report["numbers"]["virtualDeadline"] == 112

    def test_names_of_tenants_are_not_taken_for_markup(self, cluster: FakeCluster) -> None:
        cluster.objects[CONFIGMAPS] = [kept(place(message="label [bold] of [/x] is missing"))]
        assert "label [bold] of [/x] is missing" in spotkube_queue()[1]

    def test_nothing_was_kept_yet(self, cluster: FakeCluster) -> None:
        cluster.objects[CONFIGMAPS] = []
        code, out, _ = spotkube_queue()
        assert code == 0
        assert "no operator has kept anything of who waits yet" in out

    def test_another_namespace_of_the_operator(self, cluster: FakeCluster) -> None:
        cluster.objects[CONFIGMAPS] = [kept(*LINE, namespace="ops")]
        assert json.loads(spotkube_queue("-o", "json")[1])["origin"] == "Nothing"
        assert json.loads(spotkube_queue("-o", "json", "--operator-namespace", "ops")[1])["origin"] == "Operator"


class TestTenants:
    """They may not read what the operator keeps."""

    def test_sees_what_the_own_workloads_say(self, cluster: FakeCluster) -> None:
        cluster.own = "shop"
        code, out, _ = spotkube_queue("-n", "shop")

        assert code == 0
        (row,) = rows(out, "Waiting")
        assert [cell.strip() for cell in row[:7]] == [
            "-", "-", "Workload shop/report", "batch", "shop", "14:12", "in 12 min",
        ]  # fmt: skip
        assert "Quota: it needs 4 cpu, and 2 are left" in out
        assert "you may not read ConfigMap spotkube-system/spotkube-queues" in out

    def test_is_told_to_name_a_namespace(self, cluster: FakeCluster) -> None:
        cluster.own = "shop"
        cluster.forbidden = {FAIRQUEUES}
        code, out, _ = spotkube_queue()

        assert code == 0
        assert "name a namespace of yours with -n" in out
        assert "you may not list FairQueues: fairqueues is forbidden" in out

    def test_why_tells_what_can_be_told(self, cluster: FakeCluster) -> None:
        cluster.own = "shop"
        code, out, _ = spotkube_queue("why", "report", "-n", "shop")
        assert code == 0
        assert "Workload shop/report waits in queue batch." in out
        assert "The numbers that make the order are kept by the operator" in out
        assert "It will likely start in 12 min, at 14:12 UTC." in out


class TestWhy:
    def test_says_it_all_with_numbers(self, cluster: FakeCluster) -> None:
        code, out, _ = spotkube_queue("why", "shop/report")

        assert code == 0
        for words in (
            "Job shop/report is 3 of 3 that wait in queue batch, and 2 in the order over all queues, as of 12 s ago.",
            "It was submitted 1 h ago by tenant shop.",
            "It was preempted once, and keeps its place.",
            "Its size is 24.000: an estimated run of 10 min x 4.00% of the whole capacity",
            "The estimate is from History: mean of the last 5 runs of report-* with image app.",
            "off by no more than a factor of 1.31",
            "Tenant shop has weight 2 in queue batch.",
            "its virtual start 100.000",
            "12.000 to go (sizes over the weight), so its virtual deadline is 112.000.",
            "2: Job bank/close of tenant bank, deadline 110.000: its virtual deadline 110.000 is before 112.000.",
            "1: Job bank/urgent of tenant bank, deadline 190.000: its priority 100 is above 0.",
            "Quota: it needs 4 cpu",
            "It will likely start in 12 min, at 14:12 UTC.",
            "Four of five such jobs start between 14:08 and 14:20 UTC",
        ):
            assert words in out

    def test_the_first_has_nobody_before_it(self, cluster: FakeCluster) -> None:
        assert "Nobody is before it in its queue." in spotkube_queue("why", "urgent")[1]

    def test_json(self, cluster: FakeCluster) -> None:
        told = json.loads(spotkube_queue("why", "report", "-n", "shop", "-o", "json")[1])
        assert (told["job"], told["position"], told["pending"]) == ("Job shop/report", 3, 3)
        assert [(one["job"], one["why"]) for one in told["before"]] == [
            ("Job bank/close", "its virtual deadline 110.000 is before 112.000"),
            ("Job bank/urgent", "its priority 100 is above 0"),
        ]
        assert told["numbers"]["errorRatio"] == 1.31
        assert told["sentences"]["Start"][0] == "It will likely start in 12 min, at 14:12 UTC."

    @pytest.mark.parametrize(
        ("metadata", "suspend", "words"),
        [
            ({"labels": {QUEUE_NAME: "batch"}}, False, "Job shop/runs does not wait: queue batch let it go"),
            ({"labels": {QUEUE_NAME: "batch"}}, True, "is suspended, and queue batch has not taken it up"),
            ({}, False, "Job shop/runs names no queue: it has no label spotkube.io/queue-name"),
        ],
    )
    def test_a_job_that_is_there_and_waits_in_no_queue(
        self, cluster: FakeCluster, metadata: Object, suspend: bool, words: str
    ) -> None:
        about = {"name": "runs", "namespace": "shop", **metadata}
        cluster.objects[JOBS] = [{"metadata": about, "spec": {"suspend": suspend}}]
        code, out, err = spotkube_queue("why", "shop/runs")
        assert (code, out) == (1, "")
        assert words in err


def no_kinds(cluster: FakeCluster) -> None:
    cluster.missing = {FAIRQUEUES}


def broken_map(cluster: FakeCluster) -> None:
    cluster.objects[CONFIGMAPS][0]["binaryData"] = {"places.json.xz": "??"}


def as_is(_: FakeCluster) -> None: ...


@pytest.mark.parametrize(
    ("arguments", "change", "words"),
    [
        (("why", "shop/reprot"), as_is, "error: no job 'shop/reprot' waits in a queue: did you mean shop/report?"),
        (("--queue", "bach"), as_is, "error: --queue: there is no queue 'bach': did you mean batch?"),
        ((), no_kinds, "error: this cluster does not know FairQueues: install them"),
        (("why", "a"), broken_map, "error: ConfigMap spotkube-queues: places.json.xz"),
        (("-n", "shop", "why", "report"), as_is, "error: options stand after the command"),
    ],
)
def test_what_exits_with_1_and_prints_nothing_on_stdout(
    cluster: FakeCluster, arguments: tuple[str, ...], change: Callable[[FakeCluster], None], words: str
) -> None:
    change(cluster)
    code, out, err = spotkube_queue(*arguments)
    assert (code, out) == (1, "")
    assert words in err


@pytest.mark.parametrize("command", [(), ("why",)])
def test_help_has_examples(command: tuple[str, ...]) -> None:
    code, out, _ = spotkube_queue(*command, "--help")
    assert code == 0
    assert "spotkube queue why shop/report" in out
