"""Records what happens on a cluster, from the API server itself and not by way of anything that injects faults."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from chaos.history import Act, ClaimLife, History, PodLife, Reign, claim_life, instance_lives, pod_life, reign
from spotkube.assemble import LEASE_NAME
from spotkube.cluster.client import KubeClient
from spotkube.cluster.errors import ApiError
from spotkube.cluster.resources import LEASES, NODECLAIMS, NODES, PODS, Resource
from spotkube.model import labels

START_SECONDS = 30.0
# So long a watch may lag behind what was just written.
SETTLE_SECONDS = 1.0
Raw = dict[str, Any]


class Recorder:
    """Watches claims, Nodes, the pods of one namespace, and the operators' Lease in another."""

    def __init__(self, namespace: str, operators: str) -> None:
        self._namespace = namespace
        self._operators = operators
        self._claims: dict[str, ClaimLife] = {}
        self._pods: dict[str, PodLife] = {}
        self._nodes: set[str] = set()
        self._reigns: list[Reign] = []

    async def run(self, kubeconfig: Path, started: threading.Event, stopping: asyncio.Event) -> None:
        async with await KubeClient.connect(kubeconfig, qps=1000, burst=1000) as client:
            watches = [asyncio.create_task(self._watch(client, kind)) for kind in (NODECLAIMS, NODES, PODS, LEASES)]
            await asyncio.sleep(SETTLE_SECONDS)
            started.set()
            await stopping.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    async def _watch(self, client: KubeClient, kind: Resource) -> None:
        while True:
            with contextlib.suppress(ApiError):
                items, version = await client.list(kind)
                for item in items:
                    self._see(kind, "ADDED", item)
                async for event, raw in client.watch(kind, version):
                    self._see(kind, event, raw)

    def _see(self, kind: Resource, event: str, raw: Raw) -> None:
        if event == "BOOKMARK":
            return
        metadata, gone_at = raw["metadata"], time.time() if event == "DELETED" else None
        if kind == NODECLAIMS:
            self._see_claim(claim_life(raw, gone_at))
        elif kind == PODS and metadata["namespace"] == self._namespace:
            self._see_pod(pod_life(raw, gone_at))
        elif kind == LEASES and (metadata["namespace"], metadata["name"]) == (self._operators, LEASE_NAME):
            self._see_reign(reign(None if gone_at else raw, time.time()))
        elif kind == NODES and labels.NODEPOOL in (metadata.get("labels") or {}):
            (self._nodes.discard if gone_at else self._nodes.add)(metadata["name"])

    def _see_claim(self, claim: ClaimLife) -> None:
        self._claims[claim.uid] = claim

    def _see_pod(self, pod: PodLife) -> None:
        """A second deletion, with less grace, does not take back when the pod was told first."""
        before = self._pods.get(pod.uid)
        if before and before.told_at:
            pod = replace(pod, told_at=before.told_at, forced=before.forced)
        self._pods[pod.uid] = pod

    def _see_reign(self, found: Reign) -> None:
        if not self._reigns or self._reigns[-1].pid != found.pid:
            self._reigns.append(found)

    def history(self, cloud_log: list[Raw], acts: Iterable[Act]) -> History:
        return History(
            claims=tuple(self._claims.values()),
            pods=tuple(self._pods.values()),
            instances=instance_lives(cloud_log),
            nodes=frozenset(self._nodes),
            ended_at=time.time(),
            reigns=tuple(self._reigns),
            acts=tuple(acts),
        )


@contextmanager
def recording(
    kubeconfig: Path, namespace: str, operators: str
) -> Iterator[Callable[[list[Raw], Iterable[Act]], History]]:
    """Records in a thread of its own; `operators` is the namespace of their Lease. What it gives ends the recording,
    and joins it with the cloud's log and with what the operators did."""
    recorder, started, stopping = Recorder(namespace, operators), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(recorder.run(kubeconfig, started, stopping)))

    def stop() -> None:
        if thread.is_alive():
            loop.call_soon_threadsafe(stopping.set)
            thread.join()

    def finish(cloud_log: list[Raw], acts: Iterable[Act]) -> History:
        stop()
        return recorder.history(cloud_log, acts)

    thread.start()
    try:
        if not started.wait(START_SECONDS):
            raise TimeoutError(f"the recording did not begin within {START_SECONDS:.0f} s")
        yield finish
    finally:
        stop()
        loop.close()
