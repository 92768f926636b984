"""Plays bursts of notices, and watches what comes of them."""

import asyncio
import contextlib
import json
import math
import re
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from admission_play import MERGE, Api
from demo import identity
from demo.helpers import Helper
from demo.launch import launch_cloud, launch_operator
from lifecycle_fleet import GRACE_SECONDS, NAMESPACE, NODE_CPU_MILLI, OWNERS, bare_pod, claims, owner, pod, pool
from live import Watch
from live_rivals import CRDS, apply
from localcluster.cluster import LocalCluster
from spotkube.providers.local.nodes import NOTICE_TAINT

# Without those that would make pods anew, or take them from nodes.
CONTROLLERS = "serviceaccount-controller"
NODES, PODS = "/api/v1/nodes", f"/api/v1/namespaces/{NAMESPACE}/pods"
CLAIMS = "/apis/spotkube.io/v1alpha1/nodeclaims"
NOTICE_SECONDS = 120
# A pod may be told so much later than it should: clocks of whole seconds, and a kubelet's own pace.
SLACK_SECONDS = 2.0
PATIENCE_SECONDS, QUIET_SECONDS = 600.0, 15.0
ORDERS_AT_ONCE = 16
RUNNING = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
BARE_EVICTIONS, BARE_ON_A_NODE = 1000, 10
_REQUESTS = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$", re.MULTILINE)
_OURS = frozenset({"nodeclaims", "capacityplans"})
Json = dict[str, Any]


@dataclass
class Burst:
    """Seconds to each cordon from the sign of the notice on the Node, and (`ordered`) from when the cloud was told to
    take it; to each claim from the first order. `calls` are those to NodeClaims, CapacityPlans and evictions.
    `late_pods` had less than their grace, or less than what was left."""

    notices: int
    cordons: list[float] = field(default_factory=list)
    claims: list[float] = field(default_factory=list)
    calls: int = 0
    late_pods: int = 0
    bare_seconds: float = 0.0
    ordered: list[float] = field(default_factory=list)


@dataclass
class Stage:
    cluster: LocalCluster
    api: Api
    operator: Helper
    cloud_url: str
    nodes: Watch
    claims: Watch
    pods: Watch
    told: "Told"


class Told:
    """When each pod had its SIGTERM, by the API server's clock, by uid: as its first deletion said. The last word of a
    kubelet is another deletion, without any grace."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}

    def __call__(self, pod: Json) -> bool:
        meta = pod["metadata"]
        if (ends := meta.get("deletionTimestamp")) is None:
            return False
        grace = float(meta.get("deletionGracePeriodSeconds") or 0)
        self.at.setdefault(meta["uid"], datetime.fromisoformat(ends).timestamp() - grace)
        return True


async def measure(nodes: int, pods: int, bursts: Sequence[int], events: int) -> Json:
    with LocalCluster.start(name="lifecycle", controllers=CONTROLLERS) as cluster:
        api = Api(cluster.server, cluster.directory / "pki")
        try:
            with _stage(cluster, api) as stage:
                names = await _build(stage, nodes, pods, max(nodes // 2, sum(bursts)))
                evictions = await _bare_evictions(stage, names)
                played = []
                for number in bursts:
                    taken, names = names[:number], names[number:]
                    played.append(await _burst(stage, taken))
                _say(f"{events} events")
                before = _memory_mib(stage.operator.pid)
                await _storm(stage, events)
                peak = _peak_mib(stage.operator.pid)
                after, threads = _memory_mib(stage.operator.pid), _threads(stage.operator.pid)
        finally:
            await api.close()
    return {
        "nodes": nodes, "pods": pods, "bursts": played, "bare_evictions_a_second": round(evictions),
        "memory_mib": round(peak), "events": events,
        "memory_before_events_mib": round(before), "memory_after_events_mib": round(after), "threads": threads,
    }  # fmt: skip


@contextlib.contextmanager
def _stage(cluster: LocalCluster, api: Api) -> Iterator[Stage]:
    cluster.kubectl("apply", "--server-side", "-f", str(CRDS))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
    kubeconfig = identity.install(cluster, cluster.directory)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    apply(cluster, [namespace, pool()])
    with contextlib.ExitStack() as stack:
        cloud, url = launch_cloud(cluster.kubeconfig, cluster.directory, "--registration-delay=100ms")
        stack.callback(cloud.stop)
        operator = launch_operator(kubeconfig, identity.NAMESPACE, url, cluster.directory / "operator.log")
        stack.callback(operator.stop)
        told = Told()
        seen = Watch(cluster, NODES, {"closed": _is_closed, "signed": _is_signed})
        stack.callback(seen.stop)
        bought = Watch(cluster, CLAIMS, {"made": lambda _: True, "ready": _is_ready})
        stack.callback(bought.stop)
        pods = Watch(cluster, PODS, {"running": _is_running, "told": told})
        stack.callback(pods.stop)
        yield Stage(cluster, api, operator, url, seen, bought, pods, told)
        operator.check()


def _is_closed(node: Json) -> bool:
    return bool(node["spec"].get("unschedulable"))


def _is_signed(node: Json) -> bool:
    return any(taint["key"] == NOTICE_TAINT for taint in node["spec"].get("taints") or ())


def _is_running(one: Json) -> bool:
    return (one.get("status") or {}).get("phase") == "Running"


def _is_ready(claim: Json) -> bool:
    return (claim.get("status") or {}).get("phase") == "Ready"


async def _build(stage: Stage, nodes: int, pods: int, together: int) -> list[str]:
    """Names of the nodes that notices will take, in one zone."""
    wanted = claims(nodes, together)
    bodies = [{k: v for k, v in claim.to_dict().items() if k != "status"} for claim in wanted]
    await _all(stage.api.send("POST", CLAIMS, body) for body in bodies)
    await _until(lambda: len(stage.claims.seen["ready"]), nodes, "nodes Ready")
    names = [claim.name for claim in wanted]
    cpu = NODE_CPU_MILLI // max(1, -(-pods // nodes))
    apply(stage.cluster, [owner(i, len(range(i, pods, OWNERS))) for i in range(OWNERS)])
    made = [pod(i, names[i % nodes], cpu) for i in range(pods)]
    await _all(stage.api.send("POST", PODS, one) for one in made)
    # KWOK would do it too, but a hundred thousand take it an hour; it goes from the first on.
    paths = [f"{PODS}/{one['metadata']['name']}/status" for one in reversed(made)]
    await _all(stage.api.send("PATCH", path, RUNNING, MERGE) for path in paths)
    # A cluster in which thousands of pods are just being started is another case, and not what is measured.
    await _until(lambda: len(stage.pods.seen["running"]), pods, "pods Running")
    _say(f"{pods} pods run; the operator catches up")
    return names[:together]


async def _burst(stage: Stage, names: Sequence[str]) -> Burst:
    burst = Burst(len(names))
    burst.bare_seconds = await _bare(stage.api, names)
    await asyncio.sleep(QUIET_SECONDS / 3)
    ids = _instances(stage.cloud_url)
    known, calls, closed = set(stage.claims.seen["made"]), await _calls(stage.api), set(stage.nodes.seen["closed"])
    began, deadline = time.monotonic(), time.time() + NOTICE_SECONDS
    told = await asyncio.to_thread(_interrupt, stage.cloud_url, {name: ids[name] for name in names})
    await _until(lambda: len(stage.nodes.seen["closed"].keys() - closed), len(names), "nodes closed", NOTICE_SECONDS)
    await _settled(stage)
    closed_at, signed_at = (_by_name(stage.nodes, moment) for moment in ("closed", "signed"))
    there = [name for name in names if name in closed_at]
    # Who closes a node before its sign was seen has learnt of it in another way; where none was seen, the order counts.
    burst.cordons = [max(0.0, closed_at[name] - signed_at.get(name, told[name])) for name in there]
    burst.ordered = [closed_at[name] - told[name] for name in there]
    burst.claims = [at - began for uid, at in list(stage.claims.seen["made"].items()) if uid not in known]
    burst.calls = await _calls(stage.api) - calls
    burst.late_pods = late_pods(stage.pods.objects, stage.told, set(names), deadline)
    return burst


def _by_name(nodes: Watch, moment: str) -> dict[str, float]:
    return {nodes.objects[uid]["metadata"]["name"]: at for uid, at in list(nodes.seen[moment].items())}


async def _settled(stage: Stage) -> None:
    """Until for a while no claim came, and all that there are, are Ready or gone."""
    seen, since, began = -1, time.monotonic(), time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS and time.monotonic() - began < PATIENCE_SECONDS:
        number = len(stage.claims.seen["made"]) + len(stage.claims.seen["ready"]) + len(stage.pods.seen["told"])
        if number != seen:
            seen, since = number, time.monotonic()
        _say(f"{len(stage.claims.seen['made'])} claims in all, {len(stage.pods.seen['told'])} pods told")
        await asyncio.sleep(0.5)


def late_pods(pods: Mapping[str, Json], told: Told, nodes: set[str], deadline: float) -> int:
    """Pods of these nodes (by uid) that were told less than their grace before the deadline, or not at all."""
    there = (uid for uid, one in list(pods.items()) if one["spec"].get("nodeName") in nodes)
    return sum(1 for uid in there if told.at.get(uid, math.inf) > deadline - GRACE_SECONDS + SLACK_SECONDS)


async def _bare(api: Api, names: Sequence[str]) -> float:
    """Seconds that one patch of each Node takes, side by side."""
    began = time.monotonic()
    body = {"metadata": {"annotations": {"load.spotkube.io/touched": str(began)}}}
    await _all(api.send("PATCH", f"{NODES}/{name}", body, MERGE) for name in names)
    return time.monotonic() - began


async def _bare_evictions(stage: Stage, nodes: Sequence[str]) -> float:
    """How many a second the API server does, asked for side by side, of pods of nobody on these nodes."""
    there = len(stage.pods.seen["running"])
    bare = {f"bare-{i:04}": nodes[i % len(nodes)] for i in range(min(BARE_EVICTIONS, BARE_ON_A_NODE * len(nodes)))}
    await _all(stage.api.send("POST", PODS, bare_pod(name, node)) for name, node in bare.items())
    await _until(lambda: len(stage.pods.seen["running"]), there + len(bare), "bare pods Running")
    await asyncio.sleep(QUIET_SECONDS)
    began = time.monotonic()
    bodies = {name: {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}} for name in bare}
    await _all(stage.api.send("POST", f"{PODS}/{name}/eviction", body) for name, body in bodies.items())
    rate = len(bare) / (time.monotonic() - began)
    await asyncio.sleep(GRACE_SECONDS + QUIET_SECONDS)
    return rate


async def _storm(stage: Stage, events: int) -> None:
    names = [one["metadata"]["name"] for one in list(stage.pods.objects.values()) if one["spec"].get("nodeName")]
    living = names[:1000]
    for turn in range(0, events, len(living) or 1):
        body = {"metadata": {"annotations": {"load.spotkube.io/turn": str(turn)}}}
        with contextlib.suppress(RuntimeError):  # some have left meanwhile
            await _all(stage.api.send("PATCH", f"{PODS}/{name}", body, MERGE) for name in living)
        _say(f"{turn} of {events} events")


def _interrupt(url: str, ids: Mapping[str, str]) -> dict[str, float]:
    """When the cloud was told to take each; many at a time, as a cloud takes a zone back."""
    told = {}
    body = json.dumps({"notice_seconds": NOTICE_SECONDS}).encode()

    def one(name: str, id_: str) -> None:
        told[name] = time.monotonic()
        request = urllib.request.Request(f"{url}/v1/instances/{id_}/interrupt", body, method="POST")
        with urllib.request.urlopen(request, timeout=60):
            pass

    with ThreadPoolExecutor(ORDERS_AT_ONCE) as orders:
        list(orders.map(one, ids.keys(), ids.values()))
    return told


def _instances(url: str) -> dict[str, str]:
    with urllib.request.urlopen(f"{url}/v1/instances", timeout=60) as answer:
        found = json.loads(answer.read())["instances"]
    return {one["name"]: str(one["provider_id"]).rpartition("/")[2] for one in found}


async def _calls(api: Api) -> int:
    total = 0
    for labels, number in _REQUESTS.findall(await api.get("/metrics")):
        label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        ours = label["resource"] in _OURS or label["subresource"] == "eviction"
        if ours and label["verb"] not in ("WATCH", "LIST"):
            total += int(float(number))
    return total


async def _all(calls: Iterable[Awaitable[None]]) -> None:
    await asyncio.gather(*calls)


async def _until(count: Callable[[], int], wanted: int, what: str, patience: float = PATIENCE_SECONDS) -> None:
    began = time.monotonic()
    while (found := count()) < wanted and time.monotonic() - began < patience:
        _say(f"{found} of {wanted} {what}")
        await asyncio.sleep(0.25)


def _say(words: str) -> None:
    print(f"\r{words:<60}", end="", file=sys.stderr, flush=True)


def _tree(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return [pid, *(one for child in listed for one in _tree(int(child)))]


def _field(pid: int, name: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(rf"{name}:\s+(\d+)", status)
    return float(found[1]) if found else 0.0


def _peak_mib(pid: int) -> float:
    return sum(_field(one, "VmHWM") for one in _tree(pid)) / 1024


def _memory_mib(pid: int) -> float:
    return sum(_field(one, "VmRSS") for one in _tree(pid)) / 1024


def _threads(pid: int) -> int:
    return int(sum(_field(one, "Threads") for one in _tree(pid)))
