"""Pods land where kube-scheduler puts them: what it would do with a plan, and what makes the plan hold all the same."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from builders import (
    ZONES,
    attracts,
    make_claim,
    make_node,
    make_offering,
    make_pod,
    make_pods,
    make_pool,
    make_rule,
    make_shape,
    make_snapshot,
    repels,
    spread,
    taint,
)
from spotkube.model import labels as keys
from spotkube.model.cluster import ClaimPhase
from spotkube.model.labels import PLACEMENT_GATE
from spotkube.model.offerings import Offering
from spotkube.model.plan import Placement, Plan, PlannedNode
from spotkube.model.pods import Pod
from spotkube.planner.clock import Clock, Stop
from spotkube.planner.landing.check import check_landing, land_once, misfits
from spotkube.planner.landing.mending import REASON, with_landing
from spotkube.planner.landing.scene import site_of
from spotkube.planner.landing.scheduler import Scheduler, enough_nodes
from spotkube.planner.landing.site import Guest, Place, Site, make_site
from spotkube.planner.landing.state import State


def place(name: str, cpu: str = "4", zone: str = ZONES[0], *, there: bool = False, **what: Any) -> Place:
    offering = make_offering(cpu=cpu, zone=zone, memory="16Gi", **what)
    labels = {**dict(offering.labels), keys.HOSTNAME: name, "metadata.name": name}
    return Place(
        name, tuple(sorted(labels.items())), (), offering.allocatable, there=there, spot=what.get("spot", False)
    )


def placed(site: Site, seed: int = 0, *, listed: bool = False) -> list[str]:
    """Where kube-scheduler puts the pods, in their order, onto nodes that are there."""
    state = State(site)
    for guest, one in enumerate(site.guests):
        state.nominate(guest, one.target)
    Scheduler(state, random.Random(seed), listed=listed).run(range(len(site.guests)))
    return [site.places[where].name if where >= 0 else "" for where in state.where]


def free(pods: Iterable[Pod]) -> list[Guest]:
    return [Guest(pod) for pod in pods]


class TestScheduler:
    def test_the_emptier_node_is_taken(self) -> None:
        crowd = place("full", there=True)
        places = [replace(crowd, residents=(make_pod(cpu="2", node="full"),), used=make_shape("2").requests)]
        site = make_site([*places, place("empty", there=True)], free(make_pods(1)))

        assert placed(site) == ["empty"]

    def test_pods_of_one_owner_are_spread_over_hosts_and_zones(self) -> None:
        places = [place(f"n{n}", zone=ZONES[n % 2], there=True, pods=9) for n in range(4)]
        site = make_site(places, free(make_pods(4, cpu="100m", owner="ReplicaSet/web")))

        assert len(set(placed(site))) == 4

    def test_ties_fall_to_the_dice(self) -> None:
        site = make_site([place("a", there=True), place("b", there=True)], free(make_pods(1)))

        assert {placed(site, seed)[0] for seed in range(20)} == {"a", "b"}

    def test_or_always_to_the_first_of_a_list(self) -> None:
        site = make_site([place("a", there=True), place("b", there=True)], free(make_pods(8, cpu="100m")))

        assert {"".join(placed(site, seed, listed=True)) for seed in range(20)} == {"abababab", "babababa"}

    def test_a_preferred_taint_is_shunned(self) -> None:
        shy = replace(place("shy", there=True), taints=(taint("old", effect="PreferNoSchedule"),))
        site = make_site([shy, place("fresh", there=True)], free(make_pods(1)))

        assert placed(site) == ["fresh"]

    def test_the_nominated_node_comes_first(self) -> None:
        site = make_site([place("a", "64", there=True), place("b", "2", there=True)], [Guest(make_pod(), target=1)])

        assert placed(site) == ["b"]

    def test_room_is_kept_for_nominated_pods_of_no_lower_priority(self) -> None:
        eager, patient = make_pod(cpu="3"), make_pod(cpu="3")
        places = [place("a", there=True)]

        assert placed(make_site(places, [Guest(eager), Guest(patient, target=0)])) == ["", "a"]
        urgent = replace(eager, shape=replace(eager.shape, priority=1))
        assert placed(make_site(places, [Guest(urgent), Guest(patient, target=0)])) == ["a", ""]

    def test_anti_affinity_holds_both_ways(self) -> None:
        hermit = make_pod(app="hermit", anti_affinity=[repels(app="web")])
        places = [place("a", there=True), place("b", there=True)]

        for pods in ([hermit, make_pod(app="web")], [make_pod(app="web"), hermit]):
            assert len(set(placed(make_site(places, free(pods))))) == 2
            assert placed(make_site(places[:1], free(pods))) == ["a", ""]

    def test_a_spread_counts_domains_of_nodes_that_are_closed(self) -> None:
        shape = make_shape(spreads=[spread(app="web")])
        pods = [make_pod(app="web", shape=shape) for _ in range(3)]
        closed = replace(place("b", zone=ZONES[1]), closed=True)

        assert placed(make_site([place("a", there=True), closed], free(pods))) == ["a", "", ""]
        assert placed(make_site([place("a", there=True)], free(pods))) == ["a", "a", "a"]

    def test_the_first_is_its_own_company_and_draws_the_others(self) -> None:
        shape = make_shape(pod_affinity=[attracts(keys.ZONE, app="near")])
        pods = [make_pod(app="near", shape=shape) for _ in range(3)]
        places = [place(f"n{n}", "2", zone=ZONES[n % 2], there=True) for n in range(4)]

        for seed in range(10):
            zones = {ZONES[int(name[1]) % 2] for name in placed(make_site(places, free(pods)), seed)}
            assert len(zones) == 1

    def test_host_ports_are_not_shared(self) -> None:
        pods = [make_pod(host_ports=[80]) for _ in range(2)]

        assert placed(make_site([place("a", there=True)], free(pods))) == ["a", ""]

    @pytest.mark.parametrize(("nodes", "looked_for"), [(50, 50), (100, 100), (1000, 420), (5000, 500), (20000, 1000)])
    def test_of_many_nodes_not_all_are_looked_at(self, nodes: int, looked_for: int) -> None:
        """The documented figures: 50 % of 100 nodes and 10 % of 5,000, at least 5 %, at least 100 nodes."""
        assert enough_nodes(nodes) == looked_for


class TestCheck:
    def test_where_only_room_matters_nominations_suffice_and_nothing_is_tried(self) -> None:
        site = make_site([place("a"), place("b")], [Guest(pod, n % 2) for n, pod in enumerate(make_pods(6))])

        assert check_landing(site, seed=0, stop=Clock(None).stop()).tries == 0
        assert all(land_once(site, random.Random(seed)) == [] for seed in range(20))

    def test_an_even_spread_lands_in_any_order(self) -> None:
        shape = make_shape(spreads=[spread(app="web")])
        guests = [Guest(make_pod(app="web", shape=shape), n % 3) for n in range(12)]
        site = make_site([place(f"n{n}", zone=ZONES[n]) for n in range(3)], guests)

        landing = check_landing(site, seed=0, stop=Clock(None).stop())

        assert (landing.tries, landing.failed) == (100, 0)

    def crowd(self) -> Site:
        """Three pods that must be together in one zone, planned into the first; another has room for one of them."""
        shape = make_shape("1", pod_affinity=[attracts(keys.ZONE, app="near")])
        guests = [Guest(make_pod(app="near", shape=shape), 0) for _ in range(3)]
        return make_site([place("a", "3"), place("b", "4", ZONES[1])], [*guests, Guest(make_pod(cpu="3"), 1)])

    def test_pods_can_not_go_astray_since_only_their_own_node_takes_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert check_landing(self.crowd(), seed=0, stop=Clock(None).stop()).failed == 0

        monkeypatch.setattr(State, "get_ready", State.open_up)  # as if nodes were open to all
        assert check_landing(self.crowd(), seed=0, stop=Clock(None).stop()).failed > 10

    def test_nor_take_the_room_of_others_by_their_priority(self, monkeypatch: pytest.MonkeyPatch) -> None:
        small = make_pod(cpu="1")
        urgent = replace(small, shape=replace(small.shape, priority=9))
        guests = [Guest(urgent, 0), Guest(make_pod(cpu="2"), 1)]
        site = make_site([place("a", "1"), place("b", "2")], guests)
        assert not any(land_once(site, random.Random(seed)) for seed in range(50))

        monkeypatch.setattr(State, "get_ready", State.open_up)
        assert any(land_once(site, random.Random(seed)) for seed in range(50))

    def test_nor_go_onto_spot_where_they_may_not_be(self, monkeypatch: pytest.MonkeyPatch) -> None:
        guests = [Guest(make_pod(), 0, off_spot=True), Guest(make_pod(workload="w"), 1)]
        site = make_site([place("a", "1"), place("b", "2", spot=True)], guests)
        assert not any(land_once(site, random.Random(seed)) for seed in range(50))

        monkeypatch.setattr(State, "get_ready", State.open_up)
        assert any(land_once(site, random.Random(seed)) for seed in range(50))

    def test_a_node_that_is_there_may_lure_them_away(self) -> None:
        """What remains: room on an open node that kube-scheduler has not seen yet."""
        shape = make_shape("1", pod_affinity=[attracts(keys.ZONE, app="near")])
        guests = [Guest(make_pod(app="near", shape=shape), 0) for _ in range(3)]
        site = make_site([place("a", "3"), place("b", "1", ZONES[1], there=True)], guests)

        assert check_landing(site, seed=0, stop=Clock(None).stop()).failed == 100

    def test_gated_pods_wait_for_their_node(self) -> None:
        shape = make_shape("1", pod_affinity=[attracts(keys.ZONE, app="near")])
        guests = [Guest(make_pod(app="near", shape=shape), 0, gated=True) for _ in range(3)]
        site = make_site([place("a", "3"), place("b", "4", ZONES[1])], guests)

        assert check_landing(site, seed=0, stop=Clock(None).stop()).failed == 0

    def test_pods_without_nominations_do_not_fit_a_tight_plan(self) -> None:
        """What happens where kube-scheduler is free: it fills the large node with small pods."""
        small, large = make_pods(4, cpu="1"), make_pods(1, cpu="4")
        site = make_site([place("a", "4", there=True), place("b", "4", there=True)], free([*small, *large]))

        assert "" in [name for seed in range(20) for name in placed(site, seed)]

    @pytest.mark.parametrize(("zones", "misfit"), [("abc", False), ("aab", True), ("ab", False)])
    def test_whom_rules_keep_from_where_they_were_planned(self, zones: str, misfit: bool) -> None:
        """minDomains of four in three zones: one pod in each."""
        pods = make_pods(len(zones), app="web", spreads=[spread(min_domains=4, app="web")])
        places = [place(f"n{n}", zone=f"zone-{zone}") for n, zone in enumerate(zones)]
        site = make_site(places, [Guest(pod, n) for n, pod in enumerate(pods)])

        assert bool(misfits(site)) is misfit

    def test_the_same_seed_lands_the_same_way(self) -> None:
        site = self.crowd()

        assert check_landing(site, seed=3, stop=Clock(None).stop(), tries=20) == check_landing(
            site, seed=3, stop=Clock(None).stop(), tries=20
        )


def both_zones(cpu: str = "4") -> list[Offering]:
    return [make_offering(f"m{cpu}", 0.1 * int(cpu), cpu=cpu, memory="64Gi", zone=zone, pods=50) for zone in ZONES[:2]]


class TestMending:
    def test_a_plan_that_nothing_can_upset_needs_no_tries(self) -> None:
        pods = make_pods(3)
        plan = Plan(additions=(PlannedNode("pool", both_zones()[0], tuple(pod.uid for pod in pods), ""),))

        landed = with_landing(make_snapshot(pods, both_zones()), plan, [make_pool()], seed=0, stop=Clock(None).stop())

        assert landed == plan

    def test_a_plan_whose_pods_are_lost_gets_room(self) -> None:
        """kube-scheduler would refuse this plan anyway: both pods keep away from each other."""
        hermits = [make_pod(app="hermit", anti_affinity=[repels(app="hermit")]) for _ in range(2)]
        offerings = both_zones()
        plan = Plan(additions=(PlannedNode("pool", offerings[0], tuple(pod.uid for pod in hermits), ""),))

        landed = with_landing(make_snapshot(hermits, offerings), plan, [make_pool()], seed=0, stop=Clock(None).stop())

        assert [len(node.pods) for node in landed.additions] in ([1, 1], [0, 2])
        assert landed.additions[1].reason == REASON
        assert landed.landing.failed_before == landed.landing.tries == 100
        assert (landed.landing.failed, landed.landing.nodes_added) == (0, 1)
        assert landed.landing.micro_usd_hour_added == offerings[0].price_micro_usd_hour
        assert landed.cost_after_micro_usd_hour == plan.cost_after_micro_usd_hour + offerings[0].price_micro_usd_hour

    def test_not_beyond_the_limits_of_the_pool(self) -> None:
        hermits = [make_pod(app="hermit", anti_affinity=[repels(app="hermit")]) for _ in range(2)]
        plan = Plan(additions=(PlannedNode("pool", both_zones()[0], tuple(pod.uid for pod in hermits), ""),))
        pool = make_pool(limit_nodes=1)

        landed = with_landing(
            make_snapshot(hermits, both_zones(), pools=(pool,)), plan, [pool], seed=0, stop=Clock(None).stop()
        )

        assert landed.additions == plan.additions
        assert landed.landing.failed == landed.landing.tries > 0

    def test_a_node_that_is_gone_counts_no_more(self) -> None:
        hermits = [make_pod(app="hermit", anti_affinity=[repels(app="hermit")]) for _ in range(2)]
        plan = Plan(additions=(PlannedNode("pool", both_zones()[0], tuple(pod.uid for pod in hermits), ""),))
        pool, gone = make_pool(limit_nodes=2), make_claim("gone", both_zones()[0], phase=ClaimPhase.TERMINATED)
        snapshot = make_snapshot(hermits, both_zones(), pools=(pool,), claims=[gone])

        landed = with_landing(snapshot, plan, [pool], seed=0, stop=Clock(None).stop())

        assert len(landed.additions) == 2

    def test_a_workload_with_a_limited_share_of_spot_gets_room_on_demand(self) -> None:
        hermits = [make_pod(app="hermit", workload="hermits", anti_affinity=[repels(app="hermit")]) for _ in range(2)]
        spot = make_offering("spot", 0.1, spot=True)
        plan = Plan(additions=(PlannedNode("pool", spot, tuple(pod.uid for pod in hermits), ""),))
        rule = replace(make_rule("hermits", 2), max_fraction_per_pool=0.5)
        snapshot = make_snapshot(hermits, (spot, make_offering("safe", 0.9)), workloads=[rule])

        landed = with_landing(snapshot, plan, [make_pool()], seed=0, stop=Clock(None).stop())

        assert [node.offering.instance_type for node in landed.additions] == ["spot", "safe"]

    def test_a_replay_stops_where_the_first_run_did(self) -> None:
        shape = make_shape(spreads=[spread(app="web")])
        pods = [make_pod(app="web", shape=shape) for _ in range(4)]
        snapshot = make_snapshot(pods, both_zones())
        plan = Plan(
            additions=tuple(
                PlannedNode("pool", offering, tuple(pod.uid for pod in pods[n::2]), "")
                for n, offering in enumerate(both_zones())
            )
        )
        stop = Clock(0.0).stop()
        hurried = with_landing(snapshot, plan, [make_pool()], seed=0, stop=stop)
        assert hurried.work.landing_tries == hurried.landing.tries == 1

        again = with_landing(snapshot, plan, [make_pool()], seed=0, stop=Stop(None, stop.passes))

        assert again == hurried


class TestScene:
    def test_what_is_there_and_what_comes(self) -> None:
        offering = both_zones()[0]
        claim = make_claim("coming", offering, phase="Launched")
        pods = [
            make_pod("runs", node="old", cpu="1"),
            make_pod("moves", nominated="coming", gates=(PLACEMENT_GATE,)),
            make_pod("new"),
            make_pod("placed"),
            make_pod("held", gates=("somebody/else",)),
        ]
        snapshot = make_snapshot(
            pods, [offering], nodes=[make_node("old"), make_node("shut", unschedulable=True)], claims=[claim]
        )
        plan = Plan(
            additions=(PlannedNode("pool", offering, ("uid-new",), ""),), placements=(Placement("uid-placed", "old"),)
        )

        site = site_of(snapshot, plan, [make_pool()])

        names = [each.name for each in site.places]
        assert names == ["old", "coming", "planned-0", "shut"]
        assert [each.there for each in site.places] == [True, False, False, False]
        assert [each.closed for each in site.places] == [False, False, False, True]
        assert {guest.pod.name: names[guest.target] for guest in site.guests} == {
            "moves": "coming",
            "new": "planned-0",
            "placed": "old",
        }
        assert site.places[0].used["cpu"] == 1000
        assert [guest.gated for guest in site.guests if guest.pod.name == "moves"] == [True]


def test_rooms_of_the_state_come_and_go_with_nominations() -> None:
    site = make_site([place("a", there=True)], [Guest(pod, 0) for pod in make_pods(2)])
    state = State(site)
    rows = np.array([0])
    before = state.free(site.kinds[0], rows).tolist()

    state.nominate(0, 0)
    state.nominate(1, 0)
    state.clear(0)
    state.bind(1, 0)

    after = state.free(site.kinds[0], rows)[0]
    assert Counter(np.array(before[0]) - after) == Counter(site.kinds[0].demand)
