"""Volumes in the problem: zones that they are in, and how many of them a node takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from builders import (
    ZONES,
    attracts,
    make_claim,
    make_node,
    make_offering,
    make_pod,
    make_pods,
    make_snapshot,
    repels,
    requirement,
)
from scheduler_check import complaints
from spotkube.model import labels as keys
from spotkube.model.cluster import ClaimPhase, Mode, Snapshot
from spotkube.model.offerings import Offering
from spotkube.model.plan import Plan
from spotkube.model.pods import Pod
from spotkube.model.resources import ResourceList
from spotkube.model.volumes import attachments
from spotkube.planner.decide import decide
from spotkube.planner.formulation.build import build
from spotkube.planner.formulation.volumes import taken
from spotkube.planner.problem import Budget

WORK = Budget(seconds=None, column_rounds=20, generations=5)
DRIVER = "ebs.csi.aws.com"


def plan_of(snapshot: Snapshot) -> Plan:
    plan = decide(snapshot, Mode.RECOMMEND, seed=1, budget=WORK)
    assert complaints(snapshot, plan) == []
    return plan


def reaching(pod: Pod, *places: Mapping[str, str]) -> Pod:
    """The pod with a volume for each of these, that only nodes with such labels reach."""
    terms = tuple((tuple(requirement(key, "In", value) for key, value in labels.items()),) for labels in places)
    return replace(pod, shape=replace(pod.shape, volume_terms=terms))


def bringing(pod: Pod, *handles: str, shared: Sequence[str] = ()) -> Pod:
    """The pod with these volumes of its own, and those that it shares."""
    shape = replace(
        pod.shape,
        attachments=attachments({DRIVER: len(handles)}),
        shared_attachments=attachments({DRIVER: len(shared)}),
    )
    return replace(pod, shape=shape, volumes=tuple((DRIVER, handle) for handle in (*handles, *shared)))


def limited(offering: Offering, volumes: int) -> Offering:
    more = attachments({DRIVER: volumes})
    return replace(offering, allocatable=offering.allocatable + more, capacity=offering.capacity + more)


class TestReach:
    OFFERINGS = tuple(make_offering("m.large", 0.1 + i / 100, zone=zone) for i, zone in enumerate(ZONES))

    def test_a_node_is_bought_where_the_volume_is(self) -> None:
        pod = reaching(make_pod(), {keys.ZONE: "zone-c"})
        (node,) = plan_of(make_snapshot([pod], self.OFFERINGS)).additions
        assert node.offering.zone == "zone-c"

    def test_the_label_that_a_drivers_own_agent_gives_to_each_node_is_foreseen(self) -> None:
        pod = reaching(make_pod(), {"topology.ebs.csi.aws.com/zone": "zone-b"})
        (node,) = plan_of(make_snapshot([pod], self.OFFERINGS)).additions
        assert node.offering.zone == "zone-b"

    def test_of_a_node_that_is_there_only_its_own_labels_count(self) -> None:
        pod = reaching(make_pod(), {"topology.ebs.csi.aws.com/zone": "zone-a"})
        (node,) = plan_of(make_snapshot([pod], self.OFFERINGS, nodes=(make_node("n1"),))).additions
        assert node.offering.zone == "zone-a"
        there = make_node("n1", labels={"topology.ebs.csi.aws.com/zone": "zone-a"})
        assert plan_of(make_snapshot([pod], self.OFFERINGS, nodes=(there,))).additions == ()

    def test_a_local_volume_ties_the_pod_to_its_node(self) -> None:
        pod = reaching(make_pod(), {keys.HOSTNAME: "n2"})
        plan = plan_of(make_snapshot([pod], self.OFFERINGS, nodes=(make_node("n1"), make_node("n2"))))
        assert [placement.target for placement in plan.placements] == ["n2"]

    def test_volumes_in_two_zones_and_the_reason(self) -> None:
        pod = reaching(make_pod(), {keys.ZONE: "zone-a"}, {keys.ZONE: "zone-b"})
        (left,) = plan_of(make_snapshot([pod], self.OFFERINGS)).unplaceable
        assert left.reason == "none of 3 offerings fits: 3 do not reach its volumes"

    def test_why_a_pod_is_refused_is_told_and_the_others_are_planned(self) -> None:
        pod = make_pod()
        refused = replace(pod, shape=replace(pod.shape, refused="PersistentVolumeClaim default/a does not exist"))
        plan = plan_of(make_snapshot([refused, make_pod()], self.OFFERINGS))
        assert [left.reason for left in plan.unplaceable] == ["PersistentVolumeClaim default/a does not exist"]
        assert plan.placed_pods == 1


class TestLimits:
    def test_a_node_that_is_there_takes_as_many_as_its_csi_node_says(self) -> None:
        node = make_node("n1", volume_limits=((DRIVER, 2),))
        pods = [bringing(make_pod(cpu="100m"), f"vol-{i}") for i in range(3)]
        plan = plan_of(make_snapshot(pods, [make_offering()], nodes=(node,)))
        assert (len(plan.placements), len(plan.additions)) == (2, 1)

    def test_volumes_of_pods_that_run_there_count_once_each(self) -> None:
        node = make_node("n1", volume_limits=((DRIVER, 3),))
        there = [bringing(make_pod(node="n1", cpu="100m"), shared=["vol-a"]) for _ in range(2)]
        pods = [bringing(make_pod(cpu="100m"), f"vol-{i}") for i in range(3)]
        plan = plan_of(make_snapshot([*there, *pods], [make_offering()], nodes=(node,)))
        assert len(plan.placements) == 2

    def test_a_limit_of_none_takes_none(self) -> None:
        node = make_node("n1", volume_limits=((DRIVER, 0),))
        snapshot = make_snapshot([bringing(make_pod(), "vol-1"), make_pod(cpu="2")], [make_offering()], nodes=(node,))
        assert len(plan_of(snapshot).placements) == 1

    def test_a_driver_without_a_limit_takes_any_number(self) -> None:
        node = make_node("n1", volume_limits=(("other", 1),), pods=100)
        pods = [bringing(make_pod(cpu="10m", memory="1Mi"), f"vol-{i}") for i in range(60)]
        assert len(plan_of(make_snapshot(pods, [make_offering()], nodes=(node,))).placements) == 60

    def test_a_volume_that_pods_share_is_kept_room_for_once(self) -> None:
        node = make_node("n1", volume_limits=((DRIVER, 2),))
        pods = [bringing(make_pod(cpu="100m"), shared=["vol-a"]) for _ in range(3)]
        pods += [bringing(make_pod(cpu="100m"), handle) for handle in ("vol-b", "vol-c")]
        assert len(plan_of(make_snapshot(pods, [make_offering()], nodes=(node,))).placements) == 4

    def test_where_limits_are_too_tight_for_that_it_counts_for_each_pod(self) -> None:
        """Else a pod with a volume of its own would have no place on any node."""
        offering = limited(make_offering(), 2)
        pods = [bringing(make_pod(cpu="100m"), shared=[handle]) for handle in ("vol-a", "vol-b") for _ in range(2)]
        pods.append(bringing(make_pod(cpu="100m"), "vol-c"))
        plan = plan_of(make_snapshot(pods, [offering]))
        assert (plan.unplaceable, len(plan.additions)) == ((), 3)

    def test_nodes_to_buy_have_the_limit_that_the_catalog_knows(self) -> None:
        pods = [bringing(make_pod(cpu="100m"), f"vol-{i}") for i in range(5)]
        assert len(plan_of(make_snapshot(pods, [make_offering()])).additions) == 1
        assert len(plan_of(make_snapshot(pods, [limited(make_offering(), 2)])).additions) == 3

    def test_a_pod_with_more_volumes_than_any_node_takes(self) -> None:
        pod = bringing(make_pod(), "vol-1", "vol-2", "vol-3")
        (left,) = plan_of(make_snapshot([pod], [limited(make_offering(), 2)])).unplaceable
        assert f"1 have too few attachable-volumes-csi-{DRIVER} (asked 3, at most 2)" in left.reason

    def test_a_claim_on_its_way_has_the_limit_that_it_was_bought_with(self) -> None:
        offering = limited(make_offering(), 1)
        claim = make_claim("c1", offering, phase=ClaimPhase.PENDING)
        pods = [bringing(make_pod(cpu="100m"), f"vol-{i}") for i in range(2)]
        plan = plan_of(make_snapshot(pods, [offering], claims=(claim,)))
        assert (len(plan.placements), len(plan.additions)) == (1, 1)

    def test_a_nomination_that_its_volumes_do_not_fit_is_void(self) -> None:
        node = make_node("n1", volume_limits=((DRIVER, 1),))
        pods = [bringing(make_pod(nominated="n1", cpu="100m"), f"vol-{i}") for i in range(2)]
        snapshot = make_snapshot(pods, [make_offering()], nodes=(node,))
        built = build(snapshot, snapshot.pools)
        assert [len(b.residents) for b in built.bins] == [1]
        assert built.problem.count.tolist() == [1]

    def test_no_volume_limits_the_bound_of_what_stands_already(self) -> None:
        """What runs may be over a limit that was lowered since: the bound speaks of its requests alone."""
        offering = limited(make_offering(pods=20), 1)
        claim = make_claim("c1", offering)
        pods = [bringing(make_pod(node="c1", cpu="100m"), f"vol-{i}") for i in range(3)]
        node = replace(make_node("c1", "2"), claim="c1", labels=claim.labels)
        waiting = make_pods(1, cpu="2")
        plan = plan_of(make_snapshot([*pods, *waiting], [offering], claims=(claim,), nodes=(node,)))
        assert plan.lower_bound_micro_usd_hour <= plan.cost_after_micro_usd_hour


def test_a_pod_takes_its_requests_and_its_volumes() -> None:
    shape = bringing(make_pod(cpu="1", memory="0"), "vol-1").shape
    assert taken(shape, {}) == ResourceList({"cpu": 1000, "pods": 1, f"attachable-volumes-csi-{DRIVER}": 1})
    plain = make_pod().shape
    assert taken(plain, {}) is plain.requests


class TestSharedBeforeItIsBound:
    OFFERINGS = tuple(make_offering("m.large", 0.1 + i / 100, zone=zone) for i, zone in enumerate(ZONES))

    def sharing(self, **wants: Any) -> Pod:
        return replace(make_pod(cpu="2", **wants), unbound=(("default", "data"),))

    def zones(self, *pods: Pod, **more: Any) -> set[str]:
        return {node.offering.zone for node in plan_of(make_snapshot(pods, self.OFFERINGS, **more)).additions}

    def test_all_come_to_the_cheapest_zone(self) -> None:
        assert self.zones(self.sharing(), self.sharing()) == {"zone-a"}

    def test_or_to_the_one_that_all_of_them_can_be_in(self) -> None:
        narrow = self.sharing(affinity=[(requirement(keys.ZONE, "NotIn", "zone-a", "zone-b"),)])
        assert self.zones(self.sharing(), narrow) == {"zone-c"}

    def test_a_node_that_is_there_draws_them(self) -> None:
        plan = plan_of(
            make_snapshot(
                [self.sharing(), self.sharing()], self.OFFERINGS, nodes=(make_node("n1", "2", zone="zone-b"),)
            )
        )
        assert [placement.target for placement in plan.placements] == ["n1"]
        assert [node.offering.zone for node in plan.additions] == ["zone-b"]

    def test_those_that_run_have_a_say(self) -> None:
        nodes = [make_node("n1", "1", zone="zone-a"), make_node("n2", "1", zone="zone-b")]
        there = [make_pod(app="foe", node="n1"), make_pod(app="friend", node="n2")]
        wary = self.sharing(anti_affinity=[repels(keys.ZONE, app="foe")])
        fond = self.sharing(pod_affinity=[attracts(keys.ZONE, app="friend")])
        hated = self.sharing(app="hated")
        hater = make_pod(node="n1", anti_affinity=[repels(keys.ZONE, app="hated")])
        for pod in (wary, fond):
            assert self.zones(self.sharing(), pod, *there, nodes=nodes) == {"zone-b"}
        assert self.zones(self.sharing(), hated, hater, nodes=nodes) == {"zone-b"}

    def test_where_no_zone_takes_all_the_first_has_the_claim(self) -> None:
        pods = [self.sharing(node_selector={keys.ZONE: zone}) for zone in ("zone-a", "zone-b")]
        plan = plan_of(make_snapshot(pods, self.OFFERINGS))
        assert [node.offering.zone for node in plan.additions] == ["zone-a"]
        (left,) = plan.unplaceable
        assert "shares PersistentVolumeClaim default/data, which is not bound yet" in left.reason

    def test_those_that_may_not_be_in_one_zone_are_not_all_planned(self) -> None:
        pods = [self.sharing(app="db", anti_affinity=[repels(keys.ZONE, app="db")]) for _ in range(2)]
        plan = plan_of(make_snapshot(pods, self.OFFERINGS))
        assert (plan.placed_pods, len(plan.unplaceable)) == (1, 1)
