"""Records what happens on a cluster, from the API server itself and not by way of anything that injects faults."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from chaos.history import ClaimLife, History, PodLife, claim_life, instance_lives, pod_life
from spotkube.cluster.client import KubeClient
from spotkube.cluster.errors import ApiError
from spotkube.cluster.resources import NODECLAIMS, NODES, PODS, Resource
from spotkube.model import labels

START_SECONDS = 30.0
# So long a watch may lag behind what was just written.
SETTLE_SECONDS = 1.0
Raw = dict[str, Any]


class Recorder:
    """Watches claims, Nodes and the pods of one namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._claims: dict[str, ClaimLife] = {}
        self._pods: dict[str, PodLife] = {}
        self._nodes: set[str] = set()

    async def run(self, kubeconfig: Path, started: threading.Event, stopping: asyncio.Event) -> None:
        async with await KubeClient.connect(kubeconfig, qps=1000, burst=1000) as client:
            watches = [asyncio.create_task(self._watch(client, kind)) for kind in (NODECLAIMS, NODES, PODS)]
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
        gone_at = time.time() if event == "DELETED" else None
        if kind == NODECLAIMS:
            self._see_claim(claim_life(raw, gone_at))
        elif kind == PODS and raw["metadata"]["namespace"] == self._namespace:
            self._see_pod(pod_life(raw, gone_at))
        elif kind == NODES and labels.NODEPOOL in (raw["metadata"].get("labels") or {}):
            (self._nodes.discard if gone_at else self._nodes.add)(raw["metadata"]["name"])

    def _see_claim(self, claim: ClaimLife) -> None:
        self._claims[claim.uid] = claim

    def _see_pod(self, pod: PodLife) -> None:
        """A second deletion, with less grace, does not take back when the pod was told first."""
        before = self._pods.get(pod.uid)
        self._pods[pod.uid] = replace(pod, told_at=before.told_at) if before and before.told_at else pod

    def history(self, cloud_log: list[Raw]) -> History:
        return History(
            claims=tuple(self._claims.values()),
            pods=tuple(self._pods.values()),
            instances=instance_lives(cloud_log),
            nodes=frozenset(self._nodes),
            ended_at=time.time(),
        )


@contextmanager
def recording(kubeconfig: Path, namespace: str) -> Iterator[Callable[[list[Raw]], History]]:
    """Records in a thread of its own. What it gives ends the recording, and joins it with the cloud's log."""
    recorder, started, stopping = Recorder(namespace), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(recorder.run(kubeconfig, started, stopping)))

    def stop() -> None:
        if thread.is_alive():
            loop.call_soon_threadsafe(stopping.set)
            thread.join()

    def finish(cloud_log: list[Raw]) -> History:
        stop()
        return recorder.history(cloud_log)

    thread.start()
    try:
        if not started.wait(START_SECONDS):
            raise TimeoutError(f"the recording did not begin within {START_SECONDS:.0f} s")
        yield finish
    finally:
        stop()
        loop.close()
