"""Plays bursts of notices, and watches what comes of them."""

import asyncio
import contextlib
import json
import re
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from admission_play import MERGE, Api
from demo import identity
from demo.helpers import Helper
from demo.launch import launch_cloud, launch_operator
from lifecycle_fleet import GRACE_SECONDS, NAMESPACE, NODE_CPU_MILLI, OWNERS, claims, owner, pod, pool
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


async def measure(nodes: int, pods: int, bursts: Sequence[int], events: int) -> Json:
    with LocalCluster.start(name="lifecycle", controllers=CONTROLLERS) as cluster:
        api = Api(cluster.server, cluster.directory / "pki")
        try:
            with _stage(cluster, api) as stage:
                names = await _build(stage, nodes, pods, max(nodes // 2, sum(bursts)))
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
        "nodes": nodes, "pods": pods, "bursts": played, "memory_mib": round(peak), "events": events,
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
        watches = [
            Watch(cluster, NODES, {"closed": _is_closed, "signed": _is_signed}),
            Watch(cluster, CLAIMS, {"made": lambda _: True, "ready": _is_ready}),
            Watch(cluster, PODS, {"running": _is_running, "told": _is_told}),
        ]
        for watch in watches:
            stack.callback(watch.stop)
        yield Stage(cluster, api, operator, url, *watches)
        operator.check()


def _is_closed(node: Json) -> bool:
    return bool(node["spec"].get("unschedulable"))


def _is_signed(node: Json) -> bool:
    return any(taint["key"] == NOTICE_TAINT for taint in node["spec"].get("taints") or ())


def _is_running(one: Json) -> bool:
    return (one.get("status") or {}).get("phase") == "Running"


def _is_told(one: Json) -> bool:
    return bool(one["metadata"].get("deletionTimestamp"))


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
    await _all(stage.api.send("POST", PODS, pod(i, names[i % nodes], cpu)) for i in range(pods))
    # A cluster in which thousands of pods are just being started is another case, and not what is measured.
    await _until(lambda: len(stage.pods.seen["running"]), pods, "pods Running")
    _say(f"{pods} pods run; the operator catches up")
    await asyncio.sleep(QUIET_SECONDS)
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
    burst.late_pods = _late(stage.pods, set(names), deadline)
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


def _late(pods: Watch, nodes: set[str], deadline: float) -> int:
    """Pods of these nodes that were told less than their grace before the deadline, or not at all."""
    there = [one for one in list(pods.objects.values()) if one["spec"].get("nodeName") in nodes]
    return sum(1 for one in there if _told_at(one) > deadline - GRACE_SECONDS + SLACK_SECONDS)


def _told_at(one: Json) -> float:
    """The deletion timestamp is when the grace ends that the pod was given."""
    at = one["metadata"].get("deletionTimestamp")
    if at is None:
        return float("inf")
    return datetime.fromisoformat(at).timestamp() - float(one["metadata"].get("deletionGracePeriodSeconds") or 0)


async def _bare(api: Api, names: Sequence[str]) -> float:
    """Seconds that one patch of each Node takes, side by side."""
    began = time.monotonic()
    body = {"metadata": {"annotations": {"load.spotkube.io/touched": str(began)}}}
    await _all(api.send("PATCH", f"{NODES}/{name}", body, MERGE) for name in names)
    return time.monotonic() - began


async def _storm(stage: Stage, events: int) -> None:
    names = [one["metadata"]["name"] for one in list(stage.pods.objects.values()) if one["spec"].get("nodeName")]
    living = names[:1000]
    for turn in range(0, events, len(living) or 1):
        body = {"metadata": {"annotations": {"load.spotkube.io/turn": str(turn)}}}
        with contextlib.suppress(RuntimeError):  # some have left meanwhile
            await _all(stage.api.send("PATCH", f"{PODS}/{name}", body, MERGE) for name in living)
        _say(f"{turn} of {events} events")


def _interrupt(url: str, ids: Mapping[str, str]) -> dict[str, float]:
    """When the cloud was told to take each."""
    told = {}
    for name, id_ in ids.items():
        told[name] = time.monotonic()
        body = json.dumps({"notice_seconds": NOTICE_SECONDS}).encode()
        request = urllib.request.Request(f"{url}/v1/instances/{id_}/interrupt", body, method="POST")
        with urllib.request.urlopen(request, timeout=60):
            pass
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
