"""What `spotkube queue` reads of the cluster, as far as whoever asks may."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from spotkube.api.fairqueue import FairQueue
from spotkube.api.workload import Workload
from spotkube.cluster.client import KubeClient
from spotkube.cluster.errors import Forbidden, NotFound
from spotkube.cluster.resources import CONFIGMAPS, FAIRQUEUES, JOBS, WORKLOADS
from spotkube.convert.places import CONFIG_MAP, Origin, Places, of_workloads, to_places
from spotkube.model.labels import QUEUE_NAME
from spotkube.reports.queue_report import QueueReport


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where to ask. `namespace` is the one that is asked about, None for all."""

    kubeconfig: Path | None
    context: str | None
    operator_namespace: str
    namespace: str | None = None


def read(cluster: Cluster) -> QueueReport:
    """The queues now. What is forbidden is left out and noted. Raises ClusterError, ValueError."""
    return asyncio.run(_read(cluster))


def read_job(cluster: Cluster, name: str) -> str:
    """Why a Job of the namespace waits in no queue, in words; empty if there is none. Raises ClusterError."""
    return asyncio.run(_read_job(cluster, name))


async def _read(cluster: Cluster) -> QueueReport:
    notes: list[str] = []
    async with await KubeClient.connect(cluster.kubeconfig, cluster.context) as client:
        queues = await _queues(client, notes)
        places = await _places(client, cluster, notes)
    return QueueReport.of(queues, places, time.time(), notes)


async def _queues(client: KubeClient, notes: list[str]) -> list[FairQueue]:
    try:
        found, _ = await client.list(FAIRQUEUES)
    except NotFound as error:
        raise ValueError(
            "this cluster does not know FairQueues: install them, `spotkube crds | kubectl apply --server-side -f -`"
        ) from error
    except Forbidden as error:
        notes.append(f"queues and tenants are left out, since you may not list FairQueues: {error.message}")
        return []
    queues = []
    for raw in found:
        try:
            queues.append(FairQueue.from_dict(raw))
        except ValidationError as error:
            notes.append(f"FairQueue {raw['metadata']['name']} is left out, this version can't read it: {error}")
    return queues


async def _places(client: KubeClient, cluster: Cluster, notes: list[str]) -> Places:
    try:
        return to_places(await client.get(CONFIGMAPS, CONFIG_MAP, cluster.operator_namespace))
    except Forbidden:
        notes.append(
            f"you may not read ConfigMap {cluster.operator_namespace}/{CONFIG_MAP}: what Workloads say is shown "
            "instead, without positions and without Jobs that no Workload made"
        )
    try:
        found, _ = await client.list(WORKLOADS, cluster.namespace)
    except Forbidden as error:
        remedy = "" if cluster.namespace else "; name a namespace of yours with -n"
        notes.append(f"you may not list Workloads either: {error.message}{remedy}")
        return Places(Origin.WORKLOADS)
    return of_workloads(Workload.from_dict(raw) for raw in found)


async def _read_job(cluster: Cluster, name: str) -> str:
    namespace = name.partition("/")[0] if "/" in name else cluster.namespace
    if namespace is None:
        return ""
    async with await KubeClient.connect(cluster.kubeconfig, cluster.context) as client:
        try:
            raw = await client.get(JOBS, name.rpartition("/")[2], namespace)
        except Forbidden:
            return ""
    if raw is None:
        return ""
    key, queue = f"Job {namespace}/{raw['metadata']['name']}", (raw["metadata"].get("labels") or {}).get(QUEUE_NAME)
    if queue is None:
        return f"{key} names no queue: it has no label {QUEUE_NAME}"
    if raw["spec"].get("suspend"):
        return f"{key} is suspended, and queue {queue} has not taken it up: its owner may have suspended it"
    return f"{key} does not wait: queue {queue} let it go"
