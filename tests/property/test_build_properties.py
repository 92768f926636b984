"""Whatever the cluster looks like, a plan can be carried out, tells of each pod once, and costs at least its bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import (
    ZONES,
    attracts,
    make_claim,
    make_daemonset,
    make_node,
    make_offering,
    make_pod,
    make_pool,
    make_rule,
    make_snapshot,
    node_of,
    repels,
    requirement,
    spread,
    taint,
)
from scheduler_check import complaints
from spotkube.model import labels as keys
from spotkube.model.cluster import ClaimPhase, Mode, Snapshot
from spotkube.model.offerings import Offering
from spotkube.model.pods import Pod, SpreadConstraint
from spotkube.model.selectors import Toleration
from spotkube.planner.decide import decide
from spotkube.planner.problem import Budget

WORK = Budget(seconds=None, column_rounds=6, generations=2)
TOPOLOGIES = (keys.HOSTNAME, keys.ZONE, keys.CAPACITY_TYPE, "team")
APPS = ("red", "green", "blue")
TEAM_TAINT = taint("team", "a")


@st.composite
def catalogs(draw: st.DrawFn) -> list[Offering]:
    """Up to three types, one of them with a GPU or of another architecture, in up to three zones, both ways."""
    offerings = []
    zones = ZONES[: draw(st.integers(1, 3))]
    for number, (cpu, memory, gpu, arch) in enumerate(
        draw(
            st.lists(
                st.sampled_from([("2", "4Gi", 0, "amd64"), ("4", "16Gi", 0, "arm64"), ("8", "16Gi", 1, "amd64")]),
                min_size=1,
                max_size=3,
                unique=True,
            )
        )
    ):
        for zone in zones:
            usd = draw(st.integers(2, 30)) / 100
            for spot in (False, True):
                percent = draw(st.sampled_from([5, 20]))
                offerings.append(
                    make_offering(
                        f"type-{number}",
                        usd / 3 if spot else usd,
                        cpu=cpu,
                        memory=memory,
                        gpu=gpu,
                        arch=arch,
                        zone=zone,
                        spot=spot,
                        percent=percent,
                        pods=draw(st.sampled_from([3, 10])) if number == 0 else 8,
                    )
                )
    return offerings


@st.composite
def spreads(draw: st.DrawFn, topology: str, app: str) -> SpreadConstraint:
    return spread(
        topology,
        draw(st.integers(1, 2)),
        min_domains=draw(st.integers(1, 2)),
        honor_affinity=draw(st.booleans()),
        honor_taints=draw(st.booleans()),
        app=app,
    )


@st.composite
def wishes(draw: st.DrawFn) -> dict[str, Any]:
    """What the pods of one template want; one in two has a rule of some kind."""
    app, other = draw(st.sampled_from(APPS)), draw(st.sampled_from(APPS))
    wants: dict[str, Any] = {
        "app": app,
        "cpu": draw(st.sampled_from(["0", "200m", "1", "1500m", "3"])),
        "memory": draw(st.sampled_from(["0", "100Mi", "2Gi", "7Gi"])),
    }
    topology = draw(st.sampled_from(TOPOLOGIES))
    match draw(st.integers(0, 14)):
        case 0:
            wants["spreads"] = [draw(spreads(topology, app))]
        case 1:
            wants["anti_affinity"] = [repels(topology, app=other)]
        case 2:
            wants["host_ports"] = [80]
        case 3:
            wants["node_selector"] = {keys.ARCH: "amd64"}
        case 4:
            wants["affinity"] = [(requirement(keys.ZONE, draw(st.sampled_from(["In", "NotIn"])), ZONES[0]),)]
        case 5:
            wants["affinity"] = [(requirement(keys.INSTANCE_CPU, draw(st.sampled_from(["Gt", "Lt"])), "4"),)]
        case 6:
            wants["gpu"] = 1
        case 7:
            wants["spreads"] = [
                draw(spreads(keys.ZONE, app)),
                draw(spreads(topology, draw(st.sampled_from([app, other])))),
            ]
        case 8:
            wants["pod_affinity"] = [attracts(topology, app=app)]
        case 9:
            wants["pod_affinity"] = [attracts(topology, app=other)]
        case 10:
            wants["pod_affinity"] = [attracts(topology, app=other)]
            wants["anti_affinity"] = [repels(keys.HOSTNAME, app=app)]
    if draw(st.booleans()):
        wants["tolerations"] = [Toleration("team", "Equal", "a")]
    return wants


@st.composite
def snapshots(draw: st.DrawFn, *, limits: bool = True) -> Snapshot:
    offerings = draw(catalogs())
    pods: list[Pod] = []
    rules = []
    for number, wants in enumerate(draw(st.lists(wishes(), min_size=1, max_size=4))):
        count, workload = draw(st.integers(1, 6)), draw(st.sampled_from(["", f"work-{number}"]))
        pods += [make_pod(f"p{number}-{n}", workload=workload, owner=f"Job/j{number}", **wants) for n in range(count)]
        if workload:
            spot_rule = draw(st.sampled_from([{}, {"base": 1}, {"base": 2}, {"fraction": 0.5}, {"fraction": 0.0}]))
            rules.append(make_rule(workload, count, **spot_rule))
    nodes, claims = [], []
    for number in range(draw(st.integers(0, 2))):
        fields = draw(st.sampled_from([{}, {"unschedulable": True}, {"ready": False}, {"taints": (TEAM_TAINT,)}]))
        nodes.append(make_node(f"theirs-{number}", zone=draw(st.sampled_from(ZONES)), **fields))
    for number in range(draw(st.integers(0, 2))):
        offering = draw(st.sampled_from(offerings))
        price = draw(st.sampled_from([offering.price_micro_usd_hour, offering.price_micro_usd_hour // 2 + 1]))
        claim = make_claim(f"ours-{number}", offering, node=f"ours-{number}", price_micro_usd_hour=price)
        if draw(st.booleans()):
            claim = replace(claim, phase=ClaimPhase.LAUNCHED, node=None)
        else:
            nodes.append(node_of(claim))
        claims.append(claim)
    residents = [
        make_pod(f"r{n}", node=draw(st.sampled_from(nodes)).name, app=draw(st.sampled_from(APPS)), cpu="300m")
        for n in range(draw(st.integers(0, 3)))
        if nodes
    ]
    pool: dict[str, Any] = {"allow_unmanaged_on_spot": draw(st.booleans())}
    pool["max_interruption_percent"] = draw(st.sampled_from([5, 100]))
    if limits:
        pool["limit_nodes"] = draw(st.sampled_from([None, 0, 2]))
        pool["limit_resources"] = draw(st.sampled_from([(), (("cpu", 9_000),)]))
    pools = [make_pool(**pool)]
    if draw(st.booleans()):
        pools.append(make_pool("tainted", weight=5, taints=(TEAM_TAINT,), labels=(("team", "a"),)))
    return make_snapshot(
        [*pods, *residents],
        offerings,
        pools=pools,
        nodes=nodes,
        claims=claims,
        workloads=rules,
        daemonsets=[make_daemonset()] if draw(st.booleans()) else [],
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(snapshots(limits=False))
def test_a_plan_can_be_carried_out(snapshot: Snapshot) -> None:
    plan = decide(snapshot, Mode.RECOMMEND, seed=3, budget=WORK)
    assert complaints(snapshot, plan) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(snapshots())
def test_a_plan_under_limits_can_be_carried_out(snapshot: Snapshot) -> None:
    plan = decide(snapshot, Mode.RECOMMEND, seed=3, budget=WORK)
    assert complaints(snapshot, plan) == []
