"""Rules between pods over topologies of any kind: spreads, anti-affinity and affinity, as kube-scheduler reads them."""

from __future__ import annotations

import numpy as np
import pytest

from builders import (
    ZONES,
    attracts,
    both_ways,
    make_node,
    make_offering,
    make_pod,
    make_pods,
    make_pool,
    make_rule,
    make_shape,
    make_snapshot,
    repels,
    requirement,
    selector,
    spread,
    taint,
)
from scheduler_check import complaints
from spotkube.model import labels as keys
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.plan import Plan
from spotkube.model.pods import HostPort, PodTerm
from spotkube.planner.decide import decide
from spotkube.planner.formulation.assembling import Built
from spotkube.planner.formulation.build import build
from spotkube.planner.problem import Budget

THREE_ZONES = tuple(make_offering(zone=zone) for zone in ZONES)


def built(snapshot: Snapshot) -> Built:
    return build(snapshot, snapshot.pools)


def split(snapshot: Snapshot, key: str) -> dict[str | None, int]:
    """How many pods go to each value of the key."""
    counts: dict[str | None, int] = {}
    for group in built(snapshot).groups:
        value = dict(group.where).get(key)
        counts[value] = counts.get(value, 0) + len(group.pods)
    return counts


def plan_of(snapshot: Snapshot) -> Plan:
    plan = decide(snapshot, Mode.RECOMMEND, seed=1, budget=Budget(seconds=None, column_rounds=8, generations=2))
    assert complaints(snapshot, plan) == []
    return plan


def reasons(snapshot: Snapshot) -> str:
    return "; ".join(one.reason for one in built(snapshot).unplaceable)


class TestSpread:
    def web(self, count: int, **wants: object) -> list:
        return make_pods(count, app="web", **wants)

    def test_over_capacity_types(self) -> None:
        pods = self.web(5, workload="w", spreads=[spread(keys.CAPACITY_TYPE, app="web")])
        assert sorted(split(make_snapshot(pods, both_ways()), keys.CAPACITY_TYPE).values()) == [2, 3]

    def test_over_a_label_that_pools_give(self) -> None:
        pools = [make_pool(name, labels=(("rack", name),)) for name in ("a", "b")]
        pods = self.web(4, spreads=[spread("rack", app="web")])
        assert split(make_snapshot(pods, [make_offering()], pools=pools), "rack") == {"a": 2, "b": 2}

    def test_what_no_node_has_is_refused(self) -> None:
        snapshot = make_snapshot(self.web(1, spreads=[spread("rack", app="web")]), THREE_ZONES)
        assert "lack a label that its rules are over (rack)" in reasons(snapshot)

    def test_over_two_keys_at_once(self) -> None:
        """Zone a has only on-demand nodes and zone b only spot: one after the other would leave pods over."""
        offerings = [make_offering(zone=ZONES[0]), make_offering(zone=ZONES[1], spot=True)]
        rules = [spread(app="web"), spread(keys.CAPACITY_TYPE, app="web")]
        snapshot = make_snapshot(self.web(4, workload="w", spreads=rules), offerings)
        assert split(snapshot, keys.ZONE) == split(snapshot, keys.ZONE) == {ZONES[0]: 2, ZONES[1]: 2}

    def test_the_pod_beyond_an_even_split_goes_where_it_is_cheaper(self) -> None:
        offerings = [make_offering(usd=usd, zone=zone) for zone, usd in zip(ZONES, (0.3, 0.2, 0.1), strict=True)]
        assert split(make_snapshot(self.web(4, spreads=[spread(app="web")]), offerings), keys.ZONE)[ZONES[2]] == 2

    def test_one_that_does_not_count_the_pod_itself_bars_only_what_is_over(self) -> None:
        there = [make_pod(app="other", node="theirs") for _ in range(3)]
        pods = self.web(6, spreads=[spread(skew=2, app="other")])
        snapshot = make_snapshot([*there, *pods], THREE_ZONES, nodes=[make_node("theirs")])
        (group,) = built(snapshot).groups
        assert (keys.ZONE, ZONES[0]) in group.barred
        assert not group.where

    def test_an_empty_selector_counts_nobody(self) -> None:
        (group,) = built(make_snapshot(self.web(5, spreads=[spread()]), THREE_ZONES)).groups
        assert not group.where

    @pytest.mark.parametrize(("honor", "placed"), [(False, 3), (True, 6)])
    def test_a_zone_of_tainted_nodes_counts_unless_taints_are_honored(self, honor: bool, placed: int) -> None:
        nodes = [make_node("theirs", zone="zone-z", taints=(taint("own"),))]
        pods = self.web(6, spreads=[spread(honor_taints=honor, app="web")])
        assert sum(split(make_snapshot(pods, THREE_ZONES, nodes=nodes), keys.ZONE).values()) == placed

    @pytest.mark.parametrize(("honor", "placed"), [(True, 6), (False, 3)])
    def test_a_zone_outside_of_the_affinity_counts_if_affinity_is_ignored(self, honor: bool, placed: int) -> None:
        nodes = [make_node("theirs", zone="zone-z", labels={"team": "b"})]
        where = [(requirement("team", "DoesNotExist"),)]
        pods = self.web(6, affinity=where, spreads=[spread(honor_affinity=honor, app="web")])
        assert sum(split(make_snapshot(pods, THREE_ZONES, nodes=nodes), keys.ZONE).values()) == placed

    def test_pods_on_nodes_that_it_does_not_count(self) -> None:
        """The node is outside of the affinity, so that what runs there is not counted in its zone."""
        nodes = [make_node("theirs", labels={"team": "b"})]
        there = [make_pod(app="web", node="theirs") for _ in range(2)]
        pods = self.web(3, affinity=[(requirement("team", "DoesNotExist"),)], spreads=[spread(app="web")])
        assert split(make_snapshot([*pods, *there], THREE_ZONES, nodes=nodes), keys.ZONE) == dict.fromkeys(ZONES, 1)

    def test_a_purchase_for_others_opens_a_zone_that_counts(self) -> None:
        """A tainted pool sells in zone-c alone: as soon as it buys there, the zone counts and holds no pod."""
        pools = [
            make_pool(requirements=(requirement(keys.ZONE, "NotIn", ZONES[2]),)),
            make_pool("own", taints=(taint("own"),), requirements=(requirement(keys.ZONE, "In", ZONES[2]),)),
        ]
        pods = self.web(4, spreads=[spread(app="web")])
        assert not plan_of(make_snapshot(pods, THREE_ZONES, pools=pools)).unplaceable
        tolerant = make_shape(node_selector={keys.NODEPOOL: "own"}, tolerations=[tolerating("own")])
        plan = plan_of(make_snapshot([*pods, make_pod(shape=tolerant)], THREE_ZONES, pools=pools))
        assert [len(one.pods) for one in plan.unplaceable] == [2]

    def test_over_nodes_where_none_may_be_bought_counts_from_the_emptiest(self) -> None:
        there = [make_pod(app="web", node=name) for name in ("a", "b")]
        pods = self.web(2, spreads=[spread(keys.HOSTNAME, app="web")])
        nodes = [make_node(name) for name in ("a", "b")]
        assert built(make_snapshot([*pods, *there], pools=[], nodes=nodes)).problem.bin_cap_left.tolist() == [[1, 1]]

    def test_over_nodes_of_others_keeps_off_nodes_that_hold_too_many(self) -> None:
        there = [make_pod(app="other", node="theirs") for _ in range(2)]
        pods = self.web(2, spreads=[spread(keys.HOSTNAME, app="other")])
        problem = built(make_snapshot([*pods, *there], THREE_ZONES, nodes=[make_node("theirs")])).problem
        assert not problem.bin_compatible.any()
        assert not problem.cap_limit.size

    def test_the_base_on_demand_over_capacity_types(self) -> None:
        """The two that must run on demand count among the three there."""
        pods = self.web(6, workload="w", spreads=[spread(keys.CAPACITY_TYPE, app="web")])
        snapshot = make_snapshot(pods, both_ways(), workloads=[make_rule("w", 6, base=2)])
        assert split(snapshot, keys.CAPACITY_TYPE) == {"on-demand": 3, "spot": 3}


def tolerating(key: str):  # type: ignore[no-untyped-def]
    from spotkube.model.selectors import Toleration

    return Toleration(key, "Exists")


class TestAntiAffinity:
    def test_over_capacity_types(self) -> None:
        pods = make_pods(3, app="a", workload="w", anti_affinity=[repels(keys.CAPACITY_TYPE, app="a")])
        snapshot = make_snapshot(pods, both_ways())
        assert split(snapshot, keys.CAPACITY_TYPE) == {"on-demand": 1, "spot": 1}
        assert f"its rules over {keys.CAPACITY_TYPE} let no more" in reasons(snapshot)

    def test_nodes_that_lack_the_key_are_free_of_it(self) -> None:
        pods = make_pods(3, app="a", anti_affinity=[repels("rack", app="a")])
        assert split(make_snapshot(pods, THREE_ZONES), "rack") == {None: 3}

    def test_namespaces_by_label(self) -> None:
        term = PodTerm(keys.HOSTNAME, selector(app="b"), frozenset(), selector(team="x"))
        pods = [make_pod(app="a", anti_affinity=[term]), make_pod(app="b", namespace="mine")]
        for team, clash in (("x", True), ("y", False)):
            snapshot = make_snapshot(pods, [make_offering()], namespaces=(("mine", (("team", team),)),))
            assert built(snapshot).problem.conflict.any() == clash

    def test_it_leaves_room_for_those_it_repels(self) -> None:
        hermits = make_pods(3, app="hermit", anti_affinity=[repels(keys.ZONE, app="web")])
        assert not plan_of(make_snapshot([*hermits, *make_pods(3, app="web")], THREE_ZONES)).unplaceable


class TestAffinityOverZones:
    def test_it_goes_where_its_friends_run(self) -> None:
        friend = make_pod(app="db", node="theirs")
        pods = make_pods(2, cpu="2", app="web", pod_affinity=[attracts(keys.ZONE, app="db")])
        nodes = [make_node("theirs", "1", zone=ZONES[1])]
        plan = plan_of(make_snapshot([friend, *pods], THREE_ZONES, nodes=nodes))
        assert {node.offering.zone for node in plan.additions} == {ZONES[1]}

    def test_friends_of_the_same_plan_come_where_both_can_be(self) -> None:
        friends = make_pods(2, app="db")
        where = [(requirement(keys.ZONE, "In", ZONES[2]),)]
        pods = make_pods(2, app="web", affinity=where, pod_affinity=[attracts(keys.ZONE, app="db")])
        plan = plan_of(make_snapshot([*friends, *pods], THREE_ZONES))
        assert not plan.unplaceable
        assert {node.offering.zone for node in plan.additions} == {ZONES[2]}

    def test_who_attracts_itself_starts_in_one_zone_the_cheapest(self) -> None:
        offerings = [make_offering(usd=usd, zone=zone) for zone, usd in zip(ZONES, (0.3, 0.1, 0.2), strict=True)]
        pods = make_pods(9, app="web", pod_affinity=[attracts(keys.ZONE, app="web")])
        plan = plan_of(make_snapshot(pods, offerings))
        assert {node.offering.zone for node in plan.additions} == {ZONES[1]}
        assert plan.lower_bound_micro_usd_hour <= plan.cost_after_micro_usd_hour

    def test_nobody_to_be_with(self) -> None:
        pods = [make_pod(app="web", pod_affinity=[attracts(keys.ZONE, app="db")])]
        assert f"required pod affinity over {keys.ZONE} finds no pod" in reasons(make_snapshot(pods, THREE_ZONES))

    def test_a_circle(self) -> None:
        pods = [
            make_pod(app="a", pod_affinity=[attracts(keys.ZONE, app="b")]),
            make_pod(app="b", pod_affinity=[attracts(keys.ZONE, app="a")]),
        ]
        assert "goes round in a circle" in reasons(make_snapshot(pods, THREE_ZONES))

    def test_all_terms_have_to_hold_of_one_pod(self) -> None:
        """One pod matches the one term and another the other: that is not enough."""
        there = [make_pod(app="a", node="theirs"), make_pod(app="b", node="theirs")]
        terms = [attracts(keys.ZONE, app="a"), attracts(keys.ZONE, app="b")]
        snapshot = make_snapshot([*there, make_pod(pod_affinity=terms)], THREE_ZONES, nodes=[make_node("theirs")])
        assert "finds no pod" in reasons(snapshot)

    def test_who_is_dragged_along_is_not_left_alone(self) -> None:
        """The friend finds no room in the end, as the pool may buy one node: so its followers get none either."""
        friend = make_pod(app="db", cpu="64")
        pods = make_pods(2, app="web", pod_affinity=[attracts(keys.ZONE, app="db")])
        plan = plan_of(make_snapshot([friend, *pods], THREE_ZONES))
        assert sum(len(one.pods) for one in plan.unplaceable) == 3


class TestAffinityOnOneNode:
    TERM = attracts(keys.HOSTNAME, app="web")

    def test_who_attracts_itself_is_one_bundle(self) -> None:
        pods = make_pods(3, app="web", pod_affinity=[self.TERM])
        result = built(make_snapshot(pods, [make_offering("small", cpu="2"), make_offering("big", 0.5, cpu="8")]))
        assert result.problem.count.tolist() == [1]
        assert [result.kinds.offerings[o].instance_type for o in np.flatnonzero(result.problem.compatible[0])] == [
            "big"
        ]

    def test_all_of_the_bundle_are_told_of(self) -> None:
        pods = make_pods(3, app="web", pod_affinity=[self.TERM])
        plan = plan_of(make_snapshot(pods, [make_offering("small", cpu="2"), make_offering("big", 0.5, cpu="8")]))
        assert [len(node.pods) for node in plan.additions] == [3]

    def test_as_many_as_one_node_holds(self) -> None:
        pods = make_pods(5, app="web", pod_affinity=[self.TERM])
        snapshot = make_snapshot(pods, [make_offering(cpu="2")])
        assert "no node has room for more than 2" in reasons(snapshot)
        assert sum(len(node.pods) for node in plan_of(snapshot).additions) == 2

    def test_where_one_runs_the_others_join_it(self) -> None:
        running = make_pod(app="web", node="theirs")
        pods = make_pods(4, app="web", pod_affinity=[self.TERM])
        plan = plan_of(make_snapshot([running, *pods], [make_offering()], nodes=[make_node("theirs", "4")]))
        assert len(plan.placements) == 3
        assert not plan.additions

    def test_beside_a_pod_of_the_same_plan(self) -> None:
        pods = [make_pod(app="web"), *make_pods(2, app="side", cpu="500m", pod_affinity=[self.TERM])]
        snapshot = make_snapshot(pods, [make_offering()])
        needs = built(snapshot).problem.needs
        assert len(needs.of) == 1
        assert [len(node.pods) for node in plan_of(snapshot).additions] == [3]

    def test_the_caps_of_a_bundle(self) -> None:
        pods = make_pods(3, app="web", pod_affinity=[self.TERM], anti_affinity=[repels(app="web")])
        snapshot = make_snapshot(pods, [make_offering(cpu="8")])
        assert "no node has room for more than 1" in reasons(snapshot)
        plan_of(snapshot)


class TestPorts:
    @pytest.mark.parametrize(
        ("one", "other", "clash"),
        [
            (HostPort(80), HostPort(80, address="10.0.0.1"), True),
            (HostPort(80, address="10.0.0.2"), HostPort(80, address="10.0.0.1"), False),
            (HostPort(80), HostPort(80, "UDP"), False),
        ],
    )
    def test_addresses_and_protocols(self, one: HostPort, other: HostPort, clash: bool) -> None:
        snapshot = make_snapshot([make_pod(host_ports=[one]), make_pod(host_ports=[other])], [make_offering()])
        assert built(snapshot).problem.conflict.any() == clash
        there = make_snapshot(
            [make_pod(host_ports=[one], node="theirs"), make_pod(host_ports=[other])], nodes=[make_node("theirs")]
        )
        assert len(built(there).groups) == 1
        assert built(there).problem.bin_compatible.any() != clash


@pytest.mark.parametrize(("value", "holds"), [("5", True), ("1_0", False), ("4", False), ("9" * 30, False)])
def test_numbers_are_what_kubernetes_reads_as_such(value: str, holds: bool) -> None:
    assert requirement("size", "Gt", "4").matches({"size": value}) == holds
