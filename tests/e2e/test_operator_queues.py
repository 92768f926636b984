"""The fair queue on a real cluster: jobs wait for their turn, run on nodes that were bought for them, and a killed
operator changes nobody's place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spotkube.cluster.resources import CONFIGMAPS, FAIRQUEUES, JOBS, LEASES
from spotkube.controllers.queues.keeping import CONFIG_MAP
from spotkube.model import labels as keys
from support_operator import Object, Site, Story, condition, name_of, queue_of

CORES = 4


@pytest.fixture
def queue(story: Story) -> Iterator[str]:
    with queue_of(story, CORES) as name:
        yield name


def plain_job(story: Story, name: str, queue: str, seconds: int) -> Object:
    """A Job that names a queue, as its owner writes it: nothing of it says that it shall wait."""
    template = story.template("1", annotations={"spotkube.io/run-seconds": f"{seconds}s"})
    template["spec"]["restartPolicy"] = "Never"
    metadata = {"name": name, "namespace": story.namespace, "labels": {keys.QUEUE_NAME: queue}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template}}


def jobs(story: Story) -> dict[str, Object]:
    return {name_of(job): job for job in story.site.reader.list(JOBS, story.namespace)}


def has_ended(job: Object) -> bool:
    return any(one["type"] == "Complete" and one["status"] == "True" for one in job["status"].get("conditions", ()))


def runs(job: Object) -> bool:
    return keys.ADMITTED_AT in job["metadata"].get("annotations", {}) and not has_ended(job)


def most_at_once(story: Story, count: int) -> int:
    """Waits until so many jobs have ended; how many were let go at the same time."""
    most = 0

    def all_ended() -> bool:
        nonlocal most
        found = jobs(story).values()
        most = max(most, sum(map(runs, found)))
        return sum(map(has_ended, found)) == count

    story.wait(all_ended, f"{count} jobs to end", timeout=120)
    return most


def test_jobs_wait_for_their_turn_and_run_on_nodes_that_were_bought_for_them(story: Story, queue: str) -> None:
    story.apply(*(plain_job(story, f"plain-{n}", queue, seconds=5) for n in range(7)))
    story.apply(story.job("whole", 2, 5, "1", queueName=queue))

    assert most_at_once(story, 8) <= CORES

    status = story.site.reader.get(FAIRQUEUES, queue)
    assert status is not None
    assert condition(status["status"], "Active")["status"] == "True"
    assert story.claims(), "nodes were bought for them"


def test_a_workload_says_why_it_waits_and_when_it_will_start(story: Story, queue: str) -> None:
    story.apply(*(plain_job(story, f"long-{n}", queue, seconds=60) for n in range(CORES)))
    story.wait(lambda: sum(map(runs, jobs(story).values())) == CORES, "the queue to be full")

    story.apply(story.job("next", 1, 5, "1", queueName=queue, expectedRunTime="1m"))

    place = story.wait(lambda: story.status("next").get("queue"), "its place in the queue")
    assert place["reason"] == "Quota"
    assert place["earliestStart"] <= place["estimatedStart"] <= place["latestStart"]
    assert f"queue {queue}" in story.status("next")["waitingFor"]


def test_a_killed_operator_changes_nobodys_place(site: Site, story: Story, queue: str) -> None:
    story.apply(*(plain_job(story, f"burst-{n:02}", queue, seconds=4) for n in range(10)))
    for _ in range(2):
        story.wait(lambda: any(map(runs, jobs(story).values())), "a job to be let go")
        site.kill_operators()
        site.cluster.kubectl("delete", LEASES.name, "spotkube", "-n", site.namespace, "--ignore-not-found")
        site.start_operator()

    assert most_at_once(story, 10) <= CORES
    assert site.reader.get(CONFIGMAPS, CONFIG_MAP, site.namespace) is not None
