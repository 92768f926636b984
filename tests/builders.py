"""Builders of what the planner reads, with defaults that leave a test to say only what it is about."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from spotkube.model import labels as keys
from spotkube.model.cluster import Claim, ClaimPhase, Node, Pool, Snapshot, WorkloadRule
from spotkube.model.offerings import ON_DEMAND, SPOT, Offering, OfferingKey
from spotkube.model.pods import DaemonSet, HostPort, Pod, PodShape, PodTerm, SpotRule, SpreadConstraint
from spotkube.model.resources import MEMORY, PODS, ResourceList
from spotkube.model.selectors import LabelSelector, Operator, Requirement, Taint, TaintEffect, Term, Toleration

GPU = "nvidia.com/gpu"
ZONES = ("zone-a", "zone-b", "zone-c")
_numbers = itertools.count(1)


def amounts(cpu: str | float = "1", memory: str = "1Gi", *, pods: int = 1, gpu: int = 0) -> ResourceList:
    return ResourceList.from_quantities({"cpu": cpu, MEMORY: memory, PODS: pods, GPU: gpu})


def requirement(key: str, operator: str, *values: str) -> Requirement:
    return Requirement(key, Operator(operator), values)


def selector(**labels: str) -> LabelSelector:
    return LabelSelector(tuple(requirement(key, "In", value) for key, value in sorted(labels.items())))


def spread(
    topology: str = keys.ZONE,
    skew: int = 1,
    *,
    min_domains: int = 1,
    honor_affinity: bool = True,
    honor_taints: bool = False,
    **labels: str,
) -> SpreadConstraint:
    return SpreadConstraint(skew, topology, selector(**labels), min_domains, honor_affinity, honor_taints)


def repels(topology: str = keys.HOSTNAME, *, namespace: str = "default", **labels: str) -> PodTerm:
    return PodTerm(topology, selector(**labels), frozenset({namespace}))


# A term of pod affinity is written as one of anti-affinity.
attracts = repels


def make_shape(
    cpu: str | float = "1",
    memory: str = "1Gi",
    *,
    gpu: int = 0,
    namespace: str = "default",
    node_selector: Mapping[str, str] | None = None,
    affinity: Iterable[Term] = (),
    tolerations: Iterable[Toleration] = (),
    spreads: Iterable[SpreadConstraint] = (),
    pod_affinity: Iterable[PodTerm] = (),
    anti_affinity: Iterable[PodTerm] = (),
    host_ports: Iterable[int | HostPort] = (),
    unsupported: Iterable[str] = (),
) -> PodShape:
    return PodShape(
        namespace=namespace,
        requests=amounts(cpu, memory, gpu=gpu),
        node_selector=tuple(sorted((node_selector or {}).items())),
        affinity_terms=tuple(affinity),
        tolerations=tuple(tolerations),
        spread=tuple(spreads),
        affinity=tuple(pod_affinity),
        anti_affinity=tuple(anti_affinity),
        host_ports=tuple(HostPort(port) if isinstance(port, int) else port for port in host_ports),
        unsupported=tuple(unsupported),
    )


def make_pod(
    name: str = "",
    *,
    app: str = "",
    workload: str = "",
    node: str | None = None,
    unschedulable: bool = True,
    owner: str = "ReplicaSet/some",
    shape: PodShape | None = None,
    daemon: bool = False,
    deleting: bool = False,
    nominated: str | None = None,
    gates: tuple[str, ...] = (),
    **wants: Any,
) -> Pod:
    """A pod that waits for a node, or runs on `node`. `wants` are those of make_shape."""
    name = name or f"pod-{next(_numbers):05}"
    shape = shape or make_shape(**wants)
    return Pod(
        uid=f"uid-{name}",
        namespace=shape.namespace,
        name=name,
        labels=(("app", app),) if app else (),
        shape=shape,
        owner=owner,
        workload=f"default/{workload}" if workload else None,
        node=node,
        nominated=nominated,
        gates=gates,
        unschedulable=unschedulable and node is None,
        daemon=daemon,
        deleting=deleting,
    )


def make_pods(count: int, **wants: Any) -> list[Pod]:
    return [make_pod(**wants) for _ in range(count)]


def make_offering(
    instance_type: str = "m.large",
    usd: float = 0.1,
    *,
    cpu: str = "2",
    memory: str = "8Gi",
    pods: int = 20,
    gpu: int = 0,
    zone: str = ZONES[0],
    spot: bool = False,
    percent: int = 5,
    arch: str = "amd64",
) -> Offering:
    capacity_type = SPOT if spot else ON_DEMAND
    labels = {
        keys.INSTANCE_TYPE: instance_type,
        keys.ZONE: zone,
        keys.CAPACITY_TYPE: capacity_type,
        keys.ARCH: arch,
        keys.OS: "linux",
        keys.INSTANCE_CPU: cpu,
    }
    room = amounts(cpu, memory, pods=pods, gpu=gpu)
    return Offering(
        instance_type=instance_type,
        zone=zone,
        capacity_type=capacity_type,
        price_micro_usd_hour=round(usd * 1_000_000),
        arch=arch,
        capacity=room,
        allocatable=room,
        labels=tuple(sorted(labels.items())),
        interruption_percent=percent if spot else 0,
    )


def both_ways(
    instance_type: str = "m.large", usd: float = 0.1, *, zones: Iterable[str] = ZONES[:1], **what: Any
) -> list[Offering]:
    """On demand at `usd` and as spot at a third of it, in each zone."""
    return [
        make_offering(instance_type, usd / 3 if spot else usd, zone=zone, spot=spot, **what)
        for zone in zones
        for spot in (False, True)
    ]


def make_pool(name: str = "pool", **fields: Any) -> Pool:
    return Pool(name=name, **fields)


def make_node(
    name: str,
    cpu: str = "4",
    memory: str = "16Gi",
    *,
    pods: int = 20,
    zone: str = ZONES[0],
    labels: Mapping[str, str] | None = None,
    **fields: Any,
) -> Node:
    own = {keys.HOSTNAME: name, keys.ZONE: zone, keys.ARCH: "amd64", keys.OS: "linux"}
    return Node(
        name=name,
        labels=tuple(sorted({**own, **(labels or {})}.items())),
        taints=fields.pop("taints", ()),
        allocatable=amounts(cpu, memory, pods=pods),
        ready=fields.pop("ready", True),
        **fields,
    )


def make_claim(name: str, offering: Offering, *, pool: str = "pool", **fields: Any) -> Claim:
    return Claim(
        name=name,
        uid=f"uid-{name}",
        pool=pool,
        offering=OfferingKey(offering.instance_type, offering.zone, offering.capacity_type),
        price_micro_usd_hour=fields.pop("price_micro_usd_hour", offering.price_micro_usd_hour),
        allocatable=offering.allocatable,
        labels=tuple(sorted({**dict(offering.labels), keys.NODEPOOL: pool, keys.NODECLAIM: name}.items())),
        taints=fields.pop("taints", ()),
        phase=fields.pop("phase", ClaimPhase.READY),
        **fields,
    )


def node_of(claim: Claim, **fields: Any) -> Node:
    """The Node of a claim, ready."""
    return Node(
        name=claim.name,
        labels=tuple(sorted({**dict(claim.labels), keys.HOSTNAME: claim.name}.items())),
        taints=claim.taints,
        allocatable=claim.allocatable,
        ready=fields.pop("ready", True),
        claim=claim.name,
        **fields,
    )


def make_daemonset(name: str = "agent", cpu: str = "100m", memory: str = "128Mi", **wants: Any) -> DaemonSet:
    return DaemonSet(f"default/{name}", make_shape(cpu, memory, **wants))


def make_rule(workload: str, replicas: int, *, base: int = 0, fraction: float = 1.0) -> WorkloadRule:
    return WorkloadRule(f"default/{workload}", SpotRule(base, fraction), replicas)


def taint(key: str, value: str = "", effect: str = "NoSchedule") -> Taint:
    return Taint(key, TaintEffect(effect), value)


def make_snapshot(pods: Iterable[Pod] = (), offerings: Iterable[Offering] = (), **fields: Any) -> Snapshot:
    """A cluster with one pool unless told otherwise."""
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    pools = given.pop("pools", (make_pool(),))
    return Snapshot(0.0, pods=tuple(pods), offerings=tuple(offerings), pools=pools, **given)
