"""The problem that a snapshot becomes: what may go where, and what is left to buy."""

from dataclasses import replace

import numpy as np
import pytest

from builders import (
    GPU,
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
    make_shape,
    make_snapshot,
    node_of,
    repels,
    requirement,
    spread,
    taint,
)
from spotkube.model import labels as keys
from spotkube.model.cluster import ClaimPhase, Snapshot
from spotkube.model.notices import Notice, NoticeKind
from spotkube.model.selectors import TaintEffect, Toleration
from spotkube.planner.formulation.assembling import Built
from spotkube.planner.formulation.build import build
from spotkube.planner.formulation.groups import Group
from spotkube.planner.formulation.waiting import pods_to_place

NOTICE = Notice(NoticeKind.SPOT_INTERRUPTION, "source", "id", 120)


def built(snapshot: Snapshot) -> Built:
    return build(snapshot, snapshot.pools)


def sold(snapshot: Snapshot) -> list[str]:
    """What the first group may be bought, as strings."""
    problem = built(snapshot)
    if not problem.groups:
        return []
    return [str(problem.kinds.offerings[o].key) for o in np.flatnonzero(problem.problem.compatible[0])]


def reason(snapshot: Snapshot) -> str:
    (one,) = built(snapshot).unplaceable
    return one.reason


def zone_of(group: Group) -> str:
    return dict(group.where).get(keys.ZONE) or ""


def test_like_pods_are_one_group() -> None:
    snapshot = make_snapshot([*make_pods(3, cpu="1"), *make_pods(2, cpu="2")], [make_offering()])
    assert sorted(built(snapshot).problem.count) == [2, 3]


@pytest.mark.parametrize(
    ("owners", "name"),
    [
        (["Job/index-001", "Job/index-002"], "default/index-*"),
        (["Deployment/web"], "default/web"),
        (["Job/a", "Job/b"], "default/a and 1 like it"),
    ],
)
def test_a_group_is_named_by_its_owners(owners: list[str], name: str) -> None:
    pods = [make_pod(owner=owner) for owner in owners]
    assert built(make_snapshot(pods, [make_offering()])).problem.group_names == (name,)


@pytest.mark.parametrize(
    ("operator", "values", "allowed"),
    [
        ("In", ("amd64",), {"x"}),
        ("NotIn", ("amd64",), {"a"}),
        ("Exists", (), {"x", "a"}),
        ("DoesNotExist", (), set()),
    ],
)
def test_operators_of_node_affinity(operator: str, values: tuple[str, ...], allowed: set[str]) -> None:
    offerings = [make_offering("x", arch="amd64"), make_offering("a", arch="arm64")]
    pod = make_pod(workload="w", affinity=[(requirement(keys.ARCH, operator, *values),)])
    assert {name.split()[0] for name in sold(make_snapshot([pod], offerings))} == allowed


@pytest.mark.parametrize(("operator", "allowed"), [("Gt", {"big"}), ("Lt", {"small"})])
def test_numbers_in_node_affinity(operator: str, allowed: set[str]) -> None:
    offerings = [make_offering("small", cpu="2"), make_offering("mid", cpu="4"), make_offering("big", cpu="8")]
    pod = make_pod(workload="w", affinity=[(requirement(keys.INSTANCE_CPU, operator, "4"),)])
    assert {name.split()[0] for name in sold(make_snapshot([pod], offerings))} == allowed


def test_terms_of_node_affinity_are_ored() -> None:
    offerings = [make_offering(zone=zone) for zone in ZONES]
    terms = [(requirement(keys.ZONE, "In", ZONES[0]),), (requirement(keys.ZONE, "In", ZONES[2]),)]
    assert len(sold(make_snapshot([make_pod(affinity=terms)], offerings))) == 2


@pytest.mark.parametrize("key", [keys.HOSTNAME, keys.NODECLAIM, keys.NODEPOOL])
def test_every_new_node_has_the_labels_of_its_own(key: str) -> None:
    kept_off = make_pod(affinity=[(requirement(key, "DoesNotExist"),)])
    welcome = make_pod(affinity=[(requirement(key, "Exists"),)])
    assert not sold(make_snapshot([kept_off], [make_offering()]))
    assert sold(make_snapshot([welcome], [make_offering()]))


def test_beta_labels_select_as_well() -> None:
    assert sold(make_snapshot([make_pod(node_selector={"beta.kubernetes.io/os": "linux"})], [make_offering()]))


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        (Toleration("team", "Equal", "a"), True),
        (Toleration("team", "Equal", "b"), False),
        (Toleration("team", "Exists"), True),
        (Toleration("", "Exists"), True),
        (Toleration("team", "Exists", effect=TaintEffect.NO_EXECUTE), False),
        (Toleration("other", "Exists"), False),
    ],
)
def test_taints_of_a_pool(toleration: Toleration, tolerated: bool) -> None:
    pool = make_pool(taints=(taint("team", "a"),))
    snapshot = make_snapshot([make_pod(tolerations=[toleration])], [make_offering()], pools=[pool])
    assert bool(sold(snapshot)) is tolerated


def test_a_preference_and_a_startup_taint_keep_nobody_off() -> None:
    pool = make_pool(taints=(taint("soft", effect="PreferNoSchedule"),), startup_taints=(taint("cni"),))
    assert sold(make_snapshot([make_pod()], [make_offering()], pools=[pool]))


def test_daemons_take_their_part_of_each_node_they_run_on() -> None:
    daemons = [make_daemonset("everywhere", "300m"), make_daemonset("arm", "1", node_selector={keys.ARCH: "arm64"})]
    offerings = [make_offering("x", cpu="2"), make_offering("a", cpu="2", arch="arm64")]
    snapshot = make_snapshot([make_pod(cpu="1")], offerings, daemonsets=daemons)
    problem = built(snapshot).problem
    cpu = problem.resources.index("cpu")
    assert sorted(problem.capacity[:, cpu]) == [700, 1700]
    assert sorted(problem.limit_use[:, cpu]) == [2000, 2000]


def test_a_daemon_takes_the_port_that_a_pod_wants() -> None:
    daemon = make_daemonset("exporter", host_ports=[9100])
    snapshot = make_snapshot([make_pod(host_ports=[9100])], [make_offering()], daemonsets=[daemon])
    assert not sold(snapshot)
    assert sold(make_snapshot([make_pod(host_ports=[9101])], [make_offering()], daemonsets=[daemon]))


def test_pods_of_nobody_are_planned_on_demand_unless_the_pool_allows_spot() -> None:
    assert sold(make_snapshot([make_pod()], both_ways())) == ["m.large on-demand in zone-a"]
    lenient = make_pool(allow_unmanaged_on_spot=True)
    assert len(sold(make_snapshot([make_pod()], both_ways(), pools=[lenient]))) == 2


def test_a_workload_that_is_never_on_spot() -> None:
    rule = make_rule("w", 2, fraction=0)
    assert sold(make_snapshot(make_pods(2, workload="w"), both_ways(), workloads=[rule])) == [
        "m.large on-demand in zone-a"
    ]


def test_a_base_on_demand_is_set_apart_and_what_runs_counts() -> None:
    rule = make_rule("w", 5, base=3)
    pods = make_pods(4, workload="w")
    running = make_pod(workload="w", node="foreign")
    snapshot = make_snapshot([*pods, running], both_ways(), workloads=[rule], nodes=[make_node("foreign", "1", pods=1)])
    groups = {group.capacity_type: group for group in built(snapshot).groups}
    assert (groups["on-demand"].count, groups[""].count) == (2, 2)
    assert (groups["on-demand"].sure_count, groups[""].sure_count) == (2, 0)


def test_a_spot_fraction_rounds_in_favour_of_on_demand() -> None:
    rule = make_rule("w", 10, fraction=0.75)
    snapshot = make_snapshot(make_pods(10, workload="w"), both_ways(), workloads=[rule])
    assert {group.capacity_type: group.count for group in built(snapshot).groups} == {"on-demand": 3, "": 7}


def test_pods_of_one_workload_that_differ_share_its_base() -> None:
    """Either of the two may run on demand, so nothing is sure of either: else the bound could be too high."""
    rule = make_rule("w", 4, base=2)
    pods = [*make_pods(2, workload="w", cpu="1"), *make_pods(2, workload="w", cpu="2")]
    groups = built(make_snapshot(pods, both_ways(), workloads=[rule])).groups
    assert [g.sure_count for g in groups if g.capacity_type] == [0]


def test_a_foreign_spot_node_is_spot() -> None:
    node = make_node("theirs", labels={"karpenter.sh/capacity-type": "spot"})
    rule = make_rule("w", 1, fraction=0)
    problem = built(make_snapshot([make_pod(workload="w")], both_ways(), nodes=[node], workloads=[rule])).problem
    assert not problem.bin_compatible.any()


def test_foreign_gates_keep_a_pod_out_and_ours_does_not() -> None:
    foreign, ours = make_pod(gates=("example.com/quota",)), make_pod(gates=(keys.PLACEMENT_GATE,))
    groups = built(make_snapshot([foreign, ours], [make_offering()])).groups
    assert [group.pods for group in groups] == [(ours.uid,)]


def test_a_pod_that_waits_for_its_queue_is_kept_out_though_a_workload_s() -> None:
    held = make_pod(workload="w", gates=(keys.PLACEMENT_GATE, keys.QUEUE_GATE))
    assert pods_to_place(make_snapshot([held])) == []


def test_where_one_was_refused_the_others_are_not_waited_for() -> None:
    refused, untried = make_pod(), make_pod(unschedulable=False)
    elsewhere = make_pod(unschedulable=False, shape=replace(make_shape(), scheduler_name="another"))

    assert pods_to_place(make_snapshot([untried, elsewhere])) == []
    assert pods_to_place(make_snapshot([refused, untried, elsewhere])) == [refused, untried]


def test_what_is_not_modelled_is_reported_and_never_planned() -> None:
    snapshot = make_snapshot([make_pod(unsupported=["resourceClaims"])], [make_offering()])
    assert not built(snapshot).groups
    assert "resourceClaims" in reason(snapshot)


def test_why_nothing_fits_names_each_rule() -> None:
    pod = make_pod(cpu="64", node_selector={keys.ARCH: "arm64"})
    offerings = [make_offering("x"), make_offering("a", arch="arm64")]
    text = reason(make_snapshot([pod], offerings))
    assert "1 lack the label kubernetes.io/arch=arm64" in text
    assert "1 are too small in cpu (asked 64, at most 2)" in text


def test_why_nothing_fits_bears_pods_that_ask_for_no_cpu() -> None:
    pod = make_pod(cpu="0", memory="0", gpu=1)
    assert f"have no {GPU}" in reason(make_snapshot([pod], [make_offering()]))


def test_without_a_pool_nothing_may_be_bought() -> None:
    assert "no NodePool" in reason(make_snapshot([make_pod()], [make_offering()], pools=[]))


def test_gpus_are_bought_where_there_are_some() -> None:
    offerings = [make_offering("cpu"), make_offering("gpu", gpu=1)]
    assert sold(make_snapshot([make_pod(gpu=1)], offerings)) == ["gpu on-demand in zone-a"]
    assert f"have too few {GPU}" in reason(make_snapshot([make_pod(gpu=2)], offerings[1:]))


def test_a_requirement_on_a_label_that_the_pool_gives() -> None:
    mine = make_pool("mine", labels=(("team", "a"),), requirements=(requirement("team", "In", "a"),))
    not_mine = make_pool("not", labels=(("team", "b"),), requirements=(requirement("team", "In", "a"),))
    kinds = built(make_snapshot([make_pod()], [make_offering()], pools=[mine, not_mine])).kinds
    assert [kinds.pools[p].name for p in kinds.pool] == ["mine"]


def test_resting_and_risky_offerings_are_not_bought() -> None:
    risky, resting, fine = (make_offering(name, spot=True, percent=p) for name, p in (("r", 20), ("z", 5), ("f", 5)))
    pool = make_pool(max_interruption_percent=10)
    snapshot = make_snapshot(
        [make_pod(workload="w")], [risky, resting, fine], pools=[pool], resting=frozenset({resting.key})
    )
    assert sold(snapshot) == ["f spot in zone-a"]


class TestLimits:
    OFFERING = make_offering(cpu="2")

    def left(self, snapshot: Snapshot) -> dict[str, int]:
        problem = built(snapshot).problem
        names = (*problem.resources, "nodes", "dollars")
        return {name: int(n) for name, n in zip(names, problem.pool_left[0], strict=True) if n < 2**60}

    def test_zero_is_a_limit(self) -> None:
        pool = make_pool(limit_resources=(("cpu", 0),), limit_nodes=0, limit_micro_usd_hour=0)
        snapshot = make_snapshot([make_pod()], [self.OFFERING], pools=[pool])
        assert self.left(snapshot) == {"cpu": 0, "nodes": 0, "dollars": 0}

    def test_claims_count_unless_a_deadline_is_known(self) -> None:
        pool = make_pool(limit_resources=(("cpu", 10_000),), limit_nodes=5, limit_micro_usd_hour=1_000_000)
        claims = [
            make_claim("runs", self.OFFERING),
            make_claim("noticed", self.OFFERING, deadline=120.0, phase=ClaimPhase.DRAINING),
            make_claim("deleted-by-its-owner", self.OFFERING, deleting=True),
            make_claim("another-pool", self.OFFERING, pool="other"),
        ]
        snapshot = make_snapshot([make_pod()], [self.OFFERING], pools=[pool], claims=claims)
        assert self.left(snapshot) == {"cpu": 6_000, "nodes": 3, "dollars": 800_000}


class TestBins:
    OFFERING = make_offering(cpu="4")

    def bins(self, **fields: object) -> list[str]:
        return [b.name for b in built(make_snapshot([make_pod()], [self.OFFERING], **fields)).bins]

    def test_claims_on_their_way_and_nodes_of_others_take_pods(self) -> None:
        coming = make_claim("coming", self.OFFERING, phase=ClaimPhase.LAUNCHED)
        assert self.bins(claims=[coming], nodes=[make_node("theirs")]) == ["theirs", "coming"]

    def test_a_claim_whose_node_vanished_takes_none(self) -> None:
        assert self.bins(claims=[make_claim("gone", self.OFFERING, phase=ClaimPhase.READY, node="gone")]) == []

    @pytest.mark.parametrize(
        "field", [{"unschedulable": True}, {"ready": False}, {"deleting": True}, {"notice": NOTICE}]
    )
    def test_nodes_that_take_no_pods(self, field: dict[str, object]) -> None:
        assert self.bins(nodes=[make_node("theirs", **field)]) == []

    def test_a_mere_warning_does_not_close_a_node(self) -> None:
        warning = Notice(NoticeKind.REBALANCE_RECOMMENDATION, "source", "id", 600, ends_instance=False)
        assert self.bins(nodes=[make_node("theirs", notice=warning)]) == ["theirs"]

    def test_a_node_of_ours_with_a_deadline_takes_none(self) -> None:
        claim = make_claim("ours", self.OFFERING, deadline=100.0)
        assert self.bins(claims=[claim], nodes=[node_of(claim)]) == []

    def test_room_is_what_pods_and_coming_daemons_leave(self) -> None:
        claim = make_claim("ours", self.OFFERING)
        pods = [
            make_pod(),
            make_pod(node="ours", cpu="1"),
            make_pod(nominated="ours", cpu="500m"),
            make_pod(node="ours", cpu="100m", owner="DaemonSet/there", daemon=True),
        ]
        daemons = [make_daemonset("there", "100m"), make_daemonset("coming", "200m")]
        snapshot = make_snapshot(pods, claims=[claim], nodes=[node_of(claim)], daemonsets=daemons)
        (only,) = built(snapshot).bins
        assert only.free["cpu"] == 4000 - 1000 - 500 - 100 - 200

    def test_shutdown_is_no_passing_taint(self) -> None:
        node = make_node("theirs", taints=(taint("node.cloudprovider.kubernetes.io/shutdown"),))
        assert not built(make_snapshot([make_pod()], [self.OFFERING], nodes=[node])).problem.bin_compatible.any()


class TestNeighbours:
    def test_anti_affinity_with_itself_is_a_cap_of_one(self) -> None:
        pods = make_pods(3, app="db", anti_affinity=[repels(app="db")])
        problem = built(make_snapshot(pods, [make_offering()])).problem
        assert problem.cap_limit.tolist() == [1]
        assert not problem.conflict.any()

    def test_anti_affinity_works_both_ways(self) -> None:
        loner = make_pod(app="loner", anti_affinity=[repels(app="noisy")])
        problem = built(
            make_snapshot([loner, make_pod(app="noisy"), make_pod(app="quiet", cpu="2")], [make_offering()])
        )
        conflicts = np.argwhere(problem.problem.conflict)
        assert {problem.groups[g].labels for pair in conflicts for g in pair} == {
            (("app", "loner"),),
            (("app", "noisy"),),
        }

    def test_another_namespace_is_not_meant(self) -> None:
        loner = make_pod(app="a", anti_affinity=[repels(namespace="elsewhere", app="b")])
        problem = built(make_snapshot([loner, make_pod(app="b")], [make_offering()])).problem
        assert not problem.conflict.any()

    def test_a_pod_that_runs_keeps_others_off_its_node(self) -> None:
        loner = make_pod(node="theirs", app="a", anti_affinity=[repels(app="b")])
        snapshot = make_snapshot([loner, make_pod(app="b")], [make_offering()], nodes=[make_node("theirs")])
        assert not built(snapshot).problem.bin_compatible.any()

    def test_ports_of_the_host(self) -> None:
        pods = [make_pod(host_ports=[80], cpu="1"), make_pod(host_ports=[80], cpu="2"), make_pod(host_ports=[81])]
        problem = built(make_snapshot(pods, [make_offering()])).problem
        assert problem.conflict.sum() == 2
        assert problem.cap_limit.tolist() == [1, 1, 1]

    def test_a_spread_over_hosts_is_a_cap_and_pods_there_count(self) -> None:
        pods = make_pods(4, app="web", spreads=[spread(keys.HOSTNAME, 2, app="web")])
        there = make_pod(app="web", node="theirs")
        problem = built(make_snapshot([*pods, there], [make_offering()], nodes=[make_node("theirs")])).problem
        assert problem.cap_limit.tolist() == [2]
        assert problem.bin_cap_left.tolist() == [[1]]


class TestZones:
    OFFERINGS = tuple(make_offering(zone=zone) for zone in ZONES)

    def zones(self, pods: list, **fields: object) -> dict[str, int]:
        result = built(make_snapshot(pods, self.OFFERINGS, **fields))
        return {zone_of(group): group.count for group in result.groups if "web" in str(group.labels)}

    def web(self, count: int, **wants: object) -> list:
        return make_pods(count, app="web", owner="ReplicaSet/web", **wants)

    def test_a_spread_is_split_evenly(self) -> None:
        assert self.zones(self.web(7, spreads=[spread(app="web")])) == {"zone-a": 3, "zone-b": 2, "zone-c": 2}

    def test_only_what_the_skew_forces_is_sure(self) -> None:
        groups = built(make_snapshot(self.web(9, spreads=[spread(skew=2, app="web")]), self.OFFERINGS)).groups
        assert [(g.count, g.sure_count) for g in groups] == [(3, 2)] * 3

    def test_nothing_is_sure_where_a_spread_counts_others_too(self) -> None:
        pods = [*self.web(9, spreads=[spread(app="web")]), *self.web(3, cpu="2")]
        groups = built(make_snapshot(pods, self.OFFERINGS)).groups
        assert {g.sure_count for g in groups} == {0}
        assert all(zone_of(g) for g in groups), "pods that a spread counts need a zone as well"

    def test_pods_there_count(self) -> None:
        running = [make_pod(app="web", node="theirs") for _ in range(2)]
        nodes = [make_node("theirs", "1", pods=2)]
        assert self.zones([*self.web(4, spreads=[spread(app="web")]), *running], nodes=nodes) == {
            "zone-b": 2,
            "zone-c": 2,
        }

    def test_pods_on_a_cordoned_node_count(self) -> None:
        running = [make_pod(app="web", node="theirs") for _ in range(2)]
        nodes = [make_node("theirs", unschedulable=True)]
        assert self.zones([*self.web(4, spreads=[spread(app="web")]), *running], nodes=nodes)["zone-b"] == 2

    def test_pods_about_to_end_do_not_count(self) -> None:
        running = [make_pod(app="web", node="theirs", deleting=True) for _ in range(2)]
        nodes = [make_node("theirs", "1", pods=2)]
        assert self.zones([*self.web(3, spreads=[spread(app="web")]), *running], nodes=nodes) == dict.fromkeys(ZONES, 1)

    def test_a_zone_that_only_has_a_tainted_node_counts_as_empty(self) -> None:
        nodes = [make_node("control-plane", zone="zone-z", taints=(taint("control-plane"),))]
        result = built(make_snapshot(self.web(5, spreads=[spread(app="web")]), self.OFFERINGS, nodes=nodes))
        assert [group.count for group in result.groups] == [1, 1, 1]
        assert len(result.unplaceable[0].pods) == 2

    def test_a_zone_outside_of_the_selector_does_not(self) -> None:
        nodes = [make_node("theirs", zone="zone-z", labels={"team": "b"})]
        where = [(requirement("team", "DoesNotExist"),)]
        assert self.zones(self.web(3, spreads=[spread(app="web")], affinity=where), nodes=nodes) == dict.fromkeys(
            ZONES, 1
        )

    def test_too_few_domains_allow_no_more_than_the_skew_each(self) -> None:
        result = built(make_snapshot(self.web(5, spreads=[spread(min_domains=4, app="web")]), self.OFFERINGS))
        assert [group.count for group in result.groups] == [1, 1, 1]
        assert len(result.unplaceable[0].pods) == 2

    def test_zones_where_nothing_is_large_enough_take_none(self) -> None:
        offerings = [make_offering(zone="zone-a", cpu="1"), make_offering(zone="zone-b", cpu="8")]
        result = built(make_snapshot(self.web(3, cpu="4", spreads=[spread(skew=2, app="web")]), offerings))
        assert [(zone_of(group), group.count) for group in result.groups] == [("zone-b", 2)]

    def test_anti_affinity_over_zones_gives_each_a_zone(self) -> None:
        pods = self.web(4, anti_affinity=[repels(keys.ZONE, app="web")])
        result = built(make_snapshot(pods, self.OFFERINGS))
        assert [zone_of(group) for group in result.groups] == list(ZONES)
        assert len(result.unplaceable[0].pods) == 1

    def test_residents_bar_their_zone_for_pods_without_rules(self) -> None:
        hermit = make_pod(app="hermit", node="theirs", anti_affinity=[repels(keys.ZONE, app="web")])
        result = built(make_snapshot([*self.web(2), hermit], self.OFFERINGS, nodes=[make_node("theirs")]))
        (group,) = result.groups
        zones = {result.kinds.offerings[o].zone for o in np.flatnonzero(result.problem.compatible[0])}
        assert (zone_of(group), zones) == ("", {"zone-b", "zone-c"})
        assert not result.problem.bin_compatible.any()

    def test_what_a_group_repels_gets_other_zones(self) -> None:
        hermit = make_pod(app="hermit", anti_affinity=[repels(keys.ZONE, app="web")])
        snapshot = make_snapshot([*self.web(2), hermit], self.OFFERINGS)
        result = built(snapshot)
        sold = {
            g.labels: {result.kinds.offerings[o].zone for o in np.flatnonzero(result.problem.compatible[i])}
            for i, g in enumerate(result.groups)
        }
        assert sold == {(("app", "hermit"),): {"zone-a"}, (("app", "web"),): {"zone-b", "zone-c"}}

    def test_a_spread_holds_even_if_its_pods_come_last(self) -> None:
        """Pods without the rule that it counts are given their zones first, so that they can't outrun it."""
        strict = self.web(1, cpu="500m", spreads=[spread(min_domains=2, app="web")])
        snapshot = make_snapshot([*strict, *self.web(2)], [make_offering()])
        assert [group.count for group in built(snapshot).groups] == [2]
        assert f"rules over {keys.ZONE} let no more" in reason(snapshot)

    def test_a_rule_that_fits_nowhere_is_told_by_its_other_reason(self) -> None:
        assert "too small in cpu" in reason(
            make_snapshot([make_pod(app="web", cpu="99", spreads=[spread(app="web")])], self.OFFERINGS)
        )

    def test_the_base_on_demand_is_spread_as_well(self) -> None:
        rule = make_rule("w", 6, base=3)
        offerings = both_ways(zones=ZONES)
        pods = self.web(6, workload="w", spreads=[spread(app="web")])
        groups = built(make_snapshot(pods, offerings, workloads=[rule])).groups
        each = {zone: sum(g.count for g in groups if zone_of(g) == zone) for zone in ZONES}
        assert each == dict.fromkeys(ZONES, 2)
        assert len({g.family for g in groups}) == 1
