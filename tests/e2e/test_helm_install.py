"""The chart installed by real Helm onto a real API server, and what it leaves behind when it goes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from localcluster.cluster import Cluster
from localcluster.errors import KubectlError
from spotkube.api import KINDS
from support import fake_node, wait_until
from support_chart import CHART, RELEASE, SERVICE_ACCOUNT, Manifest, helm, install_operator_identity, installation

Kubectl = Callable[..., str]

RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


@pytest.fixture
def restricted(kubectl: Kubectl, namespace: str) -> str:
    """A namespace that accepts only pods of the restricted security level."""
    kubectl("label", "namespace", namespace, RESTRICTED)
    return namespace


@pytest.fixture
def installed(cluster: Cluster, kubectl: Kubectl, restricted: str) -> Iterator[str]:
    """The chart installed by Helm; gives the namespace."""
    with installation(cluster, restricted):
        yield restricted


def operator_pods(kubectl: Kubectl, namespace: str) -> list[Manifest]:
    found = kubectl("get", "pods", "-n", namespace, "-l", "app.kubernetes.io/name=spotkube", "-o", "json")
    items: list[Manifest] = json.loads(found)["items"]
    return items


def test_its_pods_are_accepted_where_only_restricted_ones_are(kubectl: Kubectl, installed: str) -> None:
    pods = wait_until(
        lambda: pods if len(pods := operator_pods(kubectl, installed)) == 2 else [],
        message=lambda: kubectl("get", "events", "-n", installed),
    )

    assert {pod["spec"]["serviceAccountName"] for pod in pods} == {SERVICE_ACCOUNT}
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        kubectl("run", "careless", "-n", installed, "--image=none", "--dry-run=server")


def test_what_the_notes_teach_works(cluster: Cluster, kubectl: Kubectl, installed: str) -> None:
    notes = helm(cluster, "get", "notes", RELEASE, "--namespace", installed)
    heredoc = re.search(r"apply -f - <<EOF\n(.*?)\n +EOF", notes, re.DOTALL)
    assert heredoc is not None, notes

    assert "created (server dry run)" in kubectl("apply", "--dry-run=server", "-f", "-", input=heredoc[1])
    for command in re.findall(r"^ +kubectl (get .*|-n .* get (?!lease).*)$", notes, re.MULTILINE):
        kubectl(*command.split())


def test_an_upgrade_changes_what_it_is_told(cluster: Cluster, kubectl: Kubectl, installed: str) -> None:
    helm(cluster, "upgrade", RELEASE, str(CHART), "--namespace", installed, "--set", "replicas=1")

    assert kubectl("get", "deployment", "spotkube", "-n", installed, "-o", "jsonpath={.spec.replicas}") == "1"


def test_uninstalling_leaves_claims_nodes_and_pods(
    cluster: Cluster, kubectl: Kubectl, installed: str, namespace: str, bought: list[str]
) -> None:
    wait_until(lambda: operator_pods(kubectl, installed))

    helm(cluster, "uninstall", RELEASE, "--namespace", installed)

    # The garbage collector has run when the operator's own pods are gone: what it left stays.
    wait_until(lambda: not operator_pods(kubectl, installed), message="the operator's pods are still there")
    left = json.loads(kubectl("get", "-n", namespace, *bought, "-o", "json"))["items"]
    assert {item["kind"] for item in left} == {"NodeClaim", "Node", "Pod"}
    assert [item["metadata"]["name"] for item in left if "deletionTimestamp" in item["metadata"]] == []
    for kind in KINDS:
        kubectl("get", "crd", kind.resource.full_name)
    rest = kubectl("get", "all,cm,sa,pdb,role,rolebinding", "-n", installed, "-l", "app.kubernetes.io/name=spotkube")
    assert rest.strip() == ""
    assert kubectl("get", "clusterrole,clusterrolebinding", "-o", "name").count(f"/{installed}:") == 0


def test_the_operator_recommends_with_the_settings_and_the_rights_of_a_plain_installation(
    cluster: Cluster, kubectl: Kubectl, installed: str, tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        kubectl("get", "configmap", RELEASE, "-n", installed, "-o", r"jsonpath={.data.config\.yaml}"), encoding="utf-8"
    )
    kubeconfig = install_operator_identity(cluster, installed)
    log = tmp_path / "log"

    def plans() -> set[str]:
        listed = kubectl(
            "get",
            "capacityplans.spotkube.io",
            "-o",
            r'jsonpath={range .items[*]}{.spec.mode} {.metadata.name}{"\n"}{end}',
        )
        return set(listed.splitlines())

    before = plans()

    def news() -> set[str]:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        return plans() - before

    with operator(config, kubeconfig, installed, log) as process, a_pool(kubectl, installed) as pool:
        made = wait_until(news, timeout=90, message=lambda: log.read_text(encoding="utf-8"))
        holder = kubectl("get", "lease", RELEASE, "-n", installed, "-o", "jsonpath={.spec.holderIdentity}")
        bought = kubectl("get", "nodeclaims.spotkube.io", "-o", f"jsonpath={{.items[?(@.spec.nodePool=='{pool}')]}}")

    assert {line.split()[0] for line in made} == {"Recommend"}
    assert holder != ""
    assert bought == ""
    assert "orbidden" not in log.read_text(encoding="utf-8")


@contextmanager
def operator(config: Path, kubeconfig: Path, namespace: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The operator as the chart starts it, but outside of the cluster."""
    command = [sys.executable, "-m", "spotkube", "run", "--config", str(config)]
    outside = ["--kubeconfig", str(kubeconfig), "--namespace", namespace, "--health-port", "0"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *outside],
            env={**os.environ, "PYTHONPATH": str(CHART.parent.parent / "operator")},
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)
    assert process.returncode == 0, log.read_text(encoding="utf-8")


@contextmanager
def a_pool(kubectl: Kubectl, namespace: str) -> Iterator[str]:
    """A NodePool in mode Apply and a pod that waits for it; both go while the operator still runs."""
    name = f"pool-{namespace}"
    pool = {
        "apiVersion": "spotkube.io/v1alpha1",
        "kind": "NodePool",
        "metadata": {"name": name},
        "spec": {"mode": "Apply"},
    }
    pod = modest_pod("waits", namespace)
    pod["spec"]["nodeSelector"] = {"kubernetes.io/arch": "arm64"}
    kubectl("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": [pool, pod]}))
    try:
        yield name
    finally:
        kubectl("delete", "-n", namespace, "pod/waits", f"nodepools.spotkube.io/{name}", "--timeout=30s")


def modest_pod(name: str, namespace: str) -> Manifest:
    """A pod that the restricted security level accepts."""
    container = {
        "name": "main",
        "image": "none",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [container], "securityContext": security},
    }


@pytest.fixture
def bought(kubectl: Kubectl, installed: str, namespace: str, fake_nodes: None) -> Iterator[list[str]]:
    """A claim, its node and a pod running there, as arguments of kubectl."""
    name = f"node-{namespace}"
    claim = {
        "apiVersion": "spotkube.io/v1alpha1",
        "kind": "NodeClaim",
        "metadata": {"name": name, "finalizers": ["spotkube.io/termination"]},
        "spec": {
            "nodePool": "general",
            "instanceType": "m7g.large",
            "zone": "us-east-1a",
            "capacityType": "spot",
            "arch": "arm64",
            "priceUSDPerHour": 0.03,
            "allocatable": {"cpu": "1930m", "memory": "7Gi", "pods": "29"},
        },
    }
    node = fake_node(name, labels={"spotkube.io/nodeclaim": name})
    node["metadata"]["finalizers"] = ["spotkube.io/termination"]
    node["spec"] = {"taints": [{"key": "test", "value": namespace, "effect": "NoSchedule"}]}
    pod = modest_pod("work", namespace)
    pod["spec"]["nodeName"] = name
    kubectl("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": [claim, node, pod]}))
    kubectl("wait", "-n", namespace, "pod/work", "--for=jsonpath={.status.phase}=Running", "--timeout=20s")
    objects = [f"nodeclaims.spotkube.io/{name}", f"node/{name}"]
    yield [*objects, "pod/work"]
    for held in objects:
        kubectl("patch", held, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
        kubectl("delete", held, "--wait=false")
