"""Which nodes in force are kept and which are given back, on small clusters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import (
    ZONES,
    both_ways,
    make_offering,
    make_pod,
    make_pods,
    make_pool,
    make_rule,
    repels,
    selector,
    spread,
)
from moves_support import after, fleet
from scheduler_check import complaints
from spotkube.model.cluster import ClaimPhase, DisruptionBudget, Mode, Snapshot
from spotkube.model.history import SpotPool, SpotRecord
from spotkube.model.plan import Plan
from spotkube.model.pods import Pod
from spotkube.model.policy import Pick, Policy
from spotkube.planner.consolidation.candidates import with_leaving
from spotkube.planner.consolidation.consolidate import consolidate
from spotkube.planner.problem import Budget

WORK = Budget(seconds=None, column_rounds=20, generations=5)
SMALL = make_offering("small", 0.10, cpu="2")
LARGE = make_offering("large", 0.19, cpu="4", memory="16Gi")


def plan_of(snapshot: Snapshot, seed: int = 1) -> Plan:
    """The plan; what the tests' scheduler would not accept fails the test."""
    plan = consolidate(snapshot, Mode.RECOMMEND, seed=seed, budget=WORK)
    assert complaints(with_leaving(snapshot, {drain.claim for drain in plan.drains}), plan) == []
    return plan


def drained(plan: Plan) -> list[str]:
    return [drain.claim for drain in plan.drains]


def on(*pods_of_node: list[Pod], offering: object = SMALL, **fields: object) -> Snapshot:
    """A cluster of nodes a, b, ... of one offering with these pods."""
    return fleet([(offering, pods) for pods in pods_of_node], [SMALL, LARGE], **fields)  # type: ignore[misc,arg-type]


def test_pods_of_two_half_empty_nodes_share_one() -> None:
    snapshot = on(make_pods(1, cpu="1"), make_pods(1, cpu="1"))
    plan = plan_of(snapshot)
    assert len(plan.drains) == 1
    (drain,) = plan.drains
    assert drain.pods == tuple(pod.uid for pod in snapshot.pods if pod.node == drain.claim)
    assert (plan.cost_now_micro_usd_hour, plan.cost_after_micro_usd_hour) == (200_000, 100_000)
    assert plan.lower_bound_micro_usd_hour <= 100_000
    assert plan.saved_micro_usd_hour == 100_000
    assert 0 < plan.payback_seconds < 3600
    assert "its pods go 1 onto nodes that stay; saves 0.1000 dollars an hour" in drain.reason


def test_two_nodes_become_one_that_is_bought() -> None:
    """Two nodes of two cores at 30 cents each, where four cores are to be had at 19."""
    dear = make_offering("dear", 0.30, cpu="2")
    plan = plan_of(on(make_pods(2, cpu="1"), make_pods(2, cpu="1"), offering=dear))
    assert drained(plan) == ["a", "b"]
    assert [node.offering.instance_type for node in plan.additions] == ["large"]
    assert plan.cost_after_micro_usd_hour == 190_000
    assert "2 onto nodes to buy" in plan.drains[0].reason


def test_nobody_is_moved_for_pennies() -> None:
    """A cent an hour would be saved by moving four pods, which is worth more than that."""
    assert plan_of(on(make_pods(2, cpu="1"), make_pods(2, cpu="1"))).drains == ()


def test_what_does_not_pay_is_told() -> None:
    plan = plan_of(on(make_pods(2, cpu="1"), make_pods(2, cpu="1")))
    assert plan.repack is not None
    assert plan.repack.cost_after_micro_usd_hour == 190_000
    assert plan.repack.pods == 4
    assert (plan.cost_after_micro_usd_hour, plan.lower_bound_micro_usd_hour) == (200_000, 190_000)


@pytest.mark.parametrize(("hours", "nodes"), [(0.03, 0), (1.0, 1)])
def test_moves_have_to_pay_within_the_horizon_of_the_pool(hours: float, nodes: int) -> None:
    pool = make_pool(payback_seconds=hours * 3600)
    assert len(plan_of(on(make_pods(1, cpu="1"), make_pods(1, cpu="1"), pools=[pool])).drains) == nodes


def test_a_job_that_loses_hours_of_work_stays() -> None:
    rule = replace(make_rule("render", 2), restart_seconds=4 * 3600.0)
    pods = [make_pods(1, cpu="1", workload="render") for _ in range(2)]
    assert plan_of(on(*pods, workloads=[rule])).drains == ()
    short = replace(rule, restart_seconds=300.0)
    assert len(plan_of(on(*pods, workloads=[short])).drains) == 1


def opted_out(pod: Pod) -> Pod:
    return replace(pod, do_not_disrupt=True)


def bare(pod: Pod) -> Pod:
    return replace(pod, owner="")


def unplannable(pod: Pod) -> Pod:
    return replace(pod, shape=replace(pod.shape, unsupported=("resourceClaims",)))


@pytest.mark.parametrize("hold", [opted_out, bare, unplannable])
def test_a_node_stays_with_a_pod_that_cannot_be_moved(hold: object) -> None:
    first, second = make_pod(cpu="1"), make_pod(cpu="1")
    held = hold(first)  # type: ignore[operator]
    assert drained(plan_of(on([held], [second]))) == ["b"]
    assert plan_of(on([held], [hold(second)])).drains == ()  # type: ignore[operator]


@pytest.mark.parametrize(("budgets", "nodes"), [([0], 0), ([1], 1), ([1, 1], 0)])
def test_budgets_hold(budgets: list[int], nodes: int) -> None:
    """Pods that two budgets cover can't be evicted at all."""
    found = [DisruptionBudget("default", f"b{i}", selector(app="web"), left) for i, left in enumerate(budgets)]
    pods = [make_pods(1, cpu="1", app="web"), make_pods(1, cpu="1", app="web")]
    assert len(plan_of(on(*pods, budgets=found)).drains) == nodes


def test_a_budget_of_another_namespace_holds_nobody() -> None:
    budget = DisruptionBudget("other", "all", selector(), 0)
    assert len(plan_of(on(make_pods(1, cpu="1"), make_pods(1, cpu="1"), budgets=[budget])).drains) == 1


def test_deletion_cost_and_priority_decide_who_moves() -> None:
    """Either pod could join the other: the one moves that minds less."""
    calm, dear = make_pod(cpu="1"), make_pod(cpu="1")
    costly = replace(dear, deletion_cost=5_000)
    assert drained(plan_of(on([costly], [calm]))) == ["b"]
    assert drained(plan_of(on([calm], [costly]))) == ["a"]
    urgent = replace(dear, shape=replace(dear.shape, priority=1_000_000))
    assert drained(plan_of(on([urgent], [calm]))) == ["b"]
    assert drained(plan_of(on([calm], [urgent]))) == ["a"]


def test_rules_between_pods_hold_after_the_moves() -> None:
    apart = {"app": "web", "cpu": "500m", "anti_affinity": [repels(app="web")]}
    assert plan_of(on(make_pods(1, **apart), make_pods(1, **apart))).drains == ()
    even = {"app": "web", "cpu": "500m", "spreads": [spread(app="web")]}
    zones = [make_offering("small", 0.10, cpu="2", zone=zone) for zone in ("zone-a", "zone-b")]
    snapshot = fleet([(zone, make_pods(1, **even)) for zone in zones], zones)
    assert plan_of(snapshot).drains == ()


def test_what_must_run_on_demand_stays_on_demand() -> None:
    spot, demand = sorted(both_ways(cpu="2"), key=lambda offering: offering.price_micro_usd_hour)
    rule = make_rule("steady", 1, fraction=0)
    pods = [(demand, [make_pod(cpu="1", workload="steady")]), (spot, [make_pod(cpu="1", workload="batch")])]
    plan = plan_of(fleet(pods, [spot, demand], workloads=[rule]))
    # The batch pod may join the other on demand; never the other way round.
    assert drained(plan) == ["b"]


def test_an_on_demand_node_goes_once_spot_is_to_be_had_again() -> None:
    spot, demand = sorted(both_ways(cpu="2"), key=lambda offering: offering.price_micro_usd_hour)
    plan = plan_of(fleet([(demand, make_pods(2, cpu="1", workload="batch"))], [spot, demand]))
    assert drained(plan) == ["a"]
    assert [node.offering.capacity_type for node in plan.additions] == ["spot"]


def test_limits_hold_while_both_stand() -> None:
    """What replaces a node is bought before it goes: a full pool can only give back."""
    dear = make_offering("dear", 0.30, cpu="2")
    pods = [make_pods(2, cpu="1"), make_pods(2, cpu="1")]
    assert plan_of(on(*pods, offering=dear, pools=[make_pool(limit_nodes=2)])).additions == ()
    assert len(plan_of(on(*pods, offering=dear, pools=[make_pool(limit_nodes=3)])).additions) == 1


def test_waiting_pods_are_placed_in_the_same_plan() -> None:
    waiting = make_pods(2, cpu="1")
    snapshot = on(make_pods(1, cpu="1"), make_pods(1, cpu="1"))
    plan = plan_of(replace(snapshot, pods=(*snapshot.pods, *waiting)))
    assert plan.unplaceable == ()
    # Without moves the two would fill the two nodes; all four on one large node cost less.
    assert plan.cost_after_micro_usd_hour == 190_000
    assert {uid for node in plan.additions for uid in node.pods} >= {pod.uid for pod in waiting}


def test_pools_decide_whether_anything_is_given_back() -> None:
    pods = [make_pods(1, cpu="1"), make_pods(1, cpu="1")]
    assert plan_of(on(*pods, pools=[make_pool(empty_after_seconds=None)])).drains == ()
    for consolidates, nodes in ((False, 0), (True, 1)):
        pool = make_pool(mode=Mode.APPLY, consolidates=consolidates)
        plan = consolidate(on(*pods, pools=[pool]), Mode.APPLY, seed=1, budget=WORK)
        assert len(plan.drains) == nodes


def test_nodes_that_are_not_in_force_are_left_alone() -> None:
    """On its way, leaving already, or cordoned by somebody."""
    pods = make_pods(1, cpu="1")
    snapshot = on(pods, make_pods(1, cpu="1"))
    coming = replace(snapshot.claims[1], phase=ClaimPhase.REGISTERED)
    assert "b" not in drained(plan_of(replace(snapshot, claims=(snapshot.claims[0], coming))))
    cordoned = replace(snapshot.nodes[0], unschedulable=True)
    assert plan_of(replace(snapshot, nodes=(cordoned, snapshot.nodes[1]))).drains == ()


def test_empty_nodes_go_for_nothing() -> None:
    plan = plan_of(on([], make_pods(2, cpu="1")))
    assert drained(plan) == ["a"]
    assert plan.moves_micro_usd == 0
    assert "only daemons run on it" in plan.drains[0].reason


def test_a_node_that_pods_are_on_their_way_to_stays() -> None:
    snapshot = on([], make_pods(2, cpu="1"))
    coming = make_pod(nominated="a", cpu="1")
    assert plan_of(replace(snapshot, pods=(*snapshot.pods, coming))).drains == ()


def test_after_the_plan_there_is_nothing_to_do() -> None:
    snapshot = on(*(make_pods(1, cpu="500m") for _ in range(8)))
    plan = plan_of(snapshot)
    assert plan.cost_after_micro_usd_hour == 190_000
    again = plan_of(after(snapshot, plan))
    assert (again.drains, again.additions) == ((), ())


def test_many_nodes_that_lost_half_of_their_pods() -> None:
    """More candidates than every set of can be tried."""
    snapshot = on(*(make_pods(2, cpu="500m") for _ in range(16)))
    plan = plan_of(snapshot)
    assert plan.cost_after_micro_usd_hour == plan.lower_bound_micro_usd_hour == 760_000
    assert plan.repack is not None
    assert plan.front[-1].moved_pods == 0
    assert sum(point.chosen for point in plan.front) == 1
    assert plan.work.evaluations > 0
    again = plan_of(after(snapshot, plan))
    assert (again.drains, again.additions) == ((), ())


def test_with_hardly_any_time_the_best_guess_is_planned_first() -> None:
    snapshot = on(*(make_pods(1, cpu="500m") for _ in range(5)))
    plan = consolidate(snapshot, Mode.RECOMMEND, seed=0, budget=Budget(seconds=0.001))
    assert plan.cost_after_micro_usd_hour <= 200_000


def test_the_same_work_gives_the_same_plan() -> None:
    snapshot = on(*(make_pods(1 + i % 3, cpu="500m") for i in range(9)))
    first = consolidate(snapshot, Mode.RECOMMEND, seed=4, budget=Budget(seconds=2.0))
    assert consolidate(snapshot, Mode.RECOMMEND, seed=4, budget=Budget(seconds=2.0), repeat=first.work) == first


class TestPolicies:
    """Two pods, each alone on a spot node of its zone, would share one node for half of the price."""

    HERE, THERE = (make_offering("small", 0.10, zone=zone, spot=True, cpu="2", percent=20) for zone in ZONES[:2])

    def cluster(self, policy: Policy) -> Snapshot:
        nodes = [(self.HERE, make_pods(1, cpu="1")), (self.THERE, make_pods(1, cpu="1"))]
        return fleet(nodes, [self.HERE, self.THERE], policy=policy)

    def test_the_cheapest_has_both_on_one_node(self) -> None:
        plan = plan_of(self.cluster(Policy()))
        assert len(plan.drains) == 1
        assert {(p.moved_pods, p.pods_lost_together, p.chosen) for p in plan.front} == {(0, 1.0, False), (1, 2.0, True)}

    def test_the_safest_does_not_let_more_be_lost_together(self) -> None:
        assert plan_of(self.cluster(Policy(Pick.SAFEST, within_percent=500))).drains == ()

    @pytest.mark.parametrize(("rate", "moved"), [(0.0, 1), (0.09, 1), (0.1, 0)])
    def test_what_is_lost_together_has_a_price(self, rate: float, moved: int) -> None:
        """The node saves ten cents an hour, and one pod more is lost together."""
        policy = Policy(Pick.BALANCED, exchange_rate_usd=rate)
        assert len(plan_of(self.cluster(policy)).drains) == moved

    @pytest.mark.parametrize(("limit", "moved"), [(2.0, 1), (1.5, 0), (0.5, 0)])
    def test_a_limit_holds_unless_it_is_passed_already(self, limit: float, moved: int) -> None:
        assert len(plan_of(self.cluster(Policy(max_pods_lost_together=limit))).drains) == moved


@pytest.mark.parametrize(("interruptions", "moves"), [(0, ["a"]), (60, [])])
def test_nobody_goes_back_to_where_he_would_soon_be_taken_again(interruptions: int, moves: list[str]) -> None:
    """It saves 1.5 % for a hundred hours, which pays for one restart of an hour, but not for most of another one."""
    steady = make_offering("small", 0.10, cpu="2")
    spot = make_offering("small", 0.0985, cpu="2", spot=True)
    pool = make_pool(payback_seconds=100 * 3600.0, mode=Mode.RECOMMEND, consolidates=True)
    rule = replace(make_rule("batch", 2), restart_seconds=3600.0)
    seen = (SpotRecord(SpotPool("small", spot.zone), 500.0, 100, interruptions),)
    pods = [(steady, make_pods(2, cpu="1", workload="batch"))]
    snapshot = fleet(pods, [steady, spot], workloads=[rule], pools=[pool], spot_history=seen)

    assert drained(plan_of(snapshot)) == moves
