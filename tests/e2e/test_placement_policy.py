"""Namespaces that opt in: their pods are born with our gate by the chart's policy, and land where they are planned."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localcluster.cluster import Cluster
from localcluster.errors import KubectlError
from spotkube.model import labels as keys
from support import wait_until
from support_chart import CHART, RELEASE, Manifest, do_as_documented, helm
from support_operator import Object, Story, name_of

Kubectl = Callable[..., str]
OPTED_IN = f"{keys.PLACEMENT_GATE}=pinned"
GATE = {"name": keys.PLACEMENT_GATE}


@pytest.fixture(scope="module")
def policy(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The chart with its policy and without operators of its own; gives its namespace."""
    namespace = "placement-policy"
    cluster.kubectl("create", "namespace", namespace)
    # The operator of these stories is not of this release, and must be let do its work.
    values = ("--set", "placementPolicy.enabled=true,queuePolicy.enabled=false,replicas=0")
    helm(cluster, "install", RELEASE, str(CHART), "--namespace", namespace, *values)
    try:
        wait_until(lambda: is_at_work(cluster), 60, "the policy to be at work")
        yield namespace
    finally:
        helm(cluster, "uninstall", RELEASE, "--namespace", namespace, "--ignore-not-found")
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def is_at_work(cluster: Cluster) -> bool:
    """The API server takes a moment to notice a new policy."""
    body = pod("probe", "placement-probe")
    kubectl = cluster.kubectl
    if "placement-probe" not in kubectl("get", "namespaces", "-o", "name"):
        kubectl("create", "namespace", "placement-probe")
        kubectl("label", "namespace", "placement-probe", OPTED_IN)
    try:
        made = json.loads(kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", input=json.dumps(body)))
    except KubectlError:  # the namespace's ServiceAccount is still to be made
        return False
    return bool(made["spec"].get("schedulingGates"))


@pytest.fixture
def opted_in(kubectl: Kubectl, namespace: str, policy: str) -> str:
    kubectl("label", "namespace", namespace, OPTED_IN)
    return namespace


def pod(name: str, namespace: str, **spec: object) -> Manifest:
    container = {"name": "main", "image": "none", "resources": {"requests": {"cpu": "100m"}}}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


def born(kubectl: Kubectl, body: Manifest) -> list[Object]:
    """The gates that a pod would be made with."""
    made = json.loads(kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", input=json.dumps(body)))
    gates: list[Object] = made["spec"].get("schedulingGates", [])
    return gates


def service_account_is_there(kubectl: Kubectl, namespace: str) -> bool:
    return "default" in kubectl("get", "serviceaccounts", "-n", namespace, "-o", "name")


def test_pods_of_such_a_namespace_are_born_gated_and_no_others(
    kubectl: Kubectl, opted_in: str, policy: str, namespace: str
) -> None:
    wait_until(lambda: service_account_is_there(kubectl, opted_in))
    wait_until(lambda: born(kubectl, pod("a", opted_in)) == [GATE])
    other = {"name": "example.com/mine"}

    assert born(kubectl, pod("a", opted_in, schedulingGates=[other])) in ([other, GATE], [GATE, other])
    assert born(kubectl, pod("a", opted_in, schedulingGates=[GATE])) == [GATE]
    assert born(kubectl, pod("a", opted_in, nodeName="somewhere")) == []
    assert born(kubectl, pod("a", opted_in, schedulerName="mine")) == []
    daemon = pod("a", opted_in)
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "1", "controller": True}
    daemon["metadata"]["ownerReferences"] = [owner]
    assert born(kubectl, daemon) == []
    for elsewhere in ("default", policy):
        kubectl("label", "namespace", policy, OPTED_IN, "--overwrite")
        assert born(kubectl, pod("a", elsewhere)) == []


def test_they_run_on_the_nodes_that_were_planned_for_them(
    kubectl: Kubectl, story: Story, policy: str, tmp_path: Path
) -> None:
    kubectl("label", "namespace", story.namespace, OPTED_IN)
    wait_until(lambda: service_account_is_there(kubectl, story.namespace))
    wait_until(lambda: born(kubectl, pod("a", story.namespace)) == [GATE])
    story.make_pool()
    bare = pod("bare", story.namespace, tolerations=story.tolerations)
    story.apply(story.deployment("nobodys", 6), bare)

    pods = story.wait_running(7)

    planned = {
        uid: name_of(claim)
        for claim in story.claims()
        for uid in claim["metadata"]["annotations"][keys.PLANNED_PODS].split(",")
    }
    where = {each["metadata"]["uid"]: each["spec"]["nodeName"] for each in pods}
    assert {uid: planned.get(uid, node) for uid, node in where.items()} == where
    assert not any(each["spec"].get("schedulingGates") for each in pods)


def test_uninstalling_ends_it_and_a_command_lets_go_those_that_wait(
    cluster: Cluster, kubectl: Kubectl, opted_in: str, policy: str
) -> None:
    wait_until(lambda: service_account_is_there(kubectl, opted_in))
    wait_until(lambda: born(kubectl, pod("a", opted_in)) == [GATE])
    kubectl("create", "-f", "-", input=json.dumps(pod("waits", opted_in)))

    helm(cluster, "uninstall", RELEASE, "--namespace", policy)

    wait_until(lambda: born(kubectl, pod("a", opted_in)) == [], 60, "new pods to be free")
    assert json.loads(kubectl("get", "pod", "waits", "-n", opted_in, "-o", "json"))["spec"]["schedulingGates"] == [GATE]
    do_as_documented(cluster, "uninstall.md", "are let go by hand")
    assert "schedulingGates" not in json.loads(kubectl("get", "pod", "waits", "-n", opted_in, "-o", "json"))["spec"]
