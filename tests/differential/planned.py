"""The product's part: a scenario's plan, by the code that `spotkube plan` runs, and what it means on a cluster."""

from __future__ import annotations

from dataclasses import dataclass

from differential.scenario import Json, Scenario, key_of
from spotkube.convert.documents import Mistakes
from spotkube.convert.manifests import Manifests, to_snapshot
from spotkube.model import labels as keys
from spotkube.model.cluster import Mode, Pool
from spotkube.model.offerings import Offering
from spotkube.model.volumes import ATTACHABLE
from spotkube.planner.decide import decide
from spotkube.planner.formulation.kinds import node_labels
from spotkube.planner.problem import Budget

WORK = Budget(seconds=None, column_rounds=4, generations=1)


@dataclass(frozen=True)
class Outcome:
    """A plan in the words of Kubernetes. Nodes to buy are called new-0, new-1 ...; pods are "namespace/name"."""

    bought: dict[str, tuple[str, Offering]]
    placed: dict[str, str]
    impossible: list[tuple[tuple[str, ...], str]]
    waiting: list[str]


def read(scenario: Scenario) -> Manifests:
    """Raises ManifestError."""
    mistakes = Mistakes()
    manifests = to_snapshot(scenario.documents(), scenario.catalog(), mistakes)
    mistakes.raise_if_any()
    return manifests


def planned(scenario: Scenario) -> Outcome:
    """Plans the scenario with a fixed, small amount of work."""
    manifests = read(scenario)
    plan = decide(manifests.snapshot, Mode.RECOMMEND, seed=1, budget=WORK)
    names = manifests.pod_names
    bought = {f"new-{n}": (node.pool, node.offering) for n, node in enumerate(plan.additions)}
    placed = {names[uid]: f"new-{n}" for n, node in enumerate(plan.additions) for uid in node.pods}
    placed |= {names[one.pod]: one.target for one in plan.placements}
    impossible = [(tuple(names[uid] for uid in one.pods), one.reason) for one in plan.unplaceable]
    known = {*placed, *(pod for pods, _ in impossible for pod in pods)}
    waiting = [key_of(pod) for pod in scenario.of_kind("Pod") if "nodeName" not in pod["spec"]]
    return Outcome(bought, placed, impossible, [pod for pod in waiting if pod not in known])


def node_manifest(name: str, pool: Pool, offering: Offering) -> Json:
    """The Node that would come of buying the offering: see controllers/plans.py and the kubelet's hostname label."""
    labels = {**dict(node_labels(pool, offering)), keys.NODECLAIM: name, keys.HOSTNAME: name}
    taints = [{"key": taint.key, "value": taint.value, "effect": taint.effect.value} for taint in pool.taints]
    amounts = offering.allocatable.to_quantities()
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints},
        "status": {"allocatable": amounts, "capacity": amounts},
    }


def csi_node_of(name: str, offering: Offering) -> Json | None:
    """The CSINode by which drivers say how many volumes the node takes; None where the catalog names no such limit."""
    drivers = [
        {
            "name": resource.removeprefix(ATTACHABLE),
            "nodeID": name,
            "topologyKeys": [keys.ZONE],
            "allocatable": {"count": count},
        }
        for resource, count in offering.allocatable.items()
        if resource.startswith(ATTACHABLE)
    ]
    made = {"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": name}}
    return {**made, "spec": {"drivers": drivers}} if drivers else None
