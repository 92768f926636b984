"""Whole decisions on small clusters, judged by a scheduler of the tests' own."""

from collections import Counter
from dataclasses import replace

import pytest

from builders import (
    ZONES,
    both_ways,
    make_claim,
    make_daemonset,
    make_node,
    make_offering,
    make_pod,
    make_pods,
    make_pool,
    make_rule,
    make_snapshot,
    node_of,
    repels,
    spread,
)
from scheduler_check import complaints
from spotkube.model import labels as keys
from spotkube.model.cluster import ClaimPhase, Mode, Snapshot
from spotkube.model.plan import Plan
from spotkube.model.selectors import Taint, TaintEffect
from spotkube.planner.decide import decide, fill
from spotkube.planner.formulation.bins import KeptBins
from spotkube.planner.problem import Budget

WORK = Budget(seconds=None, column_rounds=20, generations=5)


def plan_of(snapshot: Snapshot) -> Plan:
    """The plan for pools in mode Recommend; what the tests' scheduler would not accept fails the test."""
    plan = decide(snapshot, Mode.RECOMMEND, seed=1, budget=WORK)
    assert complaints(snapshot, plan) == []
    return plan


def bought(plan: Plan) -> list[str]:
    return sorted(f"{node.offering.instance_type} {node.offering.capacity_type}" for node in plan.additions)


def test_nothing_to_do() -> None:
    plan = plan_of(make_snapshot([], [make_offering()]))
    assert (plan.additions, plan.cost_after_micro_usd_hour, plan.lower_bound_micro_usd_hour, plan.gap) == ((), 0, 0, 0)


def test_the_cheapest_node_that_holds_all() -> None:
    offerings = [make_offering("small", 0.10, cpu="2"), make_offering("large", 0.15, cpu="4")]
    plan = plan_of(make_snapshot(make_pods(4, cpu="1"), offerings))
    assert bought(plan) == ["large on-demand"]
    assert plan.cost_after_micro_usd_hour == plan.lower_bound_micro_usd_hour == 150_000
    assert plan.placed_pods == 4
    assert "holds 4 x default/some" in plan.additions[0].reason


def test_nodes_that_are_for_others_cost_the_proof_nothing() -> None:
    offerings = [make_offering("small", 0.10, cpu="2"), make_offering("large", 0.15, cpu="4")]
    alone = make_snapshot(make_pods(4, cpu="1"), offerings)
    master = make_node(
        "master", "64", taints=(Taint("node-role.kubernetes.io/control-plane", TaintEffect.NO_SCHEDULE),)
    )

    first, second = plan_of(alone), plan_of(replace(alone, nodes=(master,)))

    assert first.lower_bound_micro_usd_hour == second.lower_bound_micro_usd_hour == 150_000
    assert first.work and second.work and len(first.work.passes) == len(second.work.passes)


def test_spot_for_who_bears_it_and_on_demand_for_who_does_not() -> None:
    rule = make_rule("steady", 2, fraction=0)
    pods = [*make_pods(2, workload="steady"), *make_pods(2, workload="batch", cpu="1100m")]
    plan = plan_of(make_snapshot(pods, both_ways(cpu="3"), workloads=[rule]))
    assert bought(plan) == ["m.large on-demand", "m.large spot"]
    assert "on demand for default/some (spot rule)" in next(
        n.reason for n in plan.additions if n.offering.capacity_type == "on-demand"
    )


def test_existing_nodes_are_filled_first() -> None:
    claim = make_claim("ours", make_offering(cpu="4"), node="ours")
    coming = make_claim("coming", make_offering(cpu="2"), phase=ClaimPhase.LAUNCHED)
    snapshot = make_snapshot(
        make_pods(9, cpu="1"),
        [make_offering(cpu="2")],
        claims=[claim, coming],
        nodes=[node_of(claim), make_node("theirs", "2")],
    )
    plan = plan_of(snapshot)
    assert sorted({p.target for p in plan.placements}) == ["coming", "ours", "theirs"]
    assert len(plan.placements) == 8
    assert len(plan.additions) == 1


def test_a_pod_with_a_nomination_keeps_its_place() -> None:
    coming = make_claim("coming", make_offering(cpu="2"), phase=ClaimPhase.PENDING)
    pods = [make_pod("late"), make_pod("nominated", nominated="coming", cpu="2")]
    plan = plan_of(make_snapshot(pods, [make_offering(cpu="2")], claims=[coming]))
    assert [(p.pod, p.target) for p in plan.placements] == [("uid-nominated", "coming")]
    assert [node.pods for node in plan.additions] == [("uid-late",)]


def test_limits_hold_and_the_reason_names_the_pool() -> None:
    pool = make_pool("small", limit_nodes=1)
    plan = plan_of(make_snapshot(make_pods(5, cpu="1"), [make_offering(cpu="2")], pools=[pool]))
    assert len(plan.additions) == 1
    (left,) = plan.unplaceable
    assert len(left.pods) == 3
    assert "NodePool small" in left.reason


@pytest.mark.parametrize("limit", [{"limit_nodes": 0}, {"limit_micro_usd_hour": 0}, {"limit_resources": (("cpu", 0),)}])
def test_a_limit_of_zero_buys_nothing(limit: dict[str, object]) -> None:
    plan = plan_of(make_snapshot(make_pods(2), [make_offering()], pools=[make_pool("shut", **limit)]))
    assert not plan.additions
    assert "NodePool shut" in plan.unplaceable[0].reason


def test_a_full_pool_replaces_a_node_with_a_deadline() -> None:
    offering = make_offering(cpu="2")
    claim = make_claim("ending", offering, node="ending", deadline=120.0)
    pods = make_pods(2, node="ending", cpu="1")
    pool = make_pool(limit_nodes=1)
    plan = plan_of(make_snapshot(pods, [offering], pools=[pool], claims=[claim], nodes=[node_of(claim)]))
    assert len(plan.additions) == 1
    assert plan.cost_now_micro_usd_hour == plan.cost_after_micro_usd_hour == 100_000


def test_of_two_pools_with_the_same_offers_the_heavier_buys() -> None:
    pools = [make_pool("a-light", weight=1), make_pool("b-heavy", weight=9)]
    plan = plan_of(make_snapshot(make_pods(3), [make_offering()], pools=pools))
    assert {node.pool for node in plan.additions} == {"b-heavy"}


def test_pools_of_another_mode_buy_nothing_but_their_nodes_are_used() -> None:
    offering = make_offering(cpu="2")
    claim = make_claim("theirs", offering, pool="applied", node="theirs")
    pools = [make_pool("applied", mode=Mode.APPLY), make_pool("paused", mode=Mode.PAUSED)]
    snapshot = make_snapshot(make_pods(3, cpu="1"), [offering], pools=pools, claims=[claim], nodes=[node_of(claim)])
    plan = plan_of(snapshot)
    assert (len(plan.placements), plan.additions, plan.cost_after_micro_usd_hour) == (2, (), 0)
    assert plan.lower_bound_micro_usd_hour == 0


def test_the_bound_does_not_forget_an_old_price() -> None:
    """Spot rose from 3 to 9 cents since the node was bought: at 3 it is still the cheapest fleet."""
    offering = make_offering(usd=0.09, spot=True)
    claim = make_claim("ours", offering, node="ours", price_micro_usd_hour=30_000)
    pod = make_pod(node="ours", workload="w")
    plan = plan_of(make_snapshot([pod], [offering], claims=[claim], nodes=[node_of(claim)]))
    assert plan.cost_after_micro_usd_hour == plan.lower_bound_micro_usd_hour == 30_000


def test_the_bound_takes_pods_of_nobody_on_spot_as_they_stand() -> None:
    spot, on_demand = make_offering(usd=0.03, spot=True), make_offering(usd=0.09)
    claim = make_claim("ours", spot, node="ours")
    plan = plan_of(make_snapshot([make_pod(node="ours")], [spot, on_demand], claims=[claim], nodes=[node_of(claim)]))
    assert plan.lower_bound_micro_usd_hour == plan.cost_after_micro_usd_hour == 30_000


def test_the_bound_takes_a_rule_that_came_too_late_as_it_stands() -> None:
    spot, on_demand = make_offering(usd=0.03, spot=True), make_offering(usd=0.09)
    claim = make_claim("ours", spot, node="ours")
    running = make_pod(node="ours", workload="w")
    plan = plan_of(
        make_snapshot(
            [running],
            [spot, on_demand],
            claims=[claim],
            nodes=[node_of(claim)],
            workloads=[make_rule("w", 1, fraction=0)],
        )
    )
    assert plan.lower_bound_micro_usd_hour == 30_000


def test_the_bound_takes_uneven_hosts_as_they_stand() -> None:
    """Three pods each on two nodes obey maxSkew 1; from nothing the planner would be sure of one each only."""
    offering = make_offering(cpu="4")
    claims = [make_claim(name, offering, node=name) for name in ("one", "two")]
    pods = [
        make_pod(app="web", node=claim.name, spreads=[spread(keys.HOSTNAME, app="web")])
        for claim in claims
        for _ in range(3)
    ]
    nodes = [node_of(claim) for claim in claims]
    plan = plan_of(make_snapshot(pods, [offering], claims=claims, nodes=nodes))
    assert plan.lower_bound_micro_usd_hour <= plan.cost_after_micro_usd_hour == 200_000


def test_the_base_on_demand_holds_beside_what_runs() -> None:
    offering, spot = make_offering(usd=0.09), make_offering(usd=0.03, spot=True)
    claim = make_claim("ours", spot, node="ours")
    running = make_pod(node="ours", workload="w", cpu="1500m")
    pods = make_pods(3, workload="w", cpu="1500m")
    plan = plan_of(
        make_snapshot(
            [running, *pods],
            [offering, spot],
            claims=[claim],
            nodes=[node_of(claim)],
            workloads=[make_rule("w", 4, base=2)],
        )
    )
    assert bought(plan) == ["m.large on-demand", "m.large on-demand", "m.large spot"]


def test_spread_and_anti_affinity_in_one_plan() -> None:
    web = make_pods(5, app="web", workload="web", spreads=[spread(app="web")], owner="Deployment/web")
    db = make_pods(3, app="db", workload="db", anti_affinity=[repels(app="db")], owner="StatefulSet/db", cpu="500m")
    plan = plan_of(make_snapshot([*web, *db], both_ways(zones=ZONES, cpu="4")))
    assert not plan.unplaceable
    zones = [node.offering.zone for node in plan.additions]
    assert set(zones) == set(ZONES)


def test_a_limit_that_cuts_a_spread_short_leaves_the_rest_within_the_skew() -> None:
    """Zone C is too dear for the pool: with maxSkew 1 and nothing there, A and B may have one pod each, not two."""
    pool = make_pool(limit_micro_usd_hour=400_000)
    offerings = [make_offering(usd=5.0 if zone == ZONES[2] else 0.1, zone=zone, cpu="1") for zone in ZONES]
    pods = make_pods(6, app="web", cpu="1", spreads=[spread(app="web")])
    plan = plan_of(make_snapshot(pods, offerings, pools=[pool]))
    assert sorted(node.offering.zone for node in plan.additions) == [ZONES[0], ZONES[1]]
    assert "leave no room in zone-c" in plan.unplaceable[0].reason


def test_a_zone_that_is_too_small_gives_its_pods_to_the_others() -> None:
    """Zone B has a node of somebody else for one pod, and nothing is for sale there."""
    web = make_pods(4, app="web", cpu="1", spreads=[spread(skew=3, app="web")])
    snapshot = make_snapshot(web, [make_offering(cpu="2")], nodes=[make_node("theirs", "1", zone=ZONES[1])])
    plan = plan_of(snapshot)
    assert not plan.unplaceable
    assert (len(plan.placements), len(plan.additions)) == (1, 2)


def test_daemons_are_bought_room_for() -> None:
    daemon = make_daemonset(cpu="500m")
    plan = plan_of(make_snapshot(make_pods(4, cpu="1"), [make_offering(cpu="2")], daemonsets=[daemon]))
    assert len(plan.additions) == 4


def test_the_same_seed_and_work_give_the_same_plan() -> None:
    pods = [make_pod(f"p{n}", cpu=f"{100 + 37 * n % 900}m", workload="w") for n in range(40)]
    snapshot = make_snapshot(pods, both_ways(zones=ZONES, cpu="4"))
    assert plan_of(snapshot) == plan_of(snapshot)


def test_baselines_are_of_the_same_pods() -> None:
    plan = plan_of(make_snapshot(make_pods(4, workload="w"), both_ways(usd=0.09)))
    assert plan.baselines.all_on_demand_micro_usd_hour == 180_000
    assert plan.baselines.first_fit_micro_usd_hour == 60_000


def test_the_bound_knows_nodes_that_may_not_be_bought_any_more() -> None:
    risky = make_offering(usd=0.03, spot=True, percent=20)
    claim = make_claim("ours", risky, node="ours")
    cautious = make_pool(max_interruption_percent=5)
    snapshot = make_snapshot(
        [make_pod(node="ours", workload="w")],
        [risky, make_offering(usd=0.09)],
        pools=[cautious],
        claims=[claim],
        nodes=[node_of(claim)],
    )
    assert plan_of(snapshot).lower_bound_micro_usd_hour == 30_000


def test_the_bound_passes_over_nodes_that_are_too_full_for_a_daemon() -> None:
    offering = make_offering(cpu="2", usd=0.1)
    claim = make_claim("ours", offering, node="ours")
    pods = make_pods(2, node="ours", cpu="1")
    snapshot = make_snapshot(
        pods, [offering], claims=[claim], nodes=[node_of(claim)], daemonsets=[make_daemonset(cpu="500m")]
    )
    plan = plan_of(snapshot)
    assert (plan.lower_bound_micro_usd_hour, plan.cost_after_micro_usd_hour, plan.placed_pods) == (0, 100_000, 2)


def test_filling_gives_the_room_that_there_is_and_buys_nothing() -> None:
    ours = make_claim("ours", make_offering(cpu="4"), node="ours")
    coming = make_claim("coming", make_offering(cpu="2"), phase=ClaimPhase.LAUNCHED)
    pods = make_pods(7, cpu="1")
    snapshot = make_snapshot(
        pods, [make_offering()], nodes=[node_of(ours)], claims=[ours, coming], pools=[make_pool(mode=Mode.PAUSED)]
    )

    placed = fill(snapshot)

    assert Counter(placement.target for placement in placed) == {"ours": 4, "coming": 2}
    assert {placement.pod for placement in placed} < {pod.uid for pod in pods}


def test_the_bound_knows_that_unlike_pods_share_a_spot_rule() -> None:
    """One of the three must run on demand, and nobody says which: one of the small ones costs least."""
    pods = [make_pod("a-large", workload="mixed", cpu="4"), *make_pods(2, workload="mixed", cpu="1")]
    rule = make_rule("mixed", 3, base=1)
    offerings = [*both_ways("large", 0.90, cpu="4"), *both_ways("small", 0.06, cpu="2")]
    plan = plan_of(make_snapshot(pods, offerings, workloads=[rule]))
    best = 300_000 + 60_000
    assert plan.lower_bound_micro_usd_hour <= best == plan.cost_after_micro_usd_hour


def test_what_is_kept_of_earlier_decisions_changes_none() -> None:
    kept = KeptBins()
    pools = (make_pool(mode=Mode.RECOMMEND),)
    pods = make_pods(6, cpu="1")
    for number in range(4):
        claims = tuple(make_claim(f"claim-{n}", make_offering("m", 0.1, cpu="4")) for n in range(number))
        nodes = tuple(node_of(claim) for claim in claims)
        bound = [replace(pod, node=nodes[0].name) for pod in pods[:2]] if nodes else []
        snapshot = make_snapshot(
            [*bound, *pods[len(bound) :]], [make_offering("m", 0.1, cpu="4")], pools=pools, claims=claims, nodes=nodes
        )
        assert decide(snapshot, Mode.RECOMMEND, seed=1, budget=WORK, kept=kept) == plan_of(snapshot)
        assert fill(snapshot, kept) == fill(snapshot)
