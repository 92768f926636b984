"""What placement changes in pods, judged by the API server itself: it allows little on a pod that is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from localcluster.cluster import Cluster
from spotkube.cluster.client import KubeClient
from spotkube.cluster.errors import Invalid
from spotkube.cluster.resources import PODS
from spotkube.controllers.entry import admission_patch, release_patch, selector_patch
from spotkube.convert.pods import to_pod
from spotkube.model.labels import NODECLAIM, PLACEMENT_GATE, UNREGISTERED_TAINT
from support import wait_until

GATES = [{"name": "example.com/mine"}, {"name": PLACEMENT_GATE}]
ALREADY = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 7}


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(cluster.kubeconfig) as client:
        yield client


async def make(cluster: Cluster, client: KubeClient, namespace: str, **spec: Any) -> dict[str, Any]:
    accounts = ("get", "serviceaccounts", "-n", namespace, "-o", "name")
    wait_until(lambda: "default" in cluster.kubectl(*accounts))
    container = {"name": "main", "image": "none"}
    body = {"metadata": {"name": "web", "namespace": namespace}, "spec": {"containers": [container], **spec}}
    return await client.create(PODS, body)


async def test_a_pod_that_waits_may_be_given_a_toleration(cluster: Cluster, client: KubeClient, namespace: str) -> None:
    raw = await make(cluster, client, namespace, tolerations=[ALREADY], nodeSelector={"no": "node"})
    pod = to_pod(raw)
    assert pod is not None

    after = await client.patch(PODS, "web", admission_patch(pod, "the-claim"), namespace=namespace, kind="json")

    assert ALREADY in after["spec"]["tolerations"]
    assert [t["value"] for t in after["spec"]["tolerations"] if t["key"] == UNREGISTERED_TAINT] == ["the-claim"]
    again = to_pod(after)
    assert again is not None
    assert (again.shape, again.admitted_by) == (pod.shape, ("the-claim",))


async def test_one_patch_lets_a_gated_pod_go_and_pins_it(cluster: Cluster, client: KubeClient, namespace: str) -> None:
    raw = await make(cluster, client, namespace, schedulingGates=GATES, nodeSelector={"disk": "ssd"})
    pod = to_pod(raw)
    assert pod is not None
    operations = [*release_patch(pod), *admission_patch(pod, "uid"), *selector_patch(pod, {NODECLAIM: "claim"})]

    after = await client.patch(PODS, "web", operations, namespace=namespace, kind="json")

    assert after["spec"]["schedulingGates"] == GATES[:1]
    assert after["spec"]["nodeSelector"] == {"disk": "ssd", NODECLAIM: "claim"}


async def test_gates_that_changed_meanwhile_are_not_lifted(
    cluster: Cluster, client: KubeClient, namespace: str
) -> None:
    raw = await make(cluster, client, namespace, schedulingGates=GATES)
    pod = to_pod(raw)
    assert pod is not None
    await client.patch(PODS, "web", {"spec": {"schedulingGates": GATES[1:]}}, namespace=namespace)

    with pytest.raises(Invalid):
        await client.patch(PODS, "web", release_patch(pod), namespace=namespace, kind="json")


async def test_the_version_is_told(client: KubeClient) -> None:
    major, minor = await client.server_version()

    assert (major, minor) >= (1, 29)
