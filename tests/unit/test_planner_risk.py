"""What may be lost, in plans: expected cost, losses that come together, the front, and what each policy takes of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from builders import make_claim, make_offering, make_pods, make_pool, make_rule, make_snapshot, node_of
from scheduler_check import complaints
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.history import SpotPool, SpotRecord
from spotkube.model.offerings import SPOT
from spotkube.model.plan import Plan
from spotkube.model.policy import Pick, Policy, PolicyUnsatisfiable
from spotkube.planner.decide import decide
from spotkube.planner.formulation.build import build
from spotkube.planner.formulation.rates import posterior_rate, prior_rate
from spotkube.planner.formulation.risk import NOBODYS_RESTART_SECONDS
from spotkube.planner.problem import Budget

WORK = Budget(seconds=None, column_rounds=20, generations=8)
# Four stocks of spot, one a little dearer than the other, and on demand.
OFFERINGS = [
    make_offering("a.large", 0.030, spot=True),
    make_offering("a.large", 0.031, spot=True, zone="zone-b"),
    make_offering("a.large", 0.032, spot=True, zone="zone-c"),
    make_offering("b.large", 0.033, spot=True),
    make_offering("a.large", 0.100),
]
SAFE = Policy(Pick.SAFEST, within_percent=10.0)


def snapshot_of(pods: int = 24, **fields: object) -> Snapshot:
    rule = make_rule("web", pods)
    return make_snapshot(make_pods(pods, cpu="500m", workload="web"), OFFERINGS, workloads=(rule,), **fields)


def plan_of(snapshot: Snapshot) -> Plan:
    plan = decide(snapshot, Mode.RECOMMEND, seed=1, budget=WORK)
    assert complaints(snapshot, plan) == []
    return plan


def in_spot_pools(plan: Plan) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for node in plan.additions:
        if node.offering.capacity_type == SPOT:
            counts[node.offering.instance_type, node.offering.zone] += len(node.pods)
    return counts


class TestLossesThatComeTogether:
    def test_the_cheapest_plan_stands_in_one_spot_pool_and_says_so(self) -> None:
        plan = plan_of(snapshot_of())
        assert in_spot_pools(plan) == {("a.large", "zone-a"): 24}
        assert plan.chosen is not None
        assert plan.chosen.pods_lost_together == 24
        (most,) = plan.concentrations
        assert (most.pool, most.instance_type, most.zone, most.pods, most.share) == (
            "pool",
            "a.large",
            "zone-a",
            24,
            1.0,
        )

    def test_the_safest_within_a_few_percent_is_spread_over_all_of_them(self) -> None:
        cheap, safe = plan_of(snapshot_of()), plan_of(snapshot_of(policy=SAFE))
        assert max(in_spot_pools(safe).values()) == 8  # six nodes of four pods, over four stocks
        assert safe.chosen is not None
        assert safe.chosen.pods_lost_together == max(in_spot_pools(safe).values())
        assert cheap.cost_after_micro_usd_hour < safe.cost_after_micro_usd_hour <= 1.1 * cheap.cost_after_micro_usd_hour
        assert safe.concentrations[0].share <= 0.34

    def test_the_cost_the_bound_and_the_gap_are_those_of_the_plan_that_is_taken(self) -> None:
        cheap, safe = plan_of(snapshot_of()), plan_of(snapshot_of(policy=SAFE))
        bought = sum(node.offering.price_micro_usd_hour for node in safe.additions)
        assert safe.chosen is not None
        assert safe.cost_after_micro_usd_hour == bought == safe.chosen.micro_usd_hour
        assert safe.lower_bound_micro_usd_hour == cheap.lower_bound_micro_usd_hour <= cheap.cost_after_micro_usd_hour
        assert safe.gap > cheap.gap

    def test_what_stands_already_is_lost_with_what_comes(self) -> None:
        there = make_claim("there", OFFERINGS[0], node="there")
        snapshot = replace(snapshot_of(8), workloads=(make_rule("web", 12),))
        standing = [replace(pod, uid=f"s{i}", name=f"s{i}", node="there") for i, pod in enumerate(snapshot.pods[:4])]
        snapshot = replace(snapshot, pods=(*snapshot.pods, *standing), claims=(there,), nodes=(node_of(there),))
        plan = plan_of(snapshot)
        assert plan.chosen is not None
        assert plan.chosen.pods_lost_together == 12
        assert (plan.concentrations[0].pods, plan.concentrations[0].spot_pods) == (12, 12)
        spread = plan_of(replace(snapshot, policy=Policy(Pick.SAFEST, within_percent=20.0)))
        assert spread.chosen is not None
        assert spread.chosen.pods_lost_together == 4

    def test_a_limit_that_no_plan_keeps_names_the_objective(self) -> None:
        policy = Policy(Pick.SAFEST, within_percent=0.5, max_pods_lost_together=3)
        with pytest.raises(PolicyUnsatisfiable, match="objective podsLostTogether blocks"):
            plan_of(snapshot_of(policy=policy))


class TestFront:
    def test_it_is_sorted_and_none_is_beaten(self) -> None:
        front = plan_of(snapshot_of(30)).front
        points = [(p.micro_usd_hour, round(p.interruption_micro_usd_hour), p.pods_lost_together) for p in front]
        assert 2 <= len(points) <= 20
        assert all(one < other for one, other in pairwise(points))
        for one in points:
            assert not any(other != one and all(a <= b for a, b in zip(other, one, strict=True)) for other in points)
        assert [point.chosen for point in front] == [True] + [False] * (len(front) - 1)

    def test_its_far_end_is_never_interrupted(self) -> None:
        last = plan_of(snapshot_of()).front[-1]
        assert (last.interruption_micro_usd_hour, last.pods_lost_together, last.interruptions_per_month) == (0, 0, 0)
        assert last.micro_usd_hour == 600_000

    def test_the_same_work_gives_the_same_front(self) -> None:
        snapshot = snapshot_of(policy=SAFE)
        assert plan_of(snapshot) == plan_of(snapshot)

    def test_a_limit_on_the_share_binds_whatever_the_policy(self) -> None:
        limited = make_pool(max_fraction_per_pool=0.25)
        for policy in (Policy(), SAFE):
            plan = plan_of(snapshot_of(pools=[limited], policy=policy))
            assert max(in_spot_pools(plan).values()) <= 6
            assert plan.concentrations[0].share <= 0.34


class TestCostOfInterruptions:
    def test_it_is_rate_times_restart_time_times_the_price_of_the_room_on_demand(self) -> None:
        plan = plan_of(snapshot_of(policy=Policy()))
        # A pod takes a quarter of a node that costs 0.10 on demand, and is of no use for five minutes.
        expected = 24 * prior_rate(5) * 100_000 / 4 * 300 / 3600
        assert plan.chosen is not None
        assert plan.chosen.interruption_micro_usd_hour == pytest.approx(expected, rel=1e-3)
        assert plan.chosen.interruptions_per_month == pytest.approx(24 * prior_rate(5) * 730, rel=1e-6)

    def test_what_was_seen_counts(self) -> None:
        seen = SpotRecord(SpotPool("a.large", "zone-a"), 5000.0, 60, 50)
        plan = plan_of(snapshot_of(spot_history=[seen]))
        assert plan.chosen is not None
        rate = posterior_rate(prior_rate(5), 5000.0, 50)
        assert plan.chosen.interruptions_per_month == pytest.approx(24 * rate * 730, rel=1e-6)

    def test_dear_restarts_leave_a_stock_that_is_often_taken(self) -> None:
        seen = SpotRecord(SpotPool("a.large", "zone-a"), 5000.0, 60, 50)
        snapshot = snapshot_of(spot_history=[seen], policy=Policy(Pick.BALANCED, exchange_rate_usd=0.0))
        assert set(in_spot_pools(plan_of(snapshot))) == {("a.large", "zone-a")}
        rule = replace(snapshot.workloads[0], restart_seconds=6 * 3600.0)
        assert ("a.large", "zone-a") not in in_spot_pools(plan_of(replace(snapshot, workloads=(rule,))))

    def test_history_alone_makes_no_other_question(self) -> None:
        one = snapshot_of()
        two = replace(one, spot_history=(SpotRecord(SpotPool("a.large", "zone-a"), 1.0, 1, 0),))
        assert (one, hash(one)) == (two, hash(two))
        assert one != replace(one, policy=SAFE)

    def test_restart_costs_of_groups(self) -> None:
        web = make_pods(2, cpu="500m", workload="web")
        nobodys = make_pods(2, cpu="1", unschedulable=True)
        rule = replace(make_rule("web", 2), restart_seconds=7200.0)
        pool = make_pool(allow_unmanaged_on_spot=True)
        snapshot = make_snapshot([*web, *nobodys], OFFERINGS, workloads=(rule,), pools=[pool])
        built = build(snapshot, [pool])
        assert built.problem.risk is not None
        costs = {group.managed: cost for group, cost in zip(built.groups, built.problem.risk.restart, strict=True)}
        assert costs[True] == pytest.approx(25_000 * 2)
        assert costs[False] == pytest.approx(50_000 * NOBODYS_RESTART_SECONDS / 3600)
