"""Preferences decide between nodes of nearly the same price, and never make a bill much larger."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders import (
    attracts,
    make_offering,
    make_pod,
    make_pods,
    make_pool,
    make_shape,
    make_snapshot,
    requirement,
    taint,
)
from scheduler_check import complaints
from spotkube.convert.pods import to_shape
from spotkube.model import labels as keys
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.plan import Plan
from spotkube.model.pods import Pod
from spotkube.model.selectors import Toleration
from spotkube.planner.decide import decide
from spotkube.planner.formulation.build import build
from spotkube.planner.formulation.labeltable import LabelTable
from spotkube.planner.formulation.preferences import unmet_share
from spotkube.planner.problem import Budget

WORK = Budget(seconds=None, column_rounds=20, generations=30)


def plan_of(snapshot: Snapshot) -> Plan:
    plan = decide(snapshot, Mode.RECOMMEND, seed=1, budget=WORK)
    assert complaints(snapshot, plan) == []
    return plan


def preferring(*zones: str, weight: int = 100, cpu: str = "2") -> Pod:
    """A pod that would like to be in each of these zones."""
    terms = tuple((weight, (requirement(keys.ZONE, "In", zone),)) for zone in zones)
    pod = make_pod(cpu=cpu)
    return replace(pod, shape=replace(pod.shape, preferred=terms))


def zone_a_and_b(dearer: float) -> list:  # type: ignore[type-arg]
    """The same type in two zones; in zone-b it costs so much more, as a factor."""
    return [make_offering(usd=0.1, zone="zone-a"), make_offering(usd=0.1 * dearer, zone="zone-b")]


class TestReading:
    def test_preferred_node_affinity(self) -> None:
        zone = {"key": keys.ZONE, "operator": "In", "values": ["zone-a"]}
        preferred = [
            {"weight": 7, "preference": {"matchExpressions": [zone]}},
            {"weight": 9, "preference": {}},
        ]
        affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
        shape = to_shape("shop", {}, {"containers": [{"name": "main"}], "affinity": affinity})
        assert shape.preferred == ((7, (requirement(keys.ZONE, "In", "zone-a"),)),)


class TestShare:
    TABLE = LabelTable(
        [((keys.ZONE, zone),) for zone in ("zone-a", "zone-b", "zone-c")],
        [(), (), (taint("old", effect="PreferNoSchedule"),)],
    )
    PLAIN = LabelTable([((keys.ZONE, zone),) for zone in ("zone-a", "zone-b")], [(), ()])

    @pytest.mark.parametrize(
        ("wishes", "shares"),
        [
            ([(100, "zone-a")], [0.0, 1.0]),
            ([(10, "zone-a")], [0.0, 0.1]),
            ([(100, "zone-a"), (100, "zone-b")], [0.5, 0.5]),
            ([(75, "zone-a"), (75, "zone-a"), (50, "zone-b")], [0.25, 0.75]),
            ([(1, "nowhere")], [0.01, 0.01]),
            ([], [0.0, 0.0]),
        ],
    )
    def test_weights_add_up_and_all_of_them_together_are_the_whole(
        self, wishes: list[tuple[int, str]], shares: list[float]
    ) -> None:
        preferred = tuple((weight, (requirement(keys.ZONE, "In", zone),)) for weight, zone in wishes)
        assert unmet_share(self.PLAIN, replace(make_shape(), preferred=preferred)).tolist() == shares

    def test_a_taint_that_is_only_to_be_avoided(self) -> None:
        assert unmet_share(self.TABLE, make_shape()).tolist() == [0, 0, 1]
        tolerant = make_shape(tolerations=[Toleration("old", "Exists")])
        assert unmet_share(self.TABLE, tolerant).tolist() == [0, 0, 0]

    def test_one_that_is_tolerated_for_another_effect_is_avoided(self) -> None:
        hard = make_shape(tolerations=[Toleration("old", "Exists", effect=taint("old").effect)])
        assert unmet_share(self.TABLE, hard).tolist() == [0, 0, 1]


class TestCost:
    def costs(self, pod: Pod, *, percent: float = 5.0) -> list[int]:
        snapshot = make_snapshot([pod], zone_a_and_b(1.0), preference_percent=percent)
        preferences = build(snapshot, snapshot.pools).problem.preferences
        return [] if not len(preferences.cost) else preferences.cost[preferences.profile[0]].tolist()

    def test_a_part_of_what_the_pods_room_costs(self) -> None:
        assert self.costs(preferring("zone-b", cpu="2")) == [5_000, 0]
        assert self.costs(preferring("zone-b", cpu="1")) == [2_500, 0]
        assert self.costs(preferring("zone-b", weight=50)) == [2_500, 0]

    def test_what_all_nodes_leave_unmet_costs_nothing(self) -> None:
        assert self.costs(preferring("zone-z")) == []

    def test_they_can_be_passed_over(self) -> None:
        assert self.costs(preferring("zone-b"), percent=0) == []

    def test_groups_with_the_same_costs_share_a_profile(self) -> None:
        pods = [preferring("zone-b"), preferring("zone-b", weight=99), make_pod(cpu="2"), preferring("zone-a")]
        snapshot = make_snapshot([*pods, replace(pods[0], uid="other", labels=(("a", "b"),))], zone_a_and_b(1.0))
        preferences = build(snapshot, snapshot.pools).problem.preferences
        assert len(preferences.cost) == 3
        assert np.sum(preferences.profile < 0) == 1


class TestPlans:
    @pytest.mark.parametrize(("dearer", "zone"), [(1.0, "zone-b"), (1.04, "zone-b"), (1.06, "zone-a")])
    def test_a_wish_is_worth_a_little(self, dearer: float, zone: str) -> None:
        (node,) = plan_of(make_snapshot([preferring("zone-b")], zone_a_and_b(dearer))).additions
        assert node.offering.zone == zone

    def test_cost_and_bound_are_dollars_all_the_same(self) -> None:
        plan = plan_of(make_snapshot([preferring("zone-b")], zone_a_and_b(1.04)))
        assert plan.cost_after_micro_usd_hour == 104_000
        assert plan.lower_bound_micro_usd_hour <= 100_000

    def test_how_many_are_unmet_is_told(self) -> None:
        assert plan_of(make_snapshot([preferring("zone-b")], zone_a_and_b(1.06))).unmet_preferences == 1
        assert plan_of(make_snapshot([preferring("zone-b")], zone_a_and_b(1.0))).unmet_preferences == 0

    def test_a_pool_that_is_to_be_avoided(self) -> None:
        pools = (make_pool("old", weight=5, taints=(taint("old", effect="PreferNoSchedule"),)), make_pool("new"))
        (node,) = plan_of(make_snapshot([make_pod()], [make_offering()], pools=pools)).additions
        assert node.pool == "new"

    def test_of_pods_that_stay_together_each_is_counted(self) -> None:
        pods = make_pods(2, cpu="1", app="web", pod_affinity=[attracts(app="web")])
        wish = ((100, (requirement(keys.ZONE, "In", "zone-b"),)),)
        pods = [replace(pod, shape=replace(pod.shape, preferred=wish)) for pod in pods]
        assert plan_of(make_snapshot(pods, zone_a_and_b(1.2))).unmet_preferences == 2
