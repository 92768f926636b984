"""The local cluster does what its users count on: a real API server, nodes and pods that obey their annotations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from localcluster.cluster import Cluster
from support import fake_node, wait_until

Kubectl = Callable[..., str]


@pytest.fixture
def node(kubectl: Kubectl, namespace: str, fake_nodes: None) -> Iterator[str]:
    """A fake node that only this test's pods run on."""
    name = f"node-{namespace}"
    allocatable = {"cpu": "3920m", "memory": "7Gi", "pods": "29"}
    create(kubectl, fake_node(name, allocatable=allocatable, labels={"test": namespace}))
    kubectl("wait", f"node/{name}", "--for=condition=Ready", "--timeout=20s")
    yield name
    kubectl("delete", "node", name, "--ignore-not-found")


def create(kubectl: Kubectl, *objects: dict[str, Any]) -> None:
    kubectl("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


def pod(namespace: str, name: str, grace_seconds: int = 30, **annotations: str) -> dict[str, Any]:
    """A pod for the test's own node; annotation names are given without their prefix and with underscores."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {f"spotkube.io/{key.replace('_', '-')}": value for key, value in annotations.items()},
        },
        "spec": {
            "nodeSelector": {"test": namespace},
            "terminationGracePeriodSeconds": grace_seconds,
            "containers": [{"name": "main", "image": "none"}],
        },
    }


def status_of(kubectl: Kubectl, kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
    status: dict[str, Any] = json.loads(kubectl("get", kind, name, "-n", namespace, "-o", "json"))["status"]
    return status


def condition(status: dict[str, Any], kind: str) -> str | None:
    return next((each["status"] for each in status.get("conditions", ()) if each["type"] == kind), None)


def test_service_account_tokens_are_issued_and_held_to_rbac(cluster: Cluster, namespace: str) -> None:
    token = cluster.kubectl("create", "token", "default", "-n", namespace).strip()
    answer = cluster.kubectl(
        "--token", token, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}", check=False
    )
    assert answer, "the API server does not know its own token"
    account = f"system:serviceaccount:{namespace}:default"
    assert cluster.kubectl("auth", "can-i", "list", "pods", "--as", account, check=False).startswith("no")


def test_restricted_pod_security_level_refuses_a_privileged_pod(kubectl: Kubectl, namespace: str) -> None:
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    manifest = json.dumps(pod(namespace, "plain"))
    assert "violates PodSecurity" in kubectl("create", "-f", "-", input=manifest, check=False)


def test_node_keeps_exactly_the_resources_its_creator_wrote(kubectl: Kubectl, node: str) -> None:
    status = status_of(kubectl, "node", node)
    assert status["allocatable"] == {"cpu": "3920m", "memory": "7Gi", "pods": "29"}


def test_node_without_resources_gets_none(kubectl: Kubectl, namespace: str, fake_nodes: None) -> None:
    name = f"empty-{namespace}"
    manifest = fake_node(name)
    del manifest["status"]
    create(kubectl, manifest)
    try:
        kubectl("wait", f"node/{name}", "--for=condition=Ready", "--timeout=20s")
        assert "allocatable" not in status_of(kubectl, "node", name)
    finally:
        kubectl("delete", "node", name)


def test_node_is_not_ready_before_its_delay_even_if_it_is_changed(
    kubectl: Kubectl, namespace: str, fake_nodes: None
) -> None:
    name = f"late-{namespace}"
    create(kubectl, fake_node(name, annotations={"spotkube.io/ready-delay": "6s"}))
    try:
        kubectl("annotate", "node", name, "changed=once")
        assert condition(status_of(kubectl, "node", name), "Ready") != "True"
        kubectl("wait", f"node/{name}", "--for=condition=Ready", "--timeout=20s")
        made = json.loads(kubectl("get", "node", name, "-o", "json"))
        ready = next(each for each in made["status"]["conditions"] if each["type"] == "Ready")
        assert seconds_between(made["metadata"]["creationTimestamp"], ready["lastTransitionTime"]) >= 6
    finally:
        kubectl("delete", "node", name)


def test_no_pod_is_bound_to_a_node_that_is_not_ready(kubectl: Kubectl, namespace: str, fake_nodes: None) -> None:
    name = f"late-{namespace}"
    late = fake_node(name, labels={"test": namespace}, annotations={"spotkube.io/ready-delay": "5s"})
    create(kubectl, late, pod(namespace, "early"))
    try:
        kubectl("wait", "pod/early", "-n", namespace, "--for=condition=Ready", "--timeout=30s")
        made = json.loads(kubectl("get", "node", name, "-o", "json"))["metadata"]["creationTimestamp"]
        bound = json.loads(kubectl("get", "pod", "early", "-n", namespace, "-o", "json"))["status"]["conditions"]
        scheduled = next(each["lastTransitionTime"] for each in bound if each["type"] == "PodScheduled")
        assert seconds_between(made, scheduled) >= 5
    finally:
        kubectl("delete", "node", name)


def test_node_that_is_being_deleted_still_runs_pods_while_a_finalizer_holds_it(
    kubectl: Kubectl, namespace: str, node: str
) -> None:
    kubectl("patch", "node", node, "-p", '{"metadata": {"finalizers": ["spotkube.io/test"]}}')
    kubectl("delete", "node", node, "--wait=false")
    try:
        create(kubectl, pod(namespace, "late"))
        kubectl("wait", "pod/late", "-n", namespace, "--for=condition=Ready", "--timeout=20s")
    finally:
        kubectl("patch", "node", node, "-p", '{"metadata": {"finalizers": null}}')


def test_pods_run_and_become_ready_unless_told_otherwise(kubectl: Kubectl, namespace: str, node: str) -> None:
    create(kubectl, pod(namespace, "plain"), pod(namespace, "sick", never_ready="true"))
    kubectl("wait", "pod/plain", "-n", namespace, "--for=condition=Ready", "--timeout=20s")
    wait_until(lambda: status_of(kubectl, "pod", "sick", namespace)["phase"] == "Running", 20, "the sick pod runs")
    assert condition(status_of(kubectl, "pod", "sick", namespace), "Ready") == "False"
    assert status_of(kubectl, "pod", "plain", namespace)["podIP"]


def test_pod_succeeds_after_its_run_time_and_not_without_one(kubectl: Kubectl, namespace: str, node: str) -> None:
    create(kubectl, pod(namespace, "brief", run_seconds="3s"), pod(namespace, "endless"))
    kubectl("wait", "pod/brief", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=20s")
    state = status_of(kubectl, "pod", "brief", namespace)["containerStatuses"][0]["state"]["terminated"]
    assert seconds_between(state["startedAt"], state["finishedAt"]) >= 3
    assert status_of(kubectl, "pod", "endless", namespace)["phase"] == "Running"


def test_job_completes(kubectl: Kubectl, namespace: str, node: str) -> None:
    template = pod(namespace, "unused", run_seconds="2")
    job_pod = {
        "metadata": {"annotations": template["metadata"]["annotations"]},
        "spec": {**template["spec"], "restartPolicy": "Never"},
    }
    spec = {"completions": 3, "parallelism": 3, "template": job_pod}
    create(
        kubectl,
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sums", "namespace": namespace}, "spec": spec},
    )
    kubectl("wait", "job/sums", "-n", namespace, "--for=condition=Complete", "--timeout=30s")
    assert status_of(kubectl, "job", "sums", namespace)["succeeded"] == 3


def test_deleted_pod_takes_its_time_but_never_more_than_its_grace(kubectl: Kubectl, namespace: str, node: str) -> None:
    create(
        kubectl,
        pod(namespace, "slow", termination_seconds="60s"),
        pod(namespace, "stubborn", grace_seconds=3, termination_seconds="60s"),
        pod(namespace, "quick"),
    )
    kubectl("wait", "pod", "--all", "-n", namespace, "--for=condition=Ready", "--timeout=20s")
    kubectl("delete", "pod", "slow", "stubborn", "quick", "-n", namespace, "--wait=false")
    kubectl("wait", "pod/quick", "pod/stubborn", "-n", namespace, "--for=delete", "--timeout=20s")
    assert status_of(kubectl, "pod", "slow", namespace)["phase"] == "Running"


def seconds_between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
