"""Builders of what the demo sees."""

from __future__ import annotations

from typing import Any

from demo.scene import Scene, to_scene

Json = dict[str, Any]
READY = [{"type": "Ready", "status": "True"}]


def pod(name: str, node: str = "", phase: str = "Running", *, ending: bool = False, **labels: str) -> Json:
    metadata: Json = {"namespace": "shop", "name": name, "labels": labels}
    if ending:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    conditions = READY if phase == "Running" else []
    spec = {"nodeName": node} if node else {}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase, "conditions": conditions}}


def daemon(node: str) -> Json:
    made = pod(f"agent-{node}", node)
    made["metadata"]["ownerReferences"] = [{"kind": "DaemonSet"}]
    return made


def node(name: str, *, cordoned: bool = False) -> Json:
    return {"metadata": {"name": name}, "spec": {"unschedulable": cordoned}, "status": {"conditions": READY}}


def claim(name: str, capacity: str = "spot", phase: str = "Ready", price: float = 0.1, **status: Any) -> Json:
    return {
        "metadata": {"name": name},
        "spec": {
            "nodePool": "general", "instanceType": "m7g.large", "zone": "us-east-1a", "capacityType": capacity,
            "arch": "arm64", "priceUSDPerHour": price, "allocatable": {"cpu": "2"},
        },
        "status": {"phase": phase, "nodeName": name, **status},
    }  # fmt: skip


def budget(**labels: str) -> Json:
    return {"metadata": {"namespace": "shop", "name": "budget"}, "spec": {"selector": {"matchLabels": labels}}}


def plan(name: str, created: str = "2026-01-01T00:00:00Z", **status: Any) -> Json:
    return {
        "metadata": {"name": name, "creationTimestamp": created},
        "spec": {"mode": "Apply", "seed": 0},
        "status": status,
    }


def addition(claim_name: str, pods: int = 1, price: float = 0.1, capacity: str = "spot", reason: str = "") -> Json:
    return {
        "nodePool": "general", "instanceType": "m7g.large", "zone": "us-east-1a", "capacityType": capacity,
        "priceUSDPerHour": price, "pods": pods, "claim": claim_name, "reason": reason,
    }  # fmt: skip


def service(name: str, spot: Json | None = None, **status: Any) -> Json:
    template = {"spec": {"containers": [{"name": "main"}]}}
    spec = {"deployment": {"replicas": 4, "template": template}, "spot": spot or {}}
    return {"metadata": {"namespace": "shop", "name": name}, "spec": spec, "status": status}


def job(name: str, **status: Any) -> Json:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main"}]}}
    return {"metadata": {"namespace": "shop", "name": name}, "spec": {"job": {"template": template}}, "status": status}


def scene(
    *,
    pods: tuple[Json, ...] = (),
    nodes: tuple[Json, ...] = (),
    claims: tuple[Json, ...] = (),
    plans: tuple[Json, ...] = (),
    workloads: tuple[Json, ...] = (),
    budgets: tuple[Json, ...] = (),
) -> Scene:
    return to_scene(0.0, pods, nodes, claims, plans, workloads, budgets)
