"""Spreads where an even split is not enough: nodes of others, hosts that are known, limits that are shared."""

from __future__ import annotations

import pytest

from builders import (
    ZONES,
    make_node,
    make_offering,
    make_pod,
    make_pods,
    make_pool,
    make_rule,
    make_snapshot,
    repels,
    requirement,
    spread,
)
from scheduler_check import complaints
from spotkube.model import labels as keys
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.plan import Plan
from spotkube.model.resources import CPU
from spotkube.planner.decide import decide
from spotkube.planner.problem import Budget

THREE_ZONES = tuple(make_offering(zone=zone) for zone in ZONES)
OVER_HOSTS = [spread(keys.HOSTNAME, app="web")]


WORK = Budget(seconds=None, column_rounds=8, generations=2)


def plan_of(snapshot: Snapshot, work: Budget = WORK) -> Plan:
    plan = decide(snapshot, Mode.RECOMMEND, seed=1, budget=work)
    assert complaints(snapshot, plan) == []
    return plan


def left_over(snapshot: Snapshot) -> int:
    return sum(len(one.pods) for one in plan_of(snapshot).unplaceable)


class TestNodesThatOnlySomeCount:
    """Policies leave nodes out of a spread: pods of others count only on those that it lets in."""

    def test_others_stay_off_the_nodes_that_count_where_else_pods_were_left_over(self) -> None:
        """The pool of the pinned pods is open to the others too, who could stand unevenly there."""
        pools = [make_pool(), make_pool("own", labels=(("for", "own"),))]
        rules = [spread(app="web")]
        pods = [
            *make_pods(5, app="web", spreads=rules),
            *make_pods(4, app="web", node_selector={"for": "own"}, spreads=rules),
        ]
        assert left_over(make_snapshot(pods, THREE_ZONES, pools=pools)) == 0

    def test_one_domain_is_never_uneven(self) -> None:
        """All that the pinned pod's spread counts is in its own zone, however many others may come there."""
        rules = [spread(app="web")]
        pinned = make_pod(app="web", node_selector={"own": "yes"}, spreads=rules)
        pods = [*make_pods(7, app="web", spreads=rules), pinned]
        node = make_node("theirs", labels={"own": "yes"})
        assert left_over(make_snapshot(pods, THREE_ZONES, nodes=[node])) == 0

    def test_who_may_be_in_one_zone_only_comes_before_those_who_can_make_way(self) -> None:
        """Its own spread always holds; if the others were in its zone too, theirs would keep it out."""
        rules = [spread(app="web")]
        pods = [
            *make_pods(4, app="web", spreads=rules),
            *make_pods(4, app="web", node_selector={keys.ZONE: ZONES[0]}, spreads=rules),
        ]
        assert left_over(make_snapshot(pods, THREE_ZONES)) == 0

    def test_the_same_rule_over_other_nodes_is_not_the_groups_own(self) -> None:
        """What the pinned pods' zones hold is no matter to those who may go anywhere."""
        nodes = [make_node(name, zone=zone, labels={"own": "yes"}) for name, zone in zip("ab", ZONES[:2], strict=True)]
        rules = [spread(app="web")]
        pods = [
            *make_pods(4, app="web", node_selector={"own": "yes"}, spreads=rules),
            *make_pods(3, app="web", spreads=rules),
        ]
        assert left_over(make_snapshot(pods, THREE_ZONES, nodes=nodes)) == 0


class TestHostsThatAreKnown:
    WHERE = ((requirement("own", "Exists"),),)

    def pods(self, count: int) -> list:
        return make_pods(count, app="web", cpu="100m", affinity=self.WHERE, spreads=OVER_HOSTS)

    @pytest.mark.parametrize(("nodes", "count"), [(1, 3), (2, 5), (3, 7)])
    def test_pods_go_round_as_long_as_there_is_room(self, nodes: int, count: int) -> None:
        there = [make_node(f"n{n}", labels={"own": "yes"}) for n in range(nodes)]
        assert left_over(make_snapshot(self.pods(count), THREE_ZONES, nodes=there)) == 0

    def test_a_full_node_holds_the_others_back(self) -> None:
        there = [make_node("full", pods=0, labels={"own": "yes"}), make_node("free", labels={"own": "yes"})]
        assert left_over(make_snapshot(self.pods(3), THREE_ZONES, nodes=there)) == 2

    def test_fewer_hosts_than_are_asked_for(self) -> None:
        rules = [spread(keys.HOSTNAME, min_domains=2, app="web")]
        pods = make_pods(3, app="web", affinity=self.WHERE, spreads=rules)
        assert left_over(make_snapshot(pods, THREE_ZONES, nodes=[make_node("n", labels={"own": "yes"})])) == 2

    def test_the_only_node_that_a_limit_lets_be_bought(self) -> None:
        pools = [make_pool(limit_nodes=1)]
        pods = make_pods(3, app="web", cpu="100m", spreads=OVER_HOSTS)
        assert left_over(make_snapshot(pods, THREE_ZONES, pools=pools)) == 0

    def test_a_second_node_that_may_be_bought_counts(self) -> None:
        pools = [make_pool(limit_nodes=2)]
        pods = make_pods(3, app="web", cpu="100m", spreads=OVER_HOSTS)
        plan = plan_of(make_snapshot(pods, THREE_ZONES, pools=pools))
        assert [len(node.pods) for node in plan.additions] == [1, 1]


def test_a_limit_that_zones_share_is_used_up() -> None:
    """Two nodes of the three zones: the search may give up any, but not two pods for one."""
    pods = make_pods(6, app="web", cpu="1500m", spreads=[spread(app="web")])
    plan = plan_of(make_snapshot(pods, THREE_ZONES, pools=[make_pool(limit_nodes=2)]))
    assert len(plan.additions) == 2
    assert "limits of NodePools leave no room" in plan.unplaceable[0].reason


class TestRoomThatShowsLater:
    def test_pods_that_made_way_for_what_was_not_bought_in_the_end(self) -> None:
        """With the large pods a dear node seemed the better use of the money; without the small ones it was not."""
        pools = [make_pool(limit_micro_usd_hour=100_000)]
        sold = [make_offering("s.large", 0.0282 + n * 0.0015, zone=zone, spot=True) for n, zone in enumerate(ZONES)]
        dear = [make_offering(usd=3 * (0.0282 + n * 0.0015), zone=zone) for n, zone in enumerate(ZONES)]
        pods = [
            *make_pods(3, app="web", cpu="200m", workload="web", anti_affinity=[repels(keys.ZONE, app="web")]),
            *make_pods(4, app="large", cpu="1900m"),
            *make_pods(2, app="other", cpu="500m", workload="other"),
        ]
        rules = [make_rule("web", 3), make_rule("other", 2)]
        snapshot = make_snapshot(pods, [*dear, *sold], pools=pools, workloads=rules)
        plan = plan_of(snapshot, Budget(seconds=None, column_rounds=4, generations=1))
        assert plan.placed_pods == 5

    def test_pods_spread_over_hosts_share_the_only_node_that_the_limit_lets_be(self) -> None:
        """Two small nodes were for sale as well; the one that is bought uses the limit up, so no second one counts."""
        pools = [make_pool(limit_resources=((CPU, 4000),))]
        sold = [make_offering("m.large", 0.1, cpu="2"), make_offering("m.xlarge", 0.15, cpu="4")]
        pods = [
            *make_pods(3, app="web", cpu="200m", spreads=OVER_HOSTS),
            make_pod(app="large", cpu="2500m"),
        ]
        plan = plan_of(make_snapshot(pods, sold, pools=pools))
        assert [len(node.pods) for node in plan.additions] == [4]
