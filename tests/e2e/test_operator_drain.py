"""How pods leave a node: told of it, succeeded first, in order, and without costing a Job its tries."""

from __future__ import annotations

from datetime import datetime

import pytest

from spotkube.cluster.resources import JOBS, NODECLAIMS, PODS, VOLUMEATTACHMENTS
from spotkube.model import labels
from support_operator import Object, Story, condition, is_running, name_of, phase

TELL = "example.com/save-before"


def claim_under(story: Story, pods: str) -> str:
    """The name of the one node that holds them, once it is open to others too."""
    story.wait(lambda: all(phase(claim) == "Ready" for claim in story.claims()), "its node to be open to others too")
    [node] = {pod["spec"]["nodeName"] for pod in story.pods(pods)}
    return str(node)


@pytest.mark.parametrize("by", ["deletion", "notice"])
def test_with_surge_a_budget_that_allows_nothing_moves_without_a_pod_less(story: Story, by: str) -> None:
    story.make_pool()
    story.apply(story.service("web", 2, cpu="600m", minAvailable=2, termination={"surge": True}))
    story.wait_running(2, "web")
    node = claim_under(story, "web")
    story.wait(lambda: story.budget("web").get("currentHealthy") == 2, "the budget to count its pods")
    least = []

    def gone() -> bool:
        least.append(sum(map(is_running, story.pods("web"))))
        return story.claim(node) is None

    if by == "notice":
        story.site.interrupt(node, 120)
    else:
        story.kubectl("delete", NODECLAIMS.name, node, "--wait=false")
    story.wait(gone, "the claim to be gone")
    running = story.wait_running(2, "web")

    assert min(least) >= 2
    assert all(pod["metadata"]["labels"][labels.POD_TEMPLATE_HASH] != labels.RELEASED for pod in running)
    fresh = [claim for claim in story.claims() if name_of(claim) != node]
    assert len(fresh) == 1, "bought more than the room that was left"
    [ended] = story.wait(lambda: story.site.events("terminated", [node]), "the instance to end")
    assert ended["lost_pods"] == []


def test_a_job_is_told_and_bears_being_forced_though_it_may_never_fail(story: Story) -> None:
    """Its pod's grace is longer than the notice, so that it is deleted with what remains of it."""
    story.make_pool()
    body = story.job("crunch", pods=1, seconds=20, termination={"noticeAnnotation": TELL, "noticeTime": "5s"})
    template = body["spec"]["job"]["template"]
    template["spec"]["terminationGracePeriodSeconds"] = 15
    body["spec"]["job"]["backoffLimit"] = 0
    story.apply(body)
    [pod] = story.wait_running(1, "crunch")
    node = claim_under(story, "crunch")

    story.site.interrupt(node, 16)  # no time for an eviction: its grace and the margin are longer
    going = story.wait(lambda: ending(story, pod), "the pod to be deleted")
    assert condition(going["status"], "DisruptionTarget").get("reason") == "TerminationNotice"
    story.wait(lambda: job_end(story, "crunch"), "the job to end")

    assert job_end(story, "crunch") == "Complete"
    [last] = story.pods("crunch")
    assert last["spec"]["nodeName"] != node


def ending(story: Story, pod: Object) -> Object | None:
    """The pod, once it is being deleted."""
    found = story.site.reader.get(PODS, name_of(pod), story.namespace)
    return found if found is not None and "deletionTimestamp" in found["metadata"] else None


def job_end(story: Story, name: str) -> str:
    """Complete, Failed, or "" while it runs."""
    job = story.site.reader.get(JOBS, name, story.namespace) or {}
    true = {each["type"] for each in job["status"].get("conditions", ()) if each["status"] == "True"}
    return "".join(true & {"Complete", "Failed"})


def test_pods_are_told_before_they_are_evicted_and_left_alone_for_a_while(story: Story) -> None:
    story.make_pool()
    story.apply(story.service("web", 1, termination={"noticeAnnotation": TELL, "noticeTime": "8s"}))
    [pod] = story.wait_running(1, "web")
    node = claim_under(story, "web")
    story.site.interrupt(node, 60)
    going = story.wait(lambda: ending(story, pod), "the pod to be evicted")

    notice = (story.claim(node) or {})["status"]["notice"]
    annotations = going["metadata"]["annotations"]
    assert annotations[TELL] == annotations[labels.TERMINATION_DEADLINE] == notice["deadline"]
    grace = going["metadata"]["deletionGracePeriodSeconds"]
    evicted_at = datetime.fromisoformat(going["metadata"]["deletionTimestamp"]).timestamp() - grace
    assert evicted_at - datetime.fromisoformat(notice["receivedAt"]).timestamp() >= 7
    story.wait_running(1, "web")


def test_daemons_go_last_and_one_that_comes_back_holds_up_nothing(story: Story) -> None:
    story.make_pool()
    story.apply(daemons_that_bear_everything(story, "log"), story.service("web", 1))
    story.wait_running(1, "web")
    node = claim_under(story, "web")
    [daemon] = story.wait(lambda: on_node(story, "log", node), "a daemon to be on the node")
    asked: list[str] = []

    def gone() -> bool:
        ending = [pod["metadata"] for pod in on_node(story, "", node) if "deletionTimestamp" in pod["metadata"]]
        asked.extend(pod["uid"] for pod in sorted(ending, key=lambda pod: pod["name"], reverse=True))
        return story.claim(node) is None

    [web] = on_node(story, "web", node)
    story.site.interrupt(node, 120)
    story.wait(gone, "the claim to be gone")

    order = list(dict.fromkeys(asked))
    assert order[:2] == [web["metadata"]["uid"], daemon["metadata"]["uid"]]
    [ended] = story.wait(lambda: story.site.events("terminated", [node]), "the instance to end")
    assert ended["cause"] == "deleted", "it was kept until the cloud took it"
    story.kubectl("delete", "daemonset", "log")


def daemons_that_bear_everything(story: Story, name: str) -> Object:
    template = story.template("50m", "64Mi", labels={"app": name})
    template["spec"] |= {"tolerations": [{"operator": "Exists"}], "nodeSelector": {labels.NODEPOOL: story.pool}}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
    metadata = {"name": name, "namespace": story.namespace}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec}


def on_node(story: Story, name: str, node: str) -> list[Object]:
    found = story.pods(name or None)
    return [pod for pod in found if pod["spec"].get("nodeName") == node and pod["status"]["phase"] == "Running"]


def test_a_node_stays_until_the_volumes_of_its_pods_are_detached(story: Story) -> None:
    story.make_pool()
    story.apply(story.service("web", 1))
    story.wait_running(1, "web")
    node = claim_under(story, "web")
    volume = f"volume-{story.namespace}"
    attachment = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "VolumeAttachment",
        # As a CSI driver's attacher holds it until the volume is off the machine.
        "metadata": {"name": volume, "finalizers": ["e2e.spotkube.io/attached"]},
        "spec": {"attacher": "csi.example.com", "nodeName": node, "source": {"persistentVolumeName": volume}},
    }
    story.apply(attachment)
    try:
        story.kubectl("delete", NODECLAIMS.name, node, "--wait=false")
        story.wait(lambda: volume in (told(story, node) or ""), "the claim to say that it waits for the volume")
        assert node not in {pod["spec"].get("nodeName") for pod in story.pods("web")}
        assert story.site.events("deleting", [node]) == []
    finally:
        story.kubectl("patch", VOLUMEATTACHMENTS.name, volume, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        story.kubectl("delete", VOLUMEATTACHMENTS.name, volume, "--ignore-not-found")
    story.wait_gone(node)


def told(story: Story, claim: str) -> str | None:
    status: Object = (story.claim(claim) or {}).get("status") or {}
    return status.get("message")
