"""What is demanded of a plan. An empty list of complaints means that kube-scheduler carries it out as it is written."""

from __future__ import annotations

import random
from collections.abc import Iterator

from differential.judge import Judge
from differential.planned import Outcome, csi_node_of, node_manifest, planned, read
from differential.rules import Ledger, may_buy
from differential.scenario import Json, Scenario, key_of
from differential.wishes import broken_wishes
from spotkube.model import labels as keys
from spotkube.model.cluster import Pool
from spotkube.model.offerings import Offering

# Kinds that only we know.
OURS = ("NodePool", "Workload")


def complaints(scenario: Scenario, judge: Judge, *, seen: Scenario | None = None, orders: int = 3) -> list[str]:
    """Plans what the planner has `seen` (the scenario itself unless told otherwise) and judges it as the scenario.

    Every planned pod must be bound, in the order of the plan and in as many random orders as asked for; every pod that
    is called impossible must be refused everywhere; and the rules of pools and Workloads must hold.
    """
    broken, refused_wrongly = _complaints(scenario, planned(seen or scenario), judge, orders)
    return broken + refused_wrongly


def broken_promises(scenario: Scenario, judge: Judge, *, orders: int = 3) -> list[str]:
    """The complaints about what the plan says that it does; not those about pods that it calls impossible."""
    return _complaints(scenario, planned(scenario), judge, orders)[0]


def _complaints(scenario: Scenario, outcome: Outcome, judge: Judge, orders: int) -> tuple[list[str], list[str]]:
    """About pods that are planned, and about pods that are called impossible."""
    pods = {key_of(pod): pod for pod in scenario.of_kind("Pod")}
    rows = {to_key(row): row for row in scenario.offerings}
    standing = {name: pod["spec"]["nodeName"] for name, pod in pods.items() if "nodeName" in pod["spec"]}
    ledger = Ledger(
        scenario,
        {name: (pool, rows[tuple(offering.key)]) for name, (pool, offering) in outcome.bought.items()},
        {**standing, **outcome.placed},
    )
    broken = [*ledger.broken(), *broken_wishes(ledger)]
    broken += [f"{name}: is neither planned nor called impossible" for name in outcome.waiting if not gated(pods[name])]
    fresh = {f"fresh-{n}": kind for n, kind in enumerate(purchasable(scenario))}
    answer = judge.ask(question(scenario, outcome, fresh, orders))
    for number, refused in enumerate(answer["refused"]):
        broken += [f"{name} on {outcome.placed[name]}, order {number}: {why}" for name, why in refused.items()]
    reasons = {names[0]: why for names, why in outcome.impossible}
    refused_wrongly: list[str] = []
    for name, nodes in answer["impossible"].items():
        refused_wrongly += _accepted(name, pods[name], reasons[name], nodes, fresh, ledger)
    return broken, refused_wrongly


def _accepted(
    name: str, pod: Json, reason: str, nodes: dict[str, str], fresh: dict[str, tuple[str, Json]], ledger: Ledger
) -> Iterator[str]:
    """Nodes that take a pod of which the plan says that nothing can hold it."""
    closed = {node["metadata"]["name"] for node in ledger.scenario.of_kind("Node") if is_closed(node)}
    takers = [fresh[node] for node, refusal in nodes.items() if not refusal and node in fresh]
    for node, refusal in sorted(nodes.items()):
        if not refusal and node not in closed and not ledger.excuses(pod, node, fresh.get(node), takers):
            yield f"{name} is called impossible ({reason}), and {node} takes it: {fresh.get(node, '')}"
            return


def question(scenario: Scenario, outcome: Outcome, fresh: dict[str, tuple[str, Json]], orders: int) -> Json:
    """The scenario after the plan, as the judge reads it."""
    pools = {pool.name: pool for pool in read(scenario).snapshot.pools}
    offerings = {tuple(offering.key): offering for offering in scenario.catalog()}
    # The planner may have misread the catalog: what comes is what is sold.
    bought = {name: (pools[pool], offerings[tuple(one.key)]) for name, (pool, one) in outcome.bought.items()}
    objects = [one for one in scenario.objects if one["kind"] not in OURS]
    objects += [node_manifest(name, pool, offering) for name, (pool, offering) in bought.items()]
    objects += [one for name, (_, offering) in bought.items() if (one := csi_node_of(name, offering))]
    placed = by_priority(scenario, outcome.placed)
    rng = random.Random(0)
    return {
        "objects": objects,
        "planned": [{"pod": pod, "node": node} for pod, node in placed],
        "orders": [rng.sample(range(len(placed)), len(placed)) for _ in range(orders)],
        "impossible": [names[0] for names, _ in outcome.impossible],
        "fresh": [_fresh(name, pools[pool], offerings[to_key(row)]) for name, (pool, row) in fresh.items()],
    }


def _fresh(name: str, pool: Pool, offering: Offering) -> Json:
    csi_node = csi_node_of(name, offering)
    return {"node": node_manifest(name, pool, offering), **({"csiNode": csi_node} if csi_node else {})}


def by_priority(scenario: Scenario, placed: dict[str, str]) -> list[tuple[str, str]]:
    """The order in which kube-scheduler's queue would give them out."""
    priority = {key_of(pod): pod["spec"].get("priority", 0) for pod in scenario.of_kind("Pod")}
    return sorted(placed.items(), key=lambda item: -priority[item[0]])


def purchasable(scenario: Scenario) -> Iterator[tuple[str, Json]]:
    """Every kind of node that could be bought: pool and row of the catalog."""
    for pool in scenario.of_kind("NodePool"):
        yield from ((pool["metadata"]["name"], row) for row in scenario.offerings if may_buy(pool, row))


def to_key(row: Json) -> tuple[str, ...]:
    return row["type"], row["zone"], row["capacityType"]


def gated(pod: Json) -> bool:
    """Whether somebody else holds the pod back."""
    return any(gate["name"] != keys.PLACEMENT_GATE for gate in pod["spec"].get("schedulingGates", []))


def is_closed(node: Json) -> bool:
    """Cordoned or not ready: nothing is planned onto it, whatever a pod tolerates."""
    conditions = node["status"].get("conditions", [])
    return bool(node["spec"].get("unschedulable")) or any(
        one["type"] == "Ready" and one["status"] != "True" for one in conditions
    )
