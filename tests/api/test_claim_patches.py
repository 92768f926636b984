"""The patches that claims make, judged by the API server itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from localcluster.cluster import Cluster
from spotkube.cluster.client import KubeClient
from spotkube.cluster.errors import Invalid
from spotkube.cluster.resources import NODES
from spotkube.controllers.claims import patches
from spotkube.convert.nodes import to_node
from spotkube.model.labels import DISRUPTED_TAINT, TERMINATION_FINALIZER, UNREGISTERED_TAINT


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(cluster.kubeconfig) as client:
        yield client


@pytest.fixture
def make_node(cluster: Cluster, unique_name: Callable[[], str]) -> Iterator[Callable[..., Any]]:
    """A Node that nobody plays; with these taints."""
    made: list[str] = []

    def make(*taints: str) -> dict[str, Any]:
        name = unique_name()
        manifest = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "spec": {"taints": [{"key": key, "effect": "NoSchedule"} for key in taints]},
        }
        made.append(name)
        stored: dict[str, Any] = json.loads(
            cluster.kubectl("create", "-f", "-", "-o", "json", input=json.dumps(manifest))
        )
        return stored

    yield make
    for name in made:
        cluster.kubectl("patch", "node", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        cluster.kubectl("delete", "node", name, "--ignore-not-found")


def without_taints(raw: dict[str, Any]) -> dict[str, Any]:
    return {**raw, "spec": {key: value for key, value in raw["spec"].items() if key != "taints"}}


def keys(raw: dict[str, Any]) -> set[str]:
    return {taint["key"] for taint in raw["spec"].get("taints", ())}


async def test_closing_keeps_the_taints_of_others(client: KubeClient, make_node: Callable[..., Any]) -> None:
    raw = make_node("example.com/gpu")

    closed = await client.patch(NODES, raw["metadata"]["name"], patches.cordon_patch(to_node(raw)), kind="json")

    assert {"example.com/gpu", DISRUPTED_TAINT} <= keys(closed)
    assert closed["spec"]["unschedulable"] is True


async def test_a_first_taint_is_refused_when_somebody_was_faster(
    client: KubeClient, make_node: Callable[..., Any]
) -> None:
    raw = make_node("example.com/gpu")

    with pytest.raises(Invalid):
        await client.patch(
            NODES, raw["metadata"]["name"], patches.cordon_patch(to_node(without_taints(raw))), kind="json"
        )


async def test_a_node_without_any_taint_is_closed_too(client: KubeClient, make_node: Callable[..., Any]) -> None:
    name = make_node()["metadata"]["name"]
    bare = await client.patch(NODES, name, {"spec": {"taints": None}})

    closed = await client.patch(NODES, name, patches.cordon_patch(to_node(bare)), kind="json")

    assert DISRUPTED_TAINT in keys(closed)


async def test_opening_takes_the_last_taint_and_closing_puts_a_first_one_again(
    client: KubeClient, make_node: Callable[..., Any]
) -> None:
    name = make_node()["metadata"]["name"]
    raw = await client.patch(NODES, name, {"spec": {"taints": [{"key": UNREGISTERED_TAINT, "effect": "NoSchedule"}]}})

    opened = await client.patch(NODES, name, patches.opening_patch(to_node(raw)), kind="json")
    closed = await client.patch(NODES, name, patches.cordon_patch(to_node(opened)), kind="json")

    assert UNREGISTERED_TAINT not in keys(opened)
    assert DISRUPTED_TAINT in keys(closed)


async def test_finalizers_come_and_go_beside_those_of_others(client: KubeClient, make_node: Callable[..., Any]) -> None:
    raw = make_node()
    name = raw["metadata"]["name"]

    first = await client.patch(NODES, name, patches.finalizer_added(()), kind="json")
    assert first["metadata"]["finalizers"] == [TERMINATION_FINALIZER]
    with pytest.raises(Invalid):
        await client.patch(NODES, name, patches.finalizer_added(()), kind="json")
    freed = await client.patch(NODES, name, patches.finalizer_removed(to_node(first)), kind="json")
    assert not freed["metadata"].get("finalizers")

    await client.patch(NODES, name, {"metadata": {"finalizers": ["example.com/x"]}})
    both = await client.patch(NODES, name, patches.finalizer_added(("example.com/x",)), kind="json")
    with pytest.raises(Invalid):  # it is another one that had this name
        await client.patch(NODES, name, patches.finalizer_removed(replace(to_node(both), uid="old")), kind="json")
    left = await client.patch(NODES, name, patches.finalizer_removed(to_node(both)), kind="json")
    assert left["metadata"]["finalizers"] == ["example.com/x"]
