"""The cluster at one moment, as a frozen value: what the demo shows and waits for."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spotkube.api import CapacityPlan, NodeClaim, Workload
from spotkube.cluster.client import KubeClient
from spotkube.cluster.resources import (
    CAPACITYPLANS,
    NODECLAIMS,
    NODES,
    PODDISRUPTIONBUDGETS,
    PODS,
    WORKLOADS,
    Resource,
)
from spotkube.controllers.workloads.status import is_over
from spotkube.convert.workloads import key_of
from spotkube.model.labels import WORKLOAD

Json = Mapping[str, Any]
DAEMON = "DaemonSet"
WAITING, RUNNING, FINISHED = "Pending", "Running", ("Succeeded", "Failed")
REQUESTS_A_SECOND = 1000
CREATORS = 32
"""Requests under way at once when many objects are created."""


@dataclass(frozen=True, slots=True)
class PodSeen:
    """A pod. `node`, `nominated` and `workload` (namespace/name) are "" when there is none; `covered` says whether a
    budget protects it."""

    key: str
    phase: str
    node: str
    nominated: str
    workload: str
    is_daemon: bool
    is_ready: bool
    is_ending: bool
    covered: bool


@dataclass(frozen=True, slots=True)
class NodeSeen:
    name: str
    is_ready: bool
    is_cordoned: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything at one moment; `at` is a monotonic time in seconds. Pods of daemons count with the nodes only."""

    at: float
    pods: tuple[PodSeen, ...]
    nodes: Mapping[str, NodeSeen]
    claims: Mapping[str, NodeClaim]
    plans: tuple[CapacityPlan, ...] = ()
    workloads: tuple[Workload, ...] = ()

    @property
    def work(self) -> tuple[PodSeen, ...]:
        """The pods for which nodes are bought: all but those of daemons."""
        return tuple(pod for pod in self.pods if not pod.is_daemon)

    @property
    def phases(self) -> Counter[str]:
        """How many pods of the work are in each phase."""
        return Counter(pod.phase for pod in self.work)

    @property
    def claim_phases(self) -> Counter[str]:
        return Counter(str(claim.status.phase or "Pending") for claim in self.claims.values())

    @property
    def usd_per_hour(self) -> float:
        """The price of all nodes that are bought, in dollars an hour."""
        return sum(claim.spec.price_usd_per_hour for claim in self.claims.values())

    @property
    def plan(self) -> CapacityPlan | None:
        """The newest plan that bought something."""
        bought = [plan for plan in self.plans if plan.status.additions]
        return bought[-1] if bought else None

    @property
    def all_open(self) -> bool:
        """Whether every node that was bought takes pods of others too, which is a moment after its own pods run."""
        return self.claim_phases.keys() <= {"Ready"}

    def pods_on(self, node: str) -> tuple[PodSeen, ...]:
        """The work on a node that has not ended."""
        return tuple(pod for pod in self.work if pod.node == node and pod.phase not in FINISHED)

    def all_run(self, at_least: int = 1) -> bool:
        """Whether every pod runs or has ended well, and every Workload has all of its pods."""
        pods = self.work
        placed = all(pod.phase == "Succeeded" or (pod.phase == RUNNING and pod.is_ready) for pod in pods)
        return len(pods) >= at_least and placed and self.all_made()

    def all_made(self) -> bool:
        """Whether every Workload has as many pods as it wants. Counted here: a Job tells later than its pods do.

        A job that is over may have no pod left: one that ends while it is evicted is deleted for good.
        """
        there = Counter(pod.workload for pod in self.work if not pod.is_ending)
        return all(is_over(each) or _has_all(each, there[key_of(each)]) for each in self.workloads)


class Eyes:
    """Reads scenes off a cluster, and writes many objects fast. Blocking; close it at the end."""

    def __init__(self, kubeconfig: Path) -> None:
        self._runner = asyncio.Runner()
        self._client = self._runner.run(KubeClient.connect(kubeconfig, qps=REQUESTS_A_SECOND, burst=REQUESTS_A_SECOND))

    def look(self) -> Scene:
        """The cluster now. Raises ClusterError."""
        return self._runner.run(self._look())

    def create(self, resource: Resource, bodies: Sequence[dict[str, Any]]) -> None:
        """Creates many objects at once. Raises ClusterError."""
        self._runner.run(self._create(resource, bodies))

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    async def _look(self) -> Scene:
        resources = (PODS, NODES, NODECLAIMS, CAPACITYPLANS, WORKLOADS, PODDISRUPTIONBUDGETS)
        lists = await asyncio.gather(*(self._client.list(resource) for resource in resources))
        return to_scene(time.monotonic(), *(items for items, _ in lists))

    async def _create(self, resource: Resource, bodies: Sequence[dict[str, Any]]) -> None:
        waiting = iter(bodies)

        async def creator() -> None:
            for body in waiting:
                await self._client.create(resource, body)

        await asyncio.gather(*(creator() for _ in range(CREATORS)))


def to_scene(
    at: float,
    pods: Iterable[Json],
    nodes: Iterable[Json],
    claims: Iterable[Json],
    plans: Iterable[Json],
    workloads: Iterable[Json],
    budgets: Iterable[Json],
) -> Scene:
    """From objects as the API server lists them."""
    selectors = [
        (budget["metadata"]["namespace"], (budget["spec"].get("selector") or {}).get("matchLabels") or {})
        for budget in budgets
    ]
    return Scene(
        at=at,
        pods=tuple(_to_pod(pod, selectors) for pod in pods),
        nodes={node["metadata"]["name"]: _to_node(node) for node in nodes},
        claims={claim["metadata"]["name"]: NodeClaim.from_dict(claim) for claim in claims},
        plans=tuple(sorted((CapacityPlan.from_dict(plan) for plan in plans), key=_made_at)),
        workloads=tuple(Workload.from_dict(workload) for workload in workloads),
    )


def _to_pod(pod: Json, budgets: Sequence[tuple[str, Json]]) -> PodSeen:
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    labels = metadata.get("labels") or {}
    return PodSeen(
        key=f"{metadata['namespace']}/{metadata['name']}",
        phase=status.get("phase", WAITING),
        node=spec.get("nodeName") or "",
        nominated=status.get("nominatedNodeName") or "",
        workload=f"{metadata['namespace']}/{labels[WORKLOAD]}" if WORKLOAD in labels else "",
        is_daemon=any(owner["kind"] == DAEMON for owner in metadata.get("ownerReferences") or ()),
        is_ready=_is_ready(status),
        is_ending=bool(metadata.get("deletionTimestamp")),
        covered=any(
            namespace == metadata["namespace"] and selector and selector.items() <= labels.items()
            for namespace, selector in budgets
        ),
    )


def _has_all(workload: Workload, pods: int) -> bool:
    return workload.status.replicas is not None and pods >= workload.status.replicas


def _to_node(node: Json) -> NodeSeen:
    spec, status = node.get("spec") or {}, node.get("status") or {}
    return NodeSeen(node["metadata"]["name"], _is_ready(status), bool(spec.get("unschedulable")))


def _is_ready(status: Json) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ())


def _made_at(plan: CapacityPlan) -> tuple[str, str]:
    return str(plan.metadata.creation_timestamp), plan.name
