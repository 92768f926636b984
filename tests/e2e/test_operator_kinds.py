"""Pods and groups in queues on a real cluster: Deployments that opt in, gangs of pods and of Jobs, and an operator that
is killed while it lets a gang go. The pods are gated by their templates here, as the chart's policy would do it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spotkube.cluster.resources import JOBS, LEASES
from spotkube.model import labels as keys
from support_operator import Object, Site, Story, is_running, name_of, queue_of

CORES = 4
GATE = {"name": keys.QUEUE_GATE}
# So many that letting them go takes some seconds.
MANY = 40


@pytest.fixture
def queue(story: Story) -> Iterator[str]:
    with queue_of(story, CORES) as name:
        yield name


def members(story: Story, queue: str, group: str, count: int, size: int, cpu: str = "1") -> list[Object]:
    """Bare pods of a group."""
    made = []
    for n in range(count):
        template = story.template(
            cpu,
            labels={keys.QUEUE_NAME: queue, keys.POD_GROUP_NAME: group},
            annotations={keys.POD_GROUP_SIZE: str(size), "spotkube.io/run-seconds": "600s"},
        )
        template["spec"] |= {"schedulingGates": [GATE], "restartPolicy": "Never"}
        template["metadata"] |= {"name": f"{group}-{n}", "namespace": story.namespace}
        made.append({"apiVersion": "v1", "kind": "Pod", **template})
    return made


def gated(story: Story) -> list[str]:
    return [name_of(pod) for pod in story.pods() if GATE in pod["spec"].get("schedulingGates", ())]


def test_a_deployment_that_opts_in_gets_what_its_queue_has(story: Story, queue: str) -> None:
    body = story.deployment("web", 6, "1")
    body["spec"]["template"]["metadata"]["labels"][keys.QUEUE_NAME] = queue
    body["spec"]["template"]["spec"]["schedulingGates"] = [GATE]
    story.apply(body)

    def settled() -> bool:
        return len(gated(story)) == 2 and sum(map(is_running, story.pods())) == CORES

    story.wait(settled, f"{CORES} pods to run and the others to wait")
    runs = next(pod for pod in story.pods() if is_running(pod))
    story.kubectl("delete", "pod", name_of(runs), "--wait=false")
    story.wait(lambda: name_of(runs) not in map(name_of, story.pods()) and settled(), "the next one to run")


def test_a_group_of_pods_starts_with_all_or_none(story: Story, queue: str) -> None:
    first, second, last = members(story, queue, "g", 3, 3)
    story.apply(first, second)
    story.settle()
    assert len(gated(story)) == 2

    story.apply(last)

    story.wait_running(3, "g")


def test_a_group_of_jobs_starts_with_all_or_none(story: Story, queue: str) -> None:
    def role(name: str, pods: int) -> Object:
        template = story.template("1", annotations={"spotkube.io/run-seconds": "5s"})
        template["spec"]["restartPolicy"] = "Never"
        metadata = {
            "name": name,
            "namespace": story.namespace,
            "labels": {keys.QUEUE_NAME: queue, keys.POD_GROUP_NAME: "train"},
            "annotations": {keys.POD_GROUP_SIZE: "3"},
        }
        spec = {"parallelism": pods, "completions": pods, "template": template}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}

    story.apply(role("driver", 1))
    story.wait(lambda: jobs(story)["driver"]["spec"]["suspend"], "it to be held")
    story.settle()
    assert not story.pods("driver")

    story.apply(role("workers", 2))

    story.wait(lambda: all(job["status"].get("succeeded") for job in jobs(story).values()), "both to end")


def test_roles_of_a_workload_wait_together_and_start_together(story: Story, queue: str) -> None:
    first = story.job("first", 3, 600, "1", queueName=queue)
    story.apply(first)
    story.wait_running(3, "first")
    parts = {"leader": 1, "workers": 2}
    roles = [{"name": name, "job": story.job(name, pods, 5, "1")["spec"]["job"]} for name, pods in parts.items()]
    story.apply(story.workload("train", roles=roles, queueName=queue))

    place = story.wait(lambda: story.status("train").get("queue"), "its place in the queue to be told")
    story.settle()
    made = {name: job for name, job in jobs(story).items() if name.startswith("train")}
    assert place["reason"] == "Quota"
    assert sorted(made) == ["train-leader", "train-workers"]
    assert all(job["spec"]["suspend"] for job in made.values())
    assert story.status("train")["waitingFor"].count("waits in queue") == 1

    story.kubectl("delete", "workloads.spotkube.io", "first")

    story.wait(lambda: any(c["reason"] == "JobComplete" for c in story.status("train")["conditions"]), "both to end")
    started = [job["status"]["startTime"] for name, job in jobs(story).items() if name.startswith("train")]
    assert len(started) == 2


def jobs(story: Story) -> dict[str, Object]:
    return {name_of(job): job for job in story.site.reader.list(JOBS, story.namespace)}


def test_an_operator_killed_while_it_lets_a_group_go_finishes_when_it_is_back(
    site: Site, story: Story, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_a_part_go(site, story, queue, monkeypatch)
    left = len(gated(story))

    monkeypatch.undo()
    restart(site)

    assert 0 < left < MANY
    story.wait(lambda: not gated(story), "the others to be let go")
    story.wait_running(MANY, "g")


def let_a_part_go(site: Site, story: Story, queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group of MANY pods; the operator is killed while it lets them go."""
    monkeypatch.setattr(site, "settings", {"api_qps": 5, "api_burst": 5})
    restart(site)
    story.apply(*members(story, queue, "g", MANY, MANY, "50m"))
    story.wait(lambda: len(gated(story)) < MANY, "the first of them to be let go")
    site.kill_operators()


def restart(site: Site) -> None:
    site.kill_operators()
    site.cluster.kubectl("delete", LEASES.name, "spotkube", "-n", site.namespace, "--ignore-not-found")
    site.start_operator()
