"""Workloads, pods and nodes in one line each."""

from __future__ import annotations

import copy
from typing import Any

from spotkube.api.workload import Workload
from spotkube.controllers.workloads import NodeFacts
from spotkube.controllers.workloads.budgets import desired_budget
from spotkube.controllers.workloads.children import desired_child
from spotkube.convert.workloads import Budget, Source, to_budget, to_source
from spotkube.model.labels import WORKLOAD
from spotkube.model.pods import Pod, PodPhase, PodShape
from spotkube.model.resources import ResourceList

Object = dict[str, Any]
NOW = 1_800_000_000.0
GI = 2**30


def make_template(restart_policy: str | None = None, **spec: Any) -> Object:
    pod_spec = {"containers": [{"name": "main", "image": "registry.k8s.io/pause:3.10"}], **spec}
    if restart_policy is not None:
        pod_spec["restartPolicy"] = restart_policy
    return {"spec": pod_spec}


def make_workload(
    name: str = "web", *, generation: int = 1, status: Object | None = None, uid: str | None = None, **spec: Any
) -> Workload:
    """A Deployment of two pods unless `spec` says what else runs."""
    if not {"job", "roles", "deployment", "statefulSet", "targetRef"} & spec.keys():
        spec["deployment"] = {"replicas": 2, "template": make_template()}
    metadata = {"name": name, "namespace": "shop", "uid": uid or f"uid-{name}", "generation": generation}
    return Workload.from_dict({"metadata": metadata, "spec": spec, "status": status or {}})


def make_job(name: str = "crunch", *, restart_policy: str = "Never", **kwargs: Any) -> Workload:
    """A job of four pods, two at a time."""
    job = {"completions": 4, "parallelism": 2, "template": make_template(restart_policy), **kwargs.pop("job", {})}
    return make_workload(name, job=job, **kwargs)


def make_roles(name: str = "train", **kwargs: Any) -> Workload:
    """A leader, and two workers of four pods in all."""
    template = make_template("Never")
    workers = {"completions": 4, "parallelism": 2, "template": template}
    roles = [{"name": "leader", "job": {"template": template}}, {"name": "workers", "job": workers}]
    return make_workload(name, **{"roles": roles, **kwargs})


def make_target_ref(name: str = "api", kind: str = "Deployment") -> Object:
    return {"apiVersion": "batch/v1" if kind == "Job" else "apps/v1", "kind": kind, "name": name}


def make_source(workload: Workload, *, status: Object | None = None, uid: str = "", **spec: Any) -> Source:
    """The Workload's child as the cache would have it; `spec` replaces fields of it."""
    child = desired_child(workload)
    assert child is not None
    raw = copy.deepcopy(child)
    raw["metadata"]["uid"] = uid or f"child-of-{workload.metadata.uid}"
    raw["spec"] |= spec
    return to_source(raw | {"status": status or {}})


def make_target(name: str = "api", replicas: int = 3, kind: str = "Deployment", **spec: Any) -> Source:
    """What a targetRef may name: an object that nobody controls."""
    number = {"parallelism": replicas} if kind == "Job" else {"replicas": replicas}
    raw = {
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-of-{name}"},
        "spec": {**number, "selector": {"matchLabels": {"app": name}}, **spec},
    }
    return to_source(raw)


def make_budget(workload: Workload) -> Budget:
    budget = desired_budget(workload)
    assert budget is not None
    return to_budget({**budget, "metadata": {**budget["metadata"], "uid": f"pdb-of-{workload.name}"}})


def make_pod(
    name: str = "web-1",
    workload: str | None = "web",
    *,
    node: str | None = None,
    ready: bool = False,
    requests: Object | None = None,
    **fields: Any,
) -> Pod:
    return Pod(
        uid=f"uid-{name}",
        namespace="shop",
        name=name,
        labels=((WORKLOAD, workload),) if workload else (),
        shape=PodShape("shop", ResourceList({"cpu": 1000, "memory": GI, "pods": 1, **(requests or {})})),
        workload=f"shop/{workload}" if workload else None,
        node=node,
        ready=ready,
        phase=PodPhase.RUNNING if ready else PodPhase.PENDING,
        **fields,
    )


def make_node(*, usd_per_hour: float = 0.1, spot: bool = False, cpu: int = 4000, memory: int = 16 * GI) -> NodeFacts:
    return NodeFacts(ResourceList({"cpu": cpu, "memory": memory, "pods": 29}), round(usd_per_hour * 1e6), spot)
