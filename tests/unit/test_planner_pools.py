"""What a NodePool says beyond its limits: the cost of each node, the choice it wants to have, and its weight."""

from dataclasses import replace

import numpy as np
import pytest

from builders import (
    ZONES,
    make_claim,
    make_offering,
    make_pod,
    make_pods,
    make_pool,
    make_snapshot,
    node_of,
    requirement,
    taint,
)
from scheduler_check import complaints
from spotkube.api import NodePool
from spotkube.convert.kinds import to_pool
from spotkube.model import labels as keys
from spotkube.model.cluster import Mode, Pool, Snapshot
from spotkube.model.plan import Plan
from spotkube.planner.decide import decide
from spotkube.planner.formulation.build import build
from spotkube.planner.problem import Budget

WORK = Budget(seconds=None, column_rounds=20, generations=5)
CENT = 10_000


def plan_of(snapshot: Snapshot) -> Plan:
    plan = decide(snapshot, Mode.RECOMMEND, seed=1, budget=WORK)
    assert complaints(snapshot, plan) == []
    return plan


def where(plan: Plan) -> list[tuple[str, str]]:
    return sorted((node.pool, node.offering.instance_type) for node in plan.additions)


def test_a_pool_from_the_api() -> None:
    spec = {
        "perNodeCost": 0.0125,
        "template": {"spec": {"requirements": [{"key": keys.ZONE, "operator": "Exists", "minValues": 2}]}},
    }
    pool = to_pool(NodePool.from_dict({"kind": "NodePool", "metadata": {"name": "a"}, "spec": spec}))
    assert (pool.per_node_micro_usd_hour, pool.min_values) == (12_500, ((keys.ZONE, 2),))


class TestPerNodeCost:
    OFFERINGS = (make_offering("small", 0.10, cpu="2"), make_offering("large", 0.21, cpu="4"))

    @pytest.mark.parametrize(("cents", "type_", "nodes"), [(0, "small", 2), (2, "large", 1)])
    def test_it_keeps_plans_from_many_small_nodes(self, cents: int, type_: str, nodes: int) -> None:
        pool = make_pool(per_node_micro_usd_hour=cents * CENT)
        plan = plan_of(make_snapshot(make_pods(4, cpu="1"), self.OFFERINGS, pools=(pool,)))
        assert where(plan) == [("pool", type_)] * nodes

    def test_price_cost_bound_and_baselines_all_have_it_in(self) -> None:
        pool = make_pool(per_node_micro_usd_hour=2 * CENT)
        plan = plan_of(make_snapshot(make_pods(4, cpu="1"), self.OFFERINGS, pools=(pool,)))
        (node,) = plan.additions
        assert node.offering.price_micro_usd_hour == 23 * CENT
        assert plan.cost_after_micro_usd_hour == plan.lower_bound_micro_usd_hour == 23 * CENT
        assert plan.baselines.first_fit_micro_usd_hour == plan.baselines.all_on_demand_micro_usd_hour == 23 * CENT

    def test_what_was_bought_before_stays_at_its_price(self) -> None:
        """The claim's price was settled with the per-node cost of its time, so that cost and bound agree on it."""
        claim = make_claim("old", self.OFFERINGS[0], price_micro_usd_hour=11 * CENT)
        running = make_pod(node="old", cpu="2")
        pool = make_pool(per_node_micro_usd_hour=5 * CENT)
        snapshot = make_snapshot(
            [running, make_pod(cpu="2")], self.OFFERINGS, pools=(pool,), claims=(claim,), nodes=(node_of(claim),)
        )
        plan = plan_of(snapshot)
        assert plan.cost_now_micro_usd_hour == 11 * CENT
        assert plan.cost_after_micro_usd_hour == (11 + 15) * CENT
        assert plan.lower_bound_micro_usd_hour <= plan.cost_after_micro_usd_hour

    def test_it_counts_towards_the_limit_in_dollars(self) -> None:
        pool = make_pool(per_node_micro_usd_hour=2 * CENT, limit_micro_usd_hour=11 * CENT)
        plan = plan_of(make_snapshot([make_pod(cpu="1")], self.OFFERINGS, pools=(pool,)))
        assert plan.additions == ()
        assert "limits of NodePool pool" in plan.unplaceable[0].reason


class TestMinValues:
    OFFERINGS = tuple(make_offering("m.large", 0.1, zone=zone) for zone in ZONES)

    def usable(self, least: int, *pods_want: str) -> int:
        pool = make_pool(min_values=((keys.ZONE, least),))
        affinity = [(requirement(keys.ZONE, "In", *pods_want),)] if pods_want else []
        snapshot = make_snapshot([make_pod(affinity=affinity)], self.OFFERINGS, pools=(pool,))
        built = build(snapshot, snapshot.pools)
        return int(built.problem.compatible.sum())

    def test_a_pool_with_choice_enough_sells(self) -> None:
        assert self.usable(3) == 3

    def test_a_pool_with_too_little_choice_for_a_pod_is_closed_to_it(self) -> None:
        assert self.usable(2, "zone-a", "zone-b") == 2
        assert self.usable(3, "zone-a", "zone-b") == 0

    def test_offerings_that_are_too_small_are_no_choice(self) -> None:
        offerings = (*self.OFFERINGS[:1], make_offering("m.tiny", 0.1, cpu="1", zone="zone-b"))
        pool = make_pool(min_values=((keys.INSTANCE_TYPE, 2),))
        snapshot = make_snapshot([make_pod(cpu="2")], offerings, pools=(pool,))
        (one,) = build(snapshot, snapshot.pools).unplaceable
        assert "1 leave less choice than minValues asks for" in one.reason
        assert f"2 values of {keys.INSTANCE_TYPE} in NodePool pool" in one.reason

    def test_another_pool_may_sell_all_the_same(self) -> None:
        pools = (make_pool("picky", min_values=((keys.ZONE, 2),), weight=9), make_pool("other"))
        snapshot = make_snapshot([make_pod(node_selector={keys.ZONE: "zone-a"})], self.OFFERINGS, pools=pools)
        assert where(plan_of(snapshot)) == [("other", "m.large")]

    def test_the_bound_holds_for_what_was_bought_while_there_was_a_choice(self) -> None:
        claim = make_claim("old", self.OFFERINGS[0])
        pool = make_pool(min_values=((keys.ZONE, 2),))
        pods = [make_pod(node="old", cpu="1"), make_pod(cpu="1")]
        snapshot = make_snapshot(pods, self.OFFERINGS[:1], pools=(pool,), claims=(claim,), nodes=(node_of(claim),))
        plan = plan_of(snapshot)
        assert plan.placed_pods == 2
        assert plan.lower_bound_micro_usd_hour == plan.cost_after_micro_usd_hour == 10 * CENT


class TestWeight:
    def test_at_the_same_price_the_heavier_pool_buys(self) -> None:
        pools = (make_pool("a"), make_pool("b", weight=10))
        plan = plan_of(make_snapshot(make_pods(5, cpu="2"), [make_offering()], pools=pools))
        assert where(plan) == [("b", "m.large")] * 5

    def test_it_never_makes_a_plan_dearer(self) -> None:
        pools = (make_pool("a"), make_pool("b", weight=10, per_node_micro_usd_hour=1))
        plan = plan_of(make_snapshot(make_pods(2, cpu="2"), [make_offering()], pools=pools))
        assert where(plan) == [("a", "m.large")] * 2

    def test_within_its_limits_the_heavier_pool_buys_and_the_other_the_rest(self) -> None:
        pools = (make_pool("a"), make_pool("b", weight=10, limit_nodes=2))
        plan = plan_of(make_snapshot(make_pods(5, cpu="2"), [make_offering()], pools=pools))
        assert where(plan) == [("a", "m.large")] * 3 + [("b", "m.large")] * 2

    def test_a_pool_whose_taint_a_pod_does_not_tolerate_does_not_get_it(self) -> None:
        pools = (make_pool("a"), make_pool("b", weight=10, taints=(taint("gpu"),)))
        plan = plan_of(make_snapshot(make_pods(2, cpu="2"), [make_offering()], pools=pools))
        assert where(plan) == [("a", "m.large")] * 2


@pytest.mark.parametrize(
    ("operator", "values", "types"),
    [
        ("In", ("2",), {"two"}),
        ("NotIn", ("2",), {"four", "eight", "unknown"}),
        ("Exists", (), {"two", "four", "eight"}),
        ("DoesNotExist", (), {"unknown"}),
        ("Gt", ("3",), {"four", "eight"}),
        ("Lt", ("8",), {"two", "four"}),
    ],
)
def test_operators_of_requirements(operator: str, values: tuple[str, ...], types: set[str]) -> None:
    offerings = [make_offering(name, cpu=cpu) for name, cpu in (("two", "2"), ("four", "4"), ("eight", "8"))]
    bare = make_offering("unknown")
    unlabelled = replace(bare, labels=tuple(item for item in bare.labels if item[0] != keys.INSTANCE_CPU))
    pool: Pool = make_pool(requirements=(requirement(keys.INSTANCE_CPU, operator, *values),))
    snapshot = make_snapshot([make_pod()], [*offerings, unlabelled], pools=(pool,))
    built = build(snapshot, snapshot.pools)
    assert {built.kinds.offerings[o].instance_type for o in np.flatnonzero(built.problem.compatible[0])} == types
