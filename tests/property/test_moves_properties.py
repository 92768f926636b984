"""What is given back on tiny clusters: no set of nodes would have been better, and no rule is broken."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, combinations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import make_offering, make_pod, make_pool, make_rule, repels, selector, spread
from moves_support import after, fleet
from scheduler_check import complaints
from spotkube.model.cluster import DisruptionBudget, Mode, Snapshot
from spotkube.model.plan import Plan
from spotkube.model.pods import Pod
from spotkube.planner.consolidation.candidates import candidates, with_leaving
from spotkube.planner.consolidation.consolidate import consolidate
from spotkube.planner.consolidation.options import LEAST_SAVED
from spotkube.planner.decide import decide
from spotkube.planner.problem import Budget

WORK = Budget(seconds=None, column_rounds=20, generations=5)


@st.composite
def clusters(draw: st.DrawFn) -> Snapshot:
    """Up to four nodes with up to six pods in all, of up to three types, in two zones, both ways."""
    offerings = [
        make_offering(name, usd / (3 if spot else 1), cpu=cpu, memory="16Gi", zone=zone, spot=spot)
        for name, cpu in (("small", "1"), ("middle", "2"), ("large", "4"))
        for usd in (draw(st.integers(4, 30)) / 100,)
        for zone in ("zone-a", "zone-b")[: draw(st.integers(1, 2))]
        for spot in (False, True)
    ]
    nodes, left = [], 6
    for _ in range(draw(st.integers(1, 4))):
        offering = draw(st.sampled_from(offerings))
        pods = draw(st.lists(pods_on(), max_size=min(2, left)))
        room = offering.allocatable["cpu"]
        there = []
        for pod in pods:
            alone = any(other.labels == pod.labels and has_rule(other, pod) for other in there)
            if pod.shape.requests["cpu"] <= room and not alone:
                room -= pod.shape.requests["cpu"]
                there.append(pod)
        left -= len(there)
        nodes.append((offering, there))
    pool = make_pool(
        payback_seconds=draw(st.sampled_from([300.0, 3600.0, 36_000.0])),
        limit_nodes=draw(st.sampled_from([None, 4, 5])),
        allow_unmanaged_on_spot=draw(st.booleans()),
    )
    replicas = sum(pod.workload is not None for _, pods in nodes for pod in pods)
    rule = make_rule("w", replicas, base=draw(st.integers(0, 2)))
    rule = replace(rule, restart_seconds=draw(st.sampled_from([300.0, 3600.0])))
    budgets = [DisruptionBudget("default", "b", selector(app="red"), draw(st.integers(0, 1)))]
    return fleet(nodes, offerings, pools=[pool], workloads=[rule], budgets=budgets)


@st.composite
def pods_on(draw: st.DrawFn) -> Pod:
    app = draw(st.sampled_from(["red", "green", "blue"]))
    rules = draw(
        st.sampled_from([{}, {}, {"anti_affinity": [repels(app=app)]}, {"spreads": [spread(app=app, skew=2)]}])
    )
    pod = make_pod(
        app=app,
        cpu=draw(st.sampled_from(["250m", "500m", "1"])),
        workload=draw(st.sampled_from(["", "w"])),
        owner=draw(st.sampled_from(["ReplicaSet/some", "ReplicaSet/some", "ReplicaSet/some", ""])),
        **rules,
    )
    return replace(pod, do_not_disrupt=draw(st.sampled_from([False, False, False, True])))


def has_rule(*pods: Pod) -> bool:
    return any(pod.shape.anti_affinity for pod in pods)


def total(plan: Plan, moves: int, hours: float) -> float:
    return plan.cost_after_micro_usd_hour * hours + moves


def best_by_hand(snapshot: Snapshot) -> float:
    """The least total over every set of nodes that may go, each planned by `decide`, and that is worth it."""
    (pool,) = snapshot.pools
    hours = pool.payback_seconds / 3600
    found = candidates(snapshot, snapshot.pools)
    totals, before = [], None
    for gone in chain.from_iterable(combinations(found, n) for n in range(len(found) + 1)):
        plan = decide(with_leaving(snapshot, {one.name for one in gone}), Mode.RECOMMEND, seed=1, budget=WORK)
        before = plan.cost_after_micro_usd_hour if before is None else before
        moves = sum(one.moves_micro_usd for one in gone)
        least = LEAST_SAVED * before if moves else 0
        if not plan.unplaceable and (not gone or before - plan.cost_after_micro_usd_hour >= least):
            totals.append(total(plan, moves, hours))
    return min(totals)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(clusters(), st.integers(0, 3))
def test_no_set_of_nodes_would_have_been_better(snapshot: Snapshot, seed: int) -> None:
    plan = consolidate(snapshot, Mode.RECOMMEND, seed=seed, budget=WORK)
    hours = snapshot.pools[0].payback_seconds / 3600
    assert total(plan, plan.moves_micro_usd, hours) <= best_by_hand(snapshot) + 1
    assert plan.payback_seconds <= snapshot.pools[0].payback_seconds
    assert plan.lower_bound_micro_usd_hour <= plan.cost_after_micro_usd_hour <= plan.cost_now_micro_usd_hour
    assert plan.drains or not plan.additions


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(clusters(), st.integers(0, 3))
def test_no_rule_is_broken_and_nobody_is_moved_who_must_stay(snapshot: Snapshot, seed: int) -> None:
    plan = consolidate(snapshot, Mode.RECOMMEND, seed=seed, budget=WORK)
    gone = {drain.claim for drain in plan.drains}
    assert complaints(with_leaving(snapshot, gone), plan) == []
    assert plan.unplaceable == ()
    budget = snapshot.budgets[0]
    for pod in snapshot.pods:
        if pod.node in gone:
            assert pod.owner and not pod.do_not_disrupt
            assert budget.allowed or dict(pod.labels)["app"] != "red"
    moved = {uid for drain in plan.drains for uid in drain.pods}
    assert moved == {pod.uid for pod in snapshot.pods if pod.node in gone}
    placed = {p.pod for p in plan.placements} | {uid for node in plan.additions for uid in node.pods}
    assert placed == moved


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(clusters())
def test_once_it_is_carried_out_nothing_is_left_to_do(snapshot: Snapshot) -> None:
    """Limits may leave room for one half of a change only, until the nodes of that are gone; and where rules leave much
    to be chosen, the planner may see a still cheaper plan from where the first one led. It ends all the same."""
    (pool,), (rule,) = snapshot.pools, snapshot.workloads
    chosen = any(pod.shape.spread for pod in snapshot.pods) or 0 < rule.spot.on_demand_base < rule.replicas
    limited = pool.limit_nodes is not None or chosen
    hours = pool.payback_seconds / 3600
    for number in range(6):
        plan = consolidate(snapshot, Mode.RECOMMEND, seed=number, budget=WORK)
        if number and not limited:
            assert (plan.drains, plan.additions) == ((), ())
        if not plan.drains:
            return
        gain = plan.cost_now_micro_usd_hour - plan.cost_after_micro_usd_hour
        assert gain * hours >= plan.moves_micro_usd
        snapshot = after(snapshot, plan)
    raise AssertionError("there is always something to be swapped")
