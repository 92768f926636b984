"""Pods of queues on a real cluster, of which some ended or left while the operator was down."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from e2e.test_operator_kinds import GATE, MANY, gated, let_a_part_go, restart
from spotkube.cluster.resources import CONFIGMAPS
from spotkube.convert.places import CONFIG_MAP, to_places
from spotkube.model import labels as keys
from support_operator import Object, Site, Story, is_running, name_of, queue_of

CORES = 4


@pytest.fixture
def queue(story: Story) -> Iterator[str]:
    with queue_of(story, CORES) as name:
        yield name


def opted_in(story: Story, queue: str, name: str, replicas: int) -> Object:
    """A Deployment whose pods are born gated, as the chart's policy would do it."""
    body = story.deployment(name, replicas, "1")
    body["spec"]["template"]["metadata"]["labels"][keys.QUEUE_NAME] = queue
    body["spec"]["template"]["spec"]["schedulingGates"] = [GATE]
    return body


def end(story: Story, name: str) -> None:
    """As a kubelet would tell of it."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    ended = {"terminated": {"exitCode": 0, "startedAt": now, "finishedAt": now}}
    container = {"name": "main", "image": "none", "imageID": "", "ready": False, "restartCount": 0, "state": ended}
    status = {"phase": "Succeeded", "startTime": now, "containerStatuses": [container]}
    story.kubectl("patch", "pod", name, "--subresource=status", "-p", json.dumps({"status": status}))


def test_a_group_is_let_go_as_a_whole_though_its_first_members_have_ended(
    site: Site, story: Story, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_a_part_go(site, story, queue, monkeypatch)
    left = set(gated(story))
    time.sleep(1)  # times in pods have whole seconds
    for pod in story.pods():
        if name_of(pod) not in left:
            end(story, name_of(pod))

    monkeypatch.undo()
    restart(site)

    assert 0 < len(left) < MANY
    story.wait(lambda: not gated(story), "the others to be let go")


def test_a_pod_that_was_made_anew_while_the_operator_was_down_has_the_room_of_the_former(
    site: Site, story: Story, queue: str
) -> None:
    story.apply(opted_in(story, queue, "web", CORES))
    story.wait_running(CORES, "web")
    story.apply(opted_in(story, queue, "other", 2))
    story.wait(lambda: len(gated(story)) == 2, "the others to wait")
    story.settle()
    site.kill_operators()
    leaves = name_of(story.pods("web")[0])
    story.kubectl("delete", "pod", leaves)
    story.wait(lambda: len(gated(story)) == 3, "the next one to be made")

    restart(site)

    story.wait_running(CORES, "web")
    assert {name.split("-")[0] for name in gated(story)} == {"other"}
    assert not any(is_running(pod) for pod in story.pods("other"))


def test_how_long_bare_pods_ran_is_learned(site: Site, story: Story, queue: str) -> None:
    def bare(name: str, seconds: int, cpu: str) -> Object:
        template = story.template(
            cpu, labels={keys.QUEUE_NAME: queue}, annotations={"spotkube.io/run-seconds": f"{seconds}s"}
        )
        template["spec"] |= {"schedulingGates": [GATE], "restartPolicy": "Never"}
        template["metadata"] |= {"name": name, "namespace": story.namespace}
        return {"apiVersion": "v1", "kind": "Pod", **template}

    story.apply(bare("etl-1", 5, "1"))
    story.wait_running(1, "etl")
    site.kill_operators()
    story.wait(lambda: story.pods("etl")[0]["status"]["phase"] == "Succeeded", "it to end")
    restart(site)
    story.apply(*(bare(f"long-{n}", 600, "1") for n in range(CORES)))
    story.wait(lambda: not gated(story), "the queue to be full")
    story.apply(bare("etl-2", 5, "1"))

    def told() -> str:
        places = to_places(site.reader.get(CONFIGMAPS, CONFIG_MAP, site.namespace))
        numbers = next((job.numbers for job in places.jobs if job.name.endswith("etl-2")), None)
        return numbers.estimate if numbers is not None else ""

    words = story.wait(told, "its estimate", timeout=60)
    assert words.startswith("mean of the last 1 runs of etl-* "), words
