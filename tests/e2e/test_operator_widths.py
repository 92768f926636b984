"""A Job that can be divided makes room for another tenant's as its pods end, and has it back: with a real API server
and the Job controller of Kubernetes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from spotkube.cluster.resources import JOBS, PODS
from spotkube.model import labels as keys
from support import wait_until
from support_operator import Object, Site, Story, name_of, queue_of

CORES, POD_SECONDS = 4, 8


@pytest.fixture
def queue(story: Story) -> Iterator[str]:
    with queue_of(story, CORES, advisoryRunTime=f"{POD_SECONDS * 10}s") as name:
        yield name


@pytest.fixture
def other_tenant(site: Site, story: Story) -> Iterator[str]:
    name = f"{story.namespace}-b"
    site.cluster.kubectl("create", "namespace", name)
    yield name
    site.cluster.kubectl("delete", "namespace", name, "--wait=false")


def job(
    story: Story, name: str, queue: str, *, pods: int, completions: int, run: str, namespace: str = "", least: str = ""
) -> Object:
    """As the chart's policy makes it: else pods of it run for a moment, if there is room for them."""
    template = story.template("1", annotations={"spotkube.io/run-seconds": f"{POD_SECONDS}s"})
    template["spec"]["restartPolicy"] = "Never"
    metadata = {
        "name": name,
        "namespace": namespace or story.namespace,
        "labels": {keys.QUEUE_NAME: queue},
        "annotations": {
            keys.HELD_BY_QUEUE: "true",
            keys.EXPECTED_RUN_TIME: run,
            **({keys.MIN_PARALLELISM: least} if least else {}),
        },
    }
    spec = {"suspend": True, "parallelism": pods, "completions": completions, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


class Watcher:
    """What became of the pods of both tenants: looked at as often as one can, with one list for both."""

    def __init__(self, story: Story, other_tenant: str) -> None:
        self.story, self.other_tenant = story, other_tenant
        self.last: dict[str, Object] = {}
        self.ended_before_time: list[str] = []

    def look(self) -> None:
        pods = self.story.site.reader.list(PODS)
        ours = (self.story.namespace, self.other_tenant)
        there = {pod["metadata"]["uid"]: pod for pod in pods if pod["metadata"]["namespace"] in ours}
        for uid, before in self.last.items():
            pod = there.get(uid)
            ran = before["status"]["phase"] == "Running" or before["spec"].get("nodeName")
            done = before["status"]["phase"] in ("Succeeded", "Failed")
            if ran and not done and (pod is None or pod["metadata"].get("deletionTimestamp")):
                self.ended_before_time.append(name_of(before))
        self.last = there
        assert self.running(self.story.namespace) + self.running(self.other_tenant) <= CORES

    def running(self, namespace: str) -> int:
        return len(self.seen(namespace, "Running"))

    def seen(self, namespace: str, *phases: str) -> list[Object]:
        of = [pod for pod in self.last.values() if pod["metadata"]["namespace"] == namespace]
        return [pod for pod in of if pod["status"]["phase"] in phases]


def test_a_wide_job_makes_room_as_its_pods_end_and_has_it_back(story: Story, queue: str, other_tenant: str) -> None:
    watcher = Watcher(story, other_tenant)

    def wait(condition: Callable[[], bool], what: str) -> None:
        def looked() -> bool:
            watcher.look()
            story.site.check()
            return condition()

        def told() -> str:
            said = story.site.cluster.kubectl("get", "events", "--namespace", other_tenant)
            widths = story.site.cluster.kubectl("get", "fairqueue", queue, "--output=jsonpath={.status}")
            return f"{what}\n{story.describe(story.namespace, other_tenant)}\n{said}\n{widths}\n{story.site.log()}"

        wait_until(looked, 120, told)

    def wide_fills_the_queue() -> bool:
        return watcher.running(story.namespace) == CORES

    story.apply(job(story, "wide", queue, pods=8, completions=200, run="30m", least="1"))
    wait(wide_fills_the_queue, "the wide job to fill the queue")
    made = story.site.reader.get(JOBS, "wide", story.namespace)
    assert made is not None
    assert made["metadata"]["annotations"][keys.PARALLELISM] == "8"

    story.apply(job(story, "other", queue, pods=2, completions=2, run="10s", namespace=other_tenant))
    submitted = story.site.reader.list(JOBS, other_tenant)[0]
    # One may have ended before the other is seen to run.
    wait(lambda: len(watcher.seen(other_tenant, "Running", "Succeeded")) == 2, "the other tenant's job to run")
    (pod, _) = watcher.seen(other_tenant, "Running", "Succeeded")
    waited = seconds_between(submitted["metadata"]["creationTimestamp"], pod["status"]["startTime"])
    print(f"the other tenant's job waited for {waited:.0f} s, where a pod runs for {POD_SECONDS}")

    wait(
        lambda: len(watcher.seen(other_tenant, "Succeeded")) == 2 and wide_fills_the_queue(),
        "the wide job to have its room back",
    )
    assert not watcher.ended_before_time
    killed = story.kubectl("get", "events", "--field-selector=reason=Killing", "-o", "name")
    assert not killed.strip()
    failed = (story.site.reader.get(JOBS, "wide", story.namespace) or {})["status"].get("failed", 0)
    assert failed == 0


def seconds_between(before: str, after: str) -> float:
    return (datetime.fromisoformat(after) - datetime.fromisoformat(before)).total_seconds()
