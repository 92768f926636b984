"""What no scheduler refuses, and a plan has to keep all the same: priority, the largest share in one spot pool, what
each node costs, preferences.

Checked plainly on manifests, and only where it is plain what is right: on pods that no other rule speaks of.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from differential.rules import WORKLOAD, Ledger, may_buy
from differential.scenario import Json, Scenario, key_of
from spotkube.model.quantities import parse_quantity

PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
ZONE = "topology.kubernetes.io/zone"


def broken_wishes(ledger: Ledger) -> Iterator[str]:
    plain = {key_of(pod): pod for pod in ledger.scenario.of_kind("Pod") if _is_plain(pod, ledger.scenario)}
    yield from _outranked(ledger, plain)
    for workload in ledger.scenario.of_kind("Workload"):
        for place in ledger.bought_spot_pools():
            over = -ledger.share_left(workload, place)
            if over > 0:
                yield f"Workload {workload['metadata']['name']} has {over} pods too many on spot in {'/'.join(place)}"
    uniform = _uniform(ledger, plain)
    yield from _wasteful(ledger, uniform)
    yield from _displeased(ledger, uniform)


def _uniform(ledger: Ledger, plain: dict[str, Json]) -> dict[str, list[Json]]:
    """The nodes that are bought for plain pods which ask for just the same, and these pods."""
    held: dict[str, list[str]] = {node: [] for node in ledger.bought}
    for name, node in ledger.standing.items():
        if node in held:
            held[node].append(name)
    found = {
        node: [plain[name] for name in names] for node, names in held.items() if names and plain.keys() >= {*names}
    }
    return {node: pods for node, pods in found.items() if all(_asks(pod) == _asks(pods[0]) for pod in pods)}


def _outranked(ledger: Ledger, plain: dict[str, Json]) -> Iterator[str]:
    """Pods that are left out while others of a lower priority are planned, which ask for just the same."""
    left = [name for name in plain if name not in ledger.standing]
    planned = [name for name, pod in plain.items() if name in ledger.standing and "nodeName" not in pod["spec"]]
    for name in left:
        for other in planned:
            if _priority(plain[other]) < _priority(plain[name]) and _asks(plain[name]) == _asks(plain[other]):
                yield f"{name} is left out and {other}, of a lower priority, is planned"


def _wasteful(ledger: Ledger, uniform: dict[str, list[Json]]) -> Iterator[str]:
    """Where each node costs something besides: like pods on more or dearer nodes than they need of some one kind."""
    for pool in ledger.scenario.of_kind("NodePool"):
        per_node = Decimal(str(pool["spec"].get("perNodeCost", 0))) * 1_000_000
        nodes = [node for node in uniform if ledger.bought[node][0] == pool["metadata"]["name"]]
        if not per_node or not nodes or "limits" in pool["spec"]:
            continue
        pods = [pod for node in nodes for pod in uniform[node] if _asks(pod) == _asks(uniform[nodes[0]][0])]
        nodes = [node for node in nodes if uniform[node][0] in pods]
        cost = sum(ledger.bought[node][1]["price"] + per_node for node in nodes)
        for row in _open_to(ledger, pods[0], pool):
            least = -(-len(pods) // _holds(row, pods[0])) * (row["price"] + per_node)
            if least < cost:
                yield f"pool {pool['metadata']['name']} costs {cost} for {len(pods)} pods that {row} holds for {least}"
                break


def _displeased(ledger: Ledger, uniform: dict[str, list[Json]]) -> Iterator[str]:
    """Nodes of like pods in a zone that these do not prefer, though the same is for sale where they do, for less more
    than the preference counts: a twentieth of what their room costs where it is cheapest (here: a twenty-fifth)."""
    for node, pods in uniform.items():
        name, row = ledger.bought[node]
        pool, zones = ledger.pool(name), _preferred(pods[0])
        if not zones or row["zone"] in zones or "limits" in pool["spec"]:
            continue
        sold = _open_to(ledger, pods[0], pool)
        room = min(one["price"] / _holds(one, pods[0]) for one in sold)
        for other in sold:
            same = (other["type"], other["capacityType"]) == (row["type"], row["capacityType"])
            if same and other["zone"] in zones and other["price"] - row["price"] < len(pods) * room / 25:
                yield f"{node} is in {row['zone']}, its pods prefer {zones}, and {other} is hardly dearer"
                break


def _open_to(ledger: Ledger, pod: Json, pool: Json) -> list[Json]:
    """What the pool may buy that holds the pod, which is plain."""
    labels = pool["spec"]["template"].get("metadata", {}).get("labels", {}).items()
    if not pod["spec"].get("nodeSelector", {}).items() <= labels:
        return []
    free = WORKLOAD not in pod["metadata"].get("labels", {}) and pool["spec"].get("spot", {}).get("allowUnmanagedPods")
    sold = [row for row in ledger.scenario.offerings if row["capacityType"] != "spot" or free]
    return [row for row in sold if may_buy(pool, row) and _holds(row, pod)]


def _is_plain(pod: Json, scenario: Scenario) -> bool:
    """Whether nothing but its size, node selector, preferences and priority says where the pod may be."""
    spec = pod["spec"]
    if set(spec) - {"containers", "nodeSelector", "priority", "affinity", "nodeName"}:
        return False
    if set(spec.get("affinity", {})) - {"nodeAffinity"} or set(_node_affinity(pod)) - {PREFERRED}:
        return False
    if "ports" in spec["containers"][0] or scenario.of_kind("DaemonSet"):
        return False
    labels = pod["metadata"].get("labels", {}).items()
    return not any(selector.get("matchLabels", {}).items() <= labels for selector in _selectors(scenario.objects))


def _selectors(value: Any) -> Iterator[Json]:
    """Every label selector of a rule between pods."""
    if isinstance(value, dict):
        if "topologyKey" in value:
            yield value.get("labelSelector", {})
        for inner in value.values():
            yield from _selectors(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _selectors(inner)


def _asks(pod: Json) -> Json:
    spec = {key: value for key, value in pod["spec"].items() if key != "priority"}
    return {**spec, "workload": pod["metadata"].get("labels", {}).get(WORKLOAD)}


def _priority(pod: Json) -> int:
    return int(pod["spec"].get("priority", 0))


def _node_affinity(pod: Json) -> Json:
    found: Json = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    return found


def _preferred(pod: Json) -> list[str]:
    """The zones of its only preference; none where it has others."""
    terms = _node_affinity(pod).get(PREFERRED, [])
    expressions = [one for term in terms for one in term["preference"].get("matchExpressions", [])]
    if len(expressions) != 1 or expressions[0]["key"] != ZONE or expressions[0]["operator"] != "In":
        return []
    zones: list[str] = expressions[0]["values"]
    return zones


def _holds(row: Json, pod: Json) -> int:
    """How many such pods a node of the row holds."""
    asked = {**pod["spec"]["containers"][0].get("resources", {}).get("requests", {}), "pods": 1}
    there = row["allocatable"]
    return min(int(parse_quantity(str(there.get(name, 0))) // parse_quantity(str(a))) for name, a in asked.items())
