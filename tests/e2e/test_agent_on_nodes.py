"""The node agent with the rights that the chart gives it: it tells its own Node, and nothing else to any other."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localcluster.cluster import Cluster
from localcluster.errors import KubectlError
from spotkube.cluster.client import KubeClient
from spotkube.cluster.errors import ApiError
from spotkube.cluster.resources import NODES
from spotkube.convert.metadata import INSTANCE_ACTION
from spotkube.convert.nodes import to_node
from spotkube.model.labels import TERMINATION_DEADLINE, TERMINATION_NOTICE
from spotkube.model.notices import NoticeKind
from support import wait_until
from support_chart import kubeconfig_with_token, render
from support_metadata import FakeMetadata

Kubectl = Callable[..., str]
ACCOUNT = "spotkube-agent"
ON = ("--set", "agent.enabled=true")


@pytest.fixture
def nodes(kubectl: Kubectl, namespace: str) -> Iterator[tuple[str, str]]:
    """The agent's own Node and another one; nobody else minds them."""
    pair = (f"{namespace}-own", f"{namespace}-other")
    for name in pair:
        kubectl("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}))
    yield pair
    kubectl("delete", "node", *pair)


@pytest.fixture
def kubeconfig(cluster: Cluster, kubectl: Kubectl, namespace: str, nodes: tuple[str, str]) -> Iterator[Path]:
    """What the agent's pod would have: a token bound to a pod on its Node."""
    objects = render(cluster, namespace, *ON, "--show-only=templates/agent.yaml")
    made = [each for each in objects if each["kind"] != "DaemonSet"]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    kubectl("apply", "--server-side", "-f", "-", input=text)
    container = {"name": "agent", "image": "none"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "agent", "namespace": namespace},
        "spec": {"nodeName": nodes[0], "serviceAccountName": ACCOUNT, "containers": [container]},
    }
    kubectl("create", "-f", "-", input=json.dumps(pod))
    bound = ("--bound-object-kind=Pod", "--bound-object-name=agent")
    token = kubectl("create", "token", ACCOUNT, "-n", namespace, *bound).strip()
    yield kubeconfig_with_token(cluster, namespace, token)
    kubectl("delete", "pod", "agent", "-n", namespace, "--grace-period=0", "--force")
    kubectl("delete", "-f", "-", input=text)


def refusal(kubeconfig: Path, node: str, patch: dict[str, object]) -> str:
    """What the API server says to it; empty where it says nothing."""

    async def ask() -> str:
        async with await KubeClient.connect(kubeconfig) as client:
            try:
                await client.patch(NODES, node, patch)
            except ApiError as error:
                return str(error)
        return ""

    return asyncio.run(ask())


def annotated(**annotations: str) -> dict[str, object]:
    return {"metadata": {"annotations": annotations}}


def test_a_notice_comes_onto_its_own_node_and_goes_again(
    kubectl: Kubectl, nodes: tuple[str, str], kubeconfig: Path
) -> None:
    fake = FakeMetadata()
    with fake.served() as address:
        options = [f"--node-name={nodes[0]}", f"--metadata-url={address}", "--every-seconds=0.2"]
        command = [sys.executable, "-m", "spotkube", "agent", *options, f"--kubeconfig={kubeconfig}"]
        agent = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            fake.documents[INSTANCE_ACTION] = json.dumps({"action": "terminate", "time": "2030-01-01T00:02:00Z"})

            def notice() -> object:
                return to_node(json.loads(kubectl("get", "node", nodes[0], "-o", "json"))).notice

            found = wait_until(notice, 60, "the notice to be on the Node")
            assert (found.kind, found.deadline) == (NoticeKind.SPOT_INTERRUPTION, 1893456120.0)  # type: ignore[attr-defined]
            fake.documents.clear()
            wait_until(lambda: notice() is None, 60, "the notice to be taken back")
        finally:
            agent.terminate()
            _, said = agent.communicate(timeout=30)
    assert agent.returncode == 0, said


def test_it_may_do_nothing_else(kubectl: Kubectl, nodes: tuple[str, str], kubeconfig: Path) -> None:
    own, other = nodes
    ours = {TERMINATION_NOTICE: "SpotInterruption", TERMINATION_DEADLINE: "2030-01-01T00:00:00Z"}

    # It begins to hold a moment after it is made.
    said = wait_until(lambda: refusal(kubeconfig, other, annotated(**ours)), 60, "the policy to be at work")
    assert "the Node alone that its pod runs on" in said
    assert "and not example.com/mine" in refusal(kubeconfig, own, annotated(**{"example.com/mine": "x"}))
    for patch in (
        {"spec": {"unschedulable": True}},
        {"metadata": {"labels": {"a": "b"}}},
        {"metadata": {"finalizers": ["example.com/keep"]}},
    ):
        assert "annotations alone" in refusal(kubeconfig, own, patch)
    for words in (("get", "nodes"), ("delete", "node", own), ("get", "pods", "-A")):
        with pytest.raises(KubectlError, match="forbidden"):
            kubectl("--kubeconfig", str(kubeconfig), *words)
