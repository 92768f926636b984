"""The plans of drawn clusters on a real one: kube-scheduler binds what is planned, and nothing that is impossible.

A small part of `make differential`, with the API server, its admission and its controllers in between. Nodes are real
Node objects, kept alive by KWOK; this test stands in for the operator (gates, nominations) and for a CSI provisioner.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import pytest

from differential.demands import purchasable, question
from differential.drawing import of_seed
from differential.judge import Judge
from differential.planned import planned
from differential.scenario import Scenario
from localcluster.cluster import LocalCluster
from spotkube.cluster import resources
from spotkube.cluster.client import KubeClient
from spotkube.cluster.errors import Invalid
from spotkube.cluster.resources import CSINODES, NODES, PODS, Resource
from spotkube.cluster.resources import PERSISTENTVOLUMECLAIMS as CLAIMS
from spotkube.cluster.resources import PERSISTENTVOLUMES as VOLUMES
from spotkube.model.labels import PLACEMENT_GATE, ZONE

Json = dict[str, Any]
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.1
# A real cluster would change what these are about: admission sets overhead and priority (by classes), KWOK writes the
# status of pods, and kube-scheduler evicts pods for those of a higher priority.
NOT_HERE = {"overhead", "resize-status", "pod-priority"}
KINDS: dict[str, Resource] = {
    one.kind: one for one in vars(resources).values() if isinstance(one, Resource) and one.group != "spotkube.io"
}
SCENARIOS = {seed: scenario for seed in range(60) if NOT_HERE.isdisjoint((scenario := of_seed(seed)).focus)}
SEEDS = list(SCENARIOS)[:25]
SELECTED_NODE = "volume.kubernetes.io/selected-node"


@pytest.fixture(scope="module")
def own_cluster(request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    if request.config.getoption("--kubeconfig") is not None:
        pytest.skip("scenarios need a cluster without any other nodes and pods")
    with LocalCluster.start(name="differential") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as judge:
        yield judge


@pytest.mark.parametrize("seed", SEEDS)
def test_kube_scheduler_carries_out_the_plan(seed: int, own_cluster: LocalCluster, judge: Judge) -> None:
    asyncio.run(carry_out(SCENARIOS[seed], own_cluster, judge))


async def carry_out(scenario: Scenario, cluster: LocalCluster, judge: Judge) -> None:
    outcome = planned(scenario)
    fresh = {f"fresh-{n}": kind for n, kind in enumerate(purchasable(scenario))}
    asked = question(scenario, outcome, fresh, 0)
    answer = judge.ask(asked)
    daemons = sum(len(names or ()) for names in answer["daemons"].values())
    closed = [one for one in asked["fresh"] if _refused(one["node"]["metadata"]["name"], answer)]
    async with await KubeClient.connect(cluster.kubeconfig, qps=1000, burst=1000) as client:
        site = Site(client)
        try:
            await site.create(asked["objects"], daemons)
            await site.place(asked["planned"], strays=answer["rounds"][0] > 1)
            if asked["impossible"]:
                await site.refuse(asked["impossible"], closed)
        finally:
            await site.clear()


def _refused(node: str, answer: Json) -> bool:
    """Whether the node would hold none of the impossible pods: others are kept empty by limits and spot rules."""
    return all(nodes[node] for nodes in answer["impossible"].values())


class Site:
    """The cluster, and what the operator, kubelets and a CSI provisioner would do there."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._waiting: dict[str, Json] = {}

    async def create(self, objects: Iterable[Json], daemons: int) -> None:
        """All but the pods that wait; returns when nodes are ready, volumes bound and daemons in place."""
        by_kind: dict[str, list[Json]] = {}
        for one in copy.deepcopy(list(objects)):
            by_kind.setdefault(one["kind"], []).append(one)
        pods = by_kind.pop("Pod", [])
        self._waiting = {f"{p['metadata']['namespace']}/{p['metadata']['name']}": p for p in pods}
        for kind in ("Namespace", "StorageClass", "PersistentVolume", "PersistentVolumeClaim", "CSINode", "Node"):
            await asyncio.gather(*(self._put(one) for one in by_kind.get(kind, [])))
        await self._ready({node["metadata"]["name"] for node in by_kind.get("Node", [])})
        await self._eventually(self._volumes_bound, "volumes to be bound")
        running = [key for key, pod in self._waiting.items() if "nodeName" in pod["spec"]]
        await asyncio.gather(*(self._put(self._waiting.pop(key)) for key in running))
        await asyncio.gather(*(self._put(one) for one in by_kind.get("DaemonSet", [])))

        async def in_place() -> bool:
            pods, _ = await self._client.list(PODS)
            return sum("nodeName" in pod["spec"] for pod in pods) == daemons + len(running)

        await self._eventually(in_place, f"{daemons} daemons to be in place")

    async def place(self, planned: Iterable[Json], *, strays: bool) -> None:
        """Nominates all pods, lifts their gates, and waits until each is bound, where it was planned unless some may
        have strayed: those that their node refuses as long as others are only nominated there."""
        targets = {one["pod"]: one["node"] for one in planned}
        await asyncio.gather(*(self._put(self._waiting.pop(key), gate=PLACEMENT_GATE) for key in targets))
        await asyncio.gather(*(self._nominate(key, node) for key, node in targets.items()))
        for key in targets:
            await self._patch(key, {"spec": {"schedulingGates": None}})
        standing: dict[str, str] = {}

        async def bound() -> bool:
            pods, _ = await self._client.list(PODS)
            found = {f"{p['metadata']['namespace']}/{p['metadata']['name']}": p for p in pods}
            standing.update({key: found[key]["spec"].get("nodeName", "") for key in targets})
            for key, node in targets.items():
                if not standing[key] and found[key]["status"].get("nominatedNodeName") != node:
                    await self._nominate(key, node)
            await self._provision()
            return all(standing.values())

        await self._eventually(bound, lambda: f"all pods to be bound: {standing} of {targets}")
        assert strays or standing == targets

    async def refuse(self, impossible: Iterable[str], fresh: Iterable[Json]) -> None:
        """Waits until kube-scheduler has found no node for the pods, nodes of all kinds being there."""
        manifests = copy.deepcopy(list(fresh))
        await asyncio.gather(*(self._put(one["csiNode"]) for one in manifests if "csiNode" in one))
        await asyncio.gather(*(self._put(one["node"]) for one in manifests))
        await self._ready({one["node"]["metadata"]["name"] for one in manifests})
        keys = list(impossible)
        await asyncio.gather(*(self._put(self._waiting.pop(key)) for key in keys))

        async def refused() -> bool:
            pods = [await self._client.get(PODS, *reversed(key.split("/"))) for key in keys]
            for pod in pods:
                assert pod is not None and "nodeName" not in pod["spec"], pod
            return all(_is_unschedulable(pod) for pod in pods if pod is not None)

        await self._eventually(refused, f"{keys} to be refused")

    async def clear(self) -> None:
        """Takes everything away, pods by force: their nodes are gone with them."""
        for resource in (resources.DAEMONSETS, PODS, CLAIMS, VOLUMES, NODES, CSINODES, resources.STORAGECLASSES):
            items, _ = await self._client.list(resource)
            await asyncio.gather(*(self._delete(resource, item) for item in items))

        async def gone() -> bool:
            left = [(await self._client.list(resource))[0] for resource in (PODS, CLAIMS, VOLUMES, NODES)]
            return not any(left)

        await self._eventually(gone, "everything to be gone")

    async def _put(self, manifest: Json, gate: str = "") -> None:
        resource, metadata = KINDS[manifest["kind"]], manifest["metadata"]
        # Their owners are not there, and so they would be collected as garbage.
        metadata.pop("ownerReferences", None)
        if manifest["kind"] == "Node":
            metadata["annotations"] = {"kwok.x-k8s.io/node": "fake", "spotkube.io/ready-delay": "0s"}
            manifest["status"]["conditions"] = [{"type": "Ready", "status": "False", "reason": "KubeletNotReady"}]
        if manifest["kind"] == "PersistentVolumeClaim":
            # The volume controller binds them, by the volume's name.
            metadata.pop("annotations", None)
        if gate:
            manifest["spec"]["schedulingGates"] = [{"name": gate}]
        await self._client.patch(
            resource, metadata["name"], manifest, namespace=metadata.get("namespace"), kind="apply"
        )

    async def _delete(self, resource: Resource, item: Json) -> None:
        metadata = item["metadata"]
        if resource in (CLAIMS, VOLUMES, NODES) and metadata.get("finalizers"):
            body = {"metadata": {"finalizers": None}}
            await self._client.patch(resource, metadata["name"], body, namespace=metadata.get("namespace"))
        await self._client.delete(resource, metadata["name"], namespace=metadata.get("namespace"), grace_seconds=0)

    async def _nominate(self, key: str, node: str) -> None:
        await self._patch(key, {"status": {"nominatedNodeName": node}}, subresource="status")

    async def _patch(self, key: str, body: Json, subresource: str | None = None) -> None:
        namespace, name = key.split("/")
        with contextlib.suppress(Invalid):  # it was bound meanwhile
            await self._client.patch(PODS, name, body, namespace=namespace, subresource=subresource)

    async def _ready(self, names: set[str]) -> None:
        async def ready() -> bool:
            nodes, _ = await self._client.list(NODES)
            here = [node for node in nodes if node["metadata"]["name"] in names]
            return len(here) == len(names) and all(_is_open(node) for node in here)

        await self._eventually(ready, f"{sorted(names)} to be ready")

    async def _volumes_bound(self) -> bool:
        claims, _ = await self._client.list(CLAIMS)
        return all(c["status"].get("phase") == "Bound" for c in claims if "volumeName" in c["spec"])

    async def _provision(self) -> None:
        """Makes a volume for each claim for which kube-scheduler has chosen a node, in that node's zone."""
        claims, _ = await self._client.list(CLAIMS)
        for claim in claims:
            chosen = claim["metadata"].get("annotations", {}).get(SELECTED_NODE)
            if chosen and "volumeName" not in claim["spec"]:
                node = await self._client.get(NODES, chosen)
                assert node is not None
                await self._put(_volume_for(claim, node["metadata"]["labels"][ZONE]))

    async def _eventually(self, condition: Callable[[], Awaitable[bool]], what: str | Callable[[], str]) -> None:
        for _ in range(round(PATIENCE_SECONDS / POLL_SECONDS)):
            if await condition():
                return
            await asyncio.sleep(POLL_SECONDS)
        raise AssertionError(f"waited in vain for {what() if callable(what) else what}")


def _is_open(node: Json) -> bool:
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"].get("conditions", []))
    taints = node["spec"].get("taints", [])
    return ready and not any(taint["key"] == "node.kubernetes.io/not-ready" for taint in taints)


def _is_unschedulable(pod: Json) -> bool:
    return any(
        one["type"] == "PodScheduled" and one["status"] == "False" and one["reason"] == "Unschedulable"
        for one in pod["status"].get("conditions", [])
    )


def _volume_for(claim: Json, zone: str) -> Json:
    metadata, spec = claim["metadata"], claim["spec"]
    term = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": [zone]}]}
    name = f"made-for-{metadata['name']}"
    reference = {"kind": "PersistentVolumeClaim", **{key: metadata[key] for key in ("name", "namespace", "uid")}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": spec["storageClassName"],
            "accessModes": spec["accessModes"],
            "capacity": {"storage": "1Gi"},
            "claimRef": reference,
            "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
            "csi": {"driver": "csi.example.com", "volumeHandle": name},
        },
    }
