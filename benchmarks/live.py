"""Pods on a real API server: what is created, and when each was bound, as one watch saw it."""

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import GONE, OK
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client, config

from localcluster.cluster import Cluster

NAMESPACE = "load"
CPU_MILLI = (100, 250, 500, 1000, 2000, 4000)
MIB_PER_MILLI = (1, 2, 4, 8)
POLL_SECONDS = 0.25
# One pod at a time, 20 requests of Kubernetes' controllers for each would use up two cores.
TRICKLE_STEP = 5
# All that there is, and a bookmark after it; then what changes.
_FROM_THE_BEGINNING = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
Json = dict[str, Any]


class Watch:
    """When each object of a kind first came true in some way: seconds of the monotonic clock, by uid."""

    def __init__(self, cluster: Cluster, path: str, moments: dict[str, Callable[[Json], bool]]) -> None:
        """`path` of the API; each of `moments` says whether it has come for an object."""
        self.seen: dict[str, dict[str, float]] = {name: {} for name in moments}
        self.objects: dict[str, Json] = {}
        self._moments = moments
        self._path = path
        self._version = ""
        self._api = config.new_client_from_config(str(cluster.kubeconfig))
        self._answer: urllib3.BaseHTTPResponse | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        while self._thread.is_alive():  # it may have begun anew just now
            with contextlib.suppress(RuntimeError, ValueError):  # nothing is being read
                if self._answer is not None:
                    self._answer.shutdown()
            self._thread.join(POLL_SECONDS)

    def _begin(self) -> urllib3.BaseHTTPResponse:
        since = f"&resourceVersion={self._version}" if self._version else _FROM_THE_BEGINNING
        url = f"{self._api.configuration.host}{self._path}?watch=1&allowWatchBookmarks=true{since}"
        pool: urllib3.PoolManager = self._api.rest_client.pool_manager
        return pool.request("GET", url, preload_content=False, retries=False)

    def _follow(self) -> None:
        """A busy API server ends watches, and most of all in a cluster that had little to do before: in a second of a
        burst it may end all. The next one goes on where that ended, or what came and went meanwhile would never be
        seen; and it goes on at once, or what was done long ago would be seen late."""
        while not self._stopping.is_set():
            said = False
            # What was cut off within an event tells it again.
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                self._answer = self._begin()
                if self._answer.status == GONE:
                    self._version = ""
                for line in self._answer if self._answer.status == OK else ():
                    if line.endswith(b"\n"):
                        self._take(json.loads(line), time.monotonic())
                        said = True
            if not said:
                self._stopping.wait(POLL_SECONDS)

    def _take(self, event: Json, now: float) -> None:
        item: Json = event["object"]
        if event["type"] == "ERROR":  # where it ended is too long ago
            self._version = ""
        elif event["type"] == "BOOKMARK" or self._version:
            self._version = item["metadata"]["resourceVersion"]
        if event["type"] not in ("ADDED", "MODIFIED"):
            return
        uid = item["metadata"]["uid"]
        self.objects[uid] = item
        for name, has_come in self._moments.items():
            if uid not in self.seen[name] and has_come(item):
                self.seen[name][uid] = now


def watch_pods(cluster: Cluster) -> Watch:
    """`created` and `bound` of the pods of the load."""
    moments: dict[str, Callable[[Json], bool]] = {
        "created": lambda _: True,
        "bound": lambda pod: bool(pod["spec"].get("nodeName")),
    }
    return Watch(cluster, f"/api/v1/namespaces/{NAMESPACE}/pods", moments)


def shapes(deployments: int, seed: int) -> list[tuple[int, int]]:
    """(cpu in milli, memory in MiB) of a pod of each Deployment."""
    chance = random.Random(seed)
    cpus = [chance.choice(CPU_MILLI) for _ in range(deployments)]
    return [(cpu, cpu * chance.choice(MIB_PER_MILLI)) for cpu in cpus]


def create_deployments(cluster: Cluster, sizes: list[tuple[int, int]]) -> None:
    """Deployments of no pods yet."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    items = [namespace, *(_deployment(deployment_name(i), *size) for i, size in enumerate(sizes))]
    cluster.kubectl("apply", "--server-side", "-f", "-", input="\n---\n".join(json.dumps(item) for item in items))


def scale(cluster: Cluster, deployments: int, replicas: int) -> None:
    """All Deployments at once to so many pods each; `kubectl scale` waits for 0.2 s after each one."""
    scale_one = _scale_one(cluster)
    with ThreadPoolExecutor(deployments) as pool:
        list(pool.map(lambda number: scale_one(number, replicas), range(deployments)))


def trickle(cluster: Cluster, deployments: int, have: int, pods: int, seconds: float) -> None:
    """So many more pods, evenly over the time: one Deployment after the other grows by `TRICKLE_STEP`, from `have`."""
    scale_one, began = _scale_one(cluster), time.monotonic()
    for number in range(pods // TRICKLE_STEP):
        time.sleep(max(0.0, began + seconds * number * TRICKLE_STEP / pods - time.monotonic()))
        scale_one(number % deployments, have + (number // deployments + 1) * TRICKLE_STEP)


def _scale_one(cluster: Cluster) -> Callable[[int, int], None]:
    apps = client.AppsV1Api(config.new_client_from_config(str(cluster.kubeconfig)))

    def scale_one(number: int, replicas: int) -> None:
        apps.patch_namespaced_deployment_scale(deployment_name(number), NAMESPACE, {"spec": {"replicas": replicas}})

    return scale_one


def deployment_name(number: int) -> str:
    return f"d{number:02}"


def wait_for(watch: Watch, pods: int, seconds: float) -> Iterator[int]:
    """How many are bound, again and again, until all are or the time is over."""
    deadline = time.monotonic() + seconds
    while (bound := len(watch.seen["bound"])) < pods and time.monotonic() < deadline:
        yield bound
        time.sleep(POLL_SECONDS)
    yield bound


def percentile(values: list[float], percent: float) -> float | None:
    """The smallest value that so many percent do not exceed; None of nothing."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)] if ordered else None


def usd_hour(nodes: list[Json], prices: dict[tuple[str, str, str], float], capacity_label: str) -> float:
    """What nodes cost by the catalog, whoever bought them. Raises KeyError for one that is not sold."""
    total = 0.0
    for node in nodes:
        labels = node["metadata"]["labels"]
        zone = labels["topology.kubernetes.io/zone"]
        total += prices[labels["node.kubernetes.io/instance-type"], zone, labels[capacity_label]]
    return total


def items(cluster: Cluster, *words: str) -> list[Json]:
    found: list[Json] = json.loads(cluster.kubectl("get", *words, "-o", "json"))["items"]
    return found


def write(folder: Path, name: str, content: object) -> Path:
    file = folder / name
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def _deployment(name: str, cpu_milli: int, memory_mib: int) -> Json:
    requests = {"cpu": f"{cpu_milli}m", "memory": f"{memory_mib}Mi"}
    container = {"name": "main", "image": "load", "resources": {"requests": requests}}
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
