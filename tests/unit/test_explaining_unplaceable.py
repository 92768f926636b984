"""What is said of pods without a place: each constraint by itself, and the smallest change, which is tried here too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import (
    GPU,
    ZONES,
    attracts,
    both_ways,
    make_claim,
    make_node,
    make_offering,
    make_pod,
    make_pods,
    make_pool,
    make_rule,
    make_snapshot,
    node_of,
    repels,
    requirement,
    spread,
    taint,
)
from spotkube.model import labels as keys
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.explanation import Change
from spotkube.model.plan import Unplaceable
from spotkube.planner.decide import decide
from spotkube.planner.explaining.apply import apply_changes
from spotkube.planner.explaining.changes import Subject
from spotkube.planner.explaining.unplaceable import NONE, THOROUGH, Effort, explain_unplaceable
from spotkube.planner.problem import Budget

WORK = Budget(seconds=None, column_rounds=6, generations=2)
TEAM = taint("team", "a")


def explained(snapshot: Snapshot, effort: Effort = THOROUGH) -> tuple[Unplaceable, ...]:
    plan = decide(snapshot, Mode.RECOMMEND, seed=1, budget=WORK)
    return explain_unplaceable(snapshot, Mode.RECOMMEND, plan, effort).unplaceable


def advice(snapshot: Snapshot) -> list[str]:
    """The changes that would place the only group without a place, in words; they are tried."""
    (one,) = explained(snapshot)
    after = decide(apply_changes(snapshot, one.changes), Mode.RECOMMEND, seed=7, budget=WORK)
    assert not one.changes or not after.unplaceable, one.advice
    return [change.words for change in one.changes]


class TestPods:
    def test_a_taint_to_tolerate(self) -> None:
        snapshot = make_snapshot(make_pods(2), [make_offering()], pools=[make_pool(taints=(TEAM,))])
        assert advice(snapshot) == ["let default/some tolerate the taint team=a:NoSchedule"]

    def test_a_label_that_nothing_has(self) -> None:
        snapshot = make_snapshot([make_pod(node_selector={"disk": "ssd"})], [make_offering()])
        assert advice(snapshot) == ["take disk=ssd out of the nodeSelector of default/some"]

    def test_of_ored_terms_the_one_that_asks_less(self) -> None:
        far = (requirement(keys.ZONE, "In", "zone-x"), requirement(keys.ARCH, "In", "arm64"))
        pod = make_pod(affinity=[far, (requirement(keys.ZONE, "In", "zone-y"),)])
        assert advice(make_snapshot([pod], [make_offering()])) == [
            "take topology.kubernetes.io/zone In [zone-y] out of the node affinity of default/some"
        ]

    def test_requests_come_down_to_what_the_largest_leaves(self) -> None:
        snapshot = make_snapshot([make_pod(cpu="64")], [make_offering(cpu="2"), make_offering("l", cpu="8")])
        assert advice(snapshot) == ["lower the cpu request of default/some from 64 to 8"]
        assert "nothing that is sold has 64 cpu; the largest leaves 8 to pods" in explained(snapshot)[0].advice

    def test_what_nobody_sells_can_not_be_helped(self) -> None:
        snapshot = make_snapshot([make_pod(gpu=1)], [make_offering()])
        assert advice(snapshot) == []
        assert explained(snapshot)[0].advice == f"nothing that is sold has 1 {GPU}"

    @pytest.mark.parametrize(
        ("wants", "words"),
        [
            (
                {"anti_affinity": [repels(keys.ZONE, app="web")]},
                "take the required podAntiAffinity over topology.kubernetes.io/zone from default/some",
            ),
            (
                {"pod_affinity": [attracts(keys.ZONE, app="gone")]},
                "take the required podAffinity over topology.kubernetes.io/zone from default/some",
            ),
            (
                {"spreads": [spread("team", app="web")]},
                "take the spread over team (maxSkew 1) from default/some",
            ),
        ],
    )
    def test_rules_between_pods(self, wants: dict[str, Any], words: str) -> None:
        offerings = [make_offering(zone=zone) for zone in ZONES[:2]]
        assert advice(make_snapshot(make_pods(3, app="web", **wants), offerings)) == [words]

    def test_a_rule_of_somebody_else(self) -> None:
        alone = make_pod(
            "db", app="db", owner="StatefulSet/db", anti_affinity=[repels(keys.ZONE, app="web")], node="old"
        )
        snapshot = make_snapshot([alone, make_pod(app="web")], [make_offering()], nodes=[make_node("old", cpu="1")])
        (words,) = advice(snapshot)
        assert words.startswith("take the required podAntiAffinity over topology.kubernetes.io/zone from default/db")

    def test_a_volume_that_is_reached_nowhere(self) -> None:
        pod = make_pod()
        terms = ((requirement(keys.ZONE, "In", "zone-x"),),)
        pod = replace(pod, shape=replace(pod.shape, volume_terms=(terms,)))
        (words,) = advice(make_snapshot([pod], [make_offering()]))
        assert "another volume than the one that is reached only where topology.kubernetes.io/zone In [zone-x]" in words

    def test_a_claim_that_is_missing(self) -> None:
        pod = make_pod()
        pod = replace(pod, shape=replace(pod.shape, refused="PersistentVolumeClaim default/data does not exist"))
        assert advice(make_snapshot([pod], [make_offering()])) == [
            "mend the volume of default/some: PersistentVolumeClaim default/data does not exist"
        ]


class TestPools:
    def test_what_the_pool_would_have_to_sell(self) -> None:
        general = make_pool("general", requirements=(requirement(keys.ARCH, "In", "amd64"),))
        pod = make_pod(affinity=[(requirement(keys.ARCH, "In", "arm64"), requirement(keys.INSTANCE_CPU, "Gt", "1"))])
        offerings = [make_offering("x"), make_offering("a", arch="arm64")]
        # Taking the architecture out of the pod's affinity is as short, and asks less of a user.
        assert advice(make_snapshot([pod], offerings, pools=[general])) == [
            "take kubernetes.io/arch In [arm64] out of the node affinity of default/some"
        ]
        gpu = make_pod(gpu=1)
        offerings = [make_offering("x"), make_offering("a", arch="arm64", gpu=1)]
        assert advice(make_snapshot([gpu], offerings, pools=[general])) == [
            "add arm64 to kubernetes.io/arch in NodePool general"
        ]

    @pytest.mark.parametrize(
        ("pool", "offering", "words"),
        [
            ({"mode": Mode.PAUSED}, {}, "set mode to Recommend (it is Paused)"),
            ({"max_interruption_percent": 5}, {"spot": True, "percent": 15},
             "raise maxInterruptionPercent from 5 to 15"),
            ({"min_values": ((keys.INSTANCE_TYPE, 2),)}, {}, f"lower minValues of {keys.INSTANCE_TYPE} from 2 to 1"),
            ({"limit_nodes": 0}, {}, "raise the limit nodes from 0 to 1"),
            ({"limit_micro_usd_hour": 50_000}, {}, "raise the limit usdPerHour from 0.05 to 0.1"),
            ({"limit_resources": (("cpu", 500),)}, {}, "raise the limit resources[cpu] from 500m to 2"),
            ({"requirements": (requirement("team", "In", "b"),), "labels": (("team", "a"),)}, {},
             "drop the requirement team In [b]"),
        ],
    )  # fmt: skip
    def test_each_setting(self, pool: dict[str, Any], offering: dict[str, Any], words: str) -> None:
        pod = make_pod(workload="w")
        snapshot = make_snapshot([pod], [make_offering(**offering)], pools=[make_pool("mine", **pool)])
        assert advice(snapshot) == [f"{words} in NodePool mine"]

    def test_spot_for_pods_of_nobody(self) -> None:
        snapshot = make_snapshot([make_pod()], [make_offering(spot=True)])
        assert advice(snapshot) == ["set allowUnmanagedPods to true in NodePool pool"]

    def test_spot_for_a_workload_that_shuns_it(self) -> None:
        rule = make_rule("w", 2, fraction=0)
        snapshot = make_snapshot(make_pods(2, workload="w"), [make_offering(spot=True)], workloads=[rule])
        assert advice(snapshot) == ["let all of Workload default/w run on spot"]

    def test_the_share_of_a_workload_in_one_spot_pool(self) -> None:
        rule = replace(make_rule("w", 4), max_fraction_per_pool=0.5)
        snapshot = make_snapshot(make_pods(4, workload="w"), [make_offering(spot=True)], workloads=[rule])
        assert advice(snapshot) == [
            "let Workload default/w have all of its pods on spot of one type and zone (maxFractionPerPool 1)"
        ]

    def test_limits_are_raised_by_what_all_that_wait_need(self) -> None:
        pool = make_pool("small", limit_nodes=1, limit_resources=(("cpu", 3000),))
        snapshot = make_snapshot(make_pods(5, cpu="1"), [make_offering(cpu="2")], pools=[pool])
        assert sorted(advice(snapshot)) == [
            "raise the limit nodes from 1 to 3 in NodePool small",
            "raise the limit resources[cpu] from 3 to 6 in NodePool small",
        ]

    def test_no_pool_at_all(self) -> None:
        assert advice(make_snapshot([make_pod()], [make_offering()], pools=[])) == [
            "create a NodePool that may buy anything"
        ]

    def test_what_rests_is_waited_for(self) -> None:
        offering = make_offering()
        snapshot = make_snapshot([make_pod()], [offering], resting=frozenset({offering.key}))
        assert advice(snapshot) == ["wait: m.large on-demand in zone-a rests, since a purchase failed"]

    def test_a_node_that_is_there_counts_as_well(self) -> None:
        claim = make_claim("ours", make_offering(cpu="4"), node="ours", taints=(TEAM,))
        full = make_pool(limit_nodes=0)
        snapshot = make_snapshot([make_pod()], [make_offering()], pools=[full], claims=[claim], nodes=[node_of(claim)])
        assert advice(snapshot) == ["let default/some tolerate the taint team=a:NoSchedule"]


class TestTelling:
    def test_what_others_could_do_as_well(self) -> None:
        general = make_pool("general", requirements=(requirement(keys.ARCH, "In", "amd64"),))
        pod = make_pod(node_selector={keys.ARCH: "arm64"})
        offerings = [make_offering("x"), make_offering("a", arch="arm64")]
        snapshot = make_snapshot([pod], offerings, pools=[general])
        (one,) = explained(snapshot)
        assert one.advice == (
            "to place it, take kubernetes.io/arch=arm64 out of the nodeSelector of default/some, or else "
            "add arm64 to kubernetes.io/arch in NodePool general"
        )
        assert not decide(apply_changes(snapshot, one.or_else), Mode.RECOMMEND, seed=7, budget=WORK).unplaceable

    def test_each_constraint_is_counted_by_itself(self) -> None:
        pod = make_pod(cpu="4", node_selector={keys.ARCH: "arm64"})
        offerings = [make_offering("s"), make_offering("l", cpu="8"), make_offering("a", arch="arm64")]
        pool = make_pool(requirements=(requirement(keys.ARCH, "In", "amd64"),))
        (one,) = explained(make_snapshot([pod], offerings, pools=[pool]))
        assert one.offerings == 3
        assert {(e.constraint, e.offerings) for e in one.exclusions} == {
            ("nodeSelector kubernetes.io/arch=arm64", 2),
            ("cpu request 4", 2),
            ("NodePool pool: kubernetes.io/arch In [amd64]", 1),
        }
        assert "each by itself excludes, of 3 offerings: " in one.in_words

    def test_changes_are_told_as_from_and_to(self) -> None:
        (one,) = explained(make_snapshot([make_pod()], [make_offering()], pools=[make_pool("mine", limit_nodes=0)]))
        (change,) = one.changes
        assert (change.kind, change.name, change.field) == ("NodePool", "mine", "spec.limits.nodes")
        assert (change.before, change.after) == ("0", "1")

    def test_only_so_many_groups_are_looked_into_the_largest_first(self) -> None:
        few = make_pods(1, node_selector={"disk": "ssd"}, owner="Deployment/few")
        many = make_pods(2, node_selector={"disk": "hdd"}, owner="Deployment/many")
        told = {one.name: one for one in explained(make_snapshot([*few, *many], [make_offering()]), Effort(1, 10))}
        assert told["default/many"].changes
        assert not told["default/few"].changes
        assert "was not looked for" in told["default/few"].advice

    def test_urgent_decisions_are_not_explained(self) -> None:
        (one,) = explained(make_snapshot([make_pod(node_selector={"disk": "ssd"})], [make_offering()]), NONE)
        assert one.advice == "what would place them was not looked for, to keep the decision short"
        assert not one.changes

    def test_without_its_explanation_a_plan_is_as_it_was_decided(self) -> None:
        snapshot = make_snapshot([make_pod(node_selector={"disk": "ssd"})], [make_offering()])
        plan = decide(snapshot, Mode.RECOMMEND, seed=1, budget=WORK)
        later = explain_unplaceable(snapshot, Mode.RECOMMEND, plan, THOROUGH)
        assert later != plan
        assert later.unexplained == plan


def test_a_change_of_an_unknown_kind_is_refused() -> None:
    change = Subject("default/web", frozenset()).raise_priority(0, 1)
    with pytest.raises(ValueError, match="Cat: no such kind of change"):
        apply_changes(make_snapshot(), [replace(change, kind="Cat")])


def test_two_requirements_of_one_term_may_go_in_any_order() -> None:
    first, second = requirement(keys.ZONE, "In", "zone-x"), requirement("gpu", "Exists")
    pod = make_pod(affinity=[(first, second)])
    snapshot, subject = make_snapshot([pod]), Subject("default/some", frozenset({pod.uid}))
    made: list[Change] = [subject.no_requirement(first), subject.no_requirement(second)]
    assert apply_changes(snapshot, made) == apply_changes(snapshot, made[::-1])
    assert apply_changes(snapshot, made).pods[0].shape.affinity_terms == ()


class TestLarge:
    """With many pods the plan stands as it is, and with many offerings some are tried: it holds for all the same."""

    OFFERINGS = tuple(
        offering
        for number in range(110)
        for offering in both_ways(
            f"type-{number}",
            (1 + number % 11) * (1 + number / 1000) / 10,
            cpu=str(2 + 2 * (number % 11)),
            memory=f"{8 + 8 * (number % 11)}Gi",
            arch="arm64" if number % 5 == 0 else "amd64",
            zones=ZONES,
        )
    )

    def test_the_changes_place_all_pods_in_a_new_plan_too(self) -> None:
        good = [
            p for n in range(4) for p in make_pods(40, workload=f"w{n}", cpu=f"{500 + 300 * n}m", owner=f"Job/w{n}")
        ]
        stuck = make_pods(3, node_selector={keys.ARCH: "arm64"}, owner="Deployment/arm", tolerations=())
        large = make_pods(2, cpu="100", owner="Deployment/large")
        pool = make_pool("general", requirements=(requirement(keys.ARCH, "In", "amd64"),))
        snapshot = make_snapshot([*good, *stuck, *large], self.OFFERINGS, pools=[pool])
        told = {one.name: one for one in explained(snapshot)}
        assert [c.words for c in told["default/arm"].changes] == [
            "take kubernetes.io/arch=arm64 out of the nodeSelector of default/arm"
        ]
        assert [c.words for c in told["default/large"].changes] == [
            "lower the cpu request of default/large from 100 to 22"
        ]
        made = [change for one in told.values() for change in one.changes]
        assert not decide(apply_changes(snapshot, made), Mode.RECOMMEND, seed=3, budget=WORK).unplaceable

    def test_limits_suffice_in_a_new_plan_too(self) -> None:
        pods = [
            p for n in range(4) for p in make_pods(45, workload=f"w{n}", cpu=f"{500 + 300 * n}m", owner=f"Job/w{n}")
        ]
        pool = make_pool("general", limit_resources=(("cpu", 150_000),))
        snapshot = make_snapshot(pods, self.OFFERINGS, pools=[pool])
        for one in explained(snapshot):
            assert [change.field for change in one.changes] == ["spec.limits.resources[cpu]"]
            after = decide(apply_changes(snapshot, one.changes), Mode.RECOMMEND, seed=3, budget=WORK)
            missing = {uid for other in after.unplaceable for uid in other.pods}
            assert not missing & set(one.pods), one.advice


@pytest.mark.parametrize(("owner", "priority"), [("Job/high", 5), ("ReplicaSet/high", 0)])
def test_a_higher_priority_helps_where_several_limits_bind(owner: str, priority: int) -> None:
    """Four limits would have to be raised; a priority counts as three changes."""
    limits = (("cpu", 2000), ("memory", 8 * 2**30), ("pods", 20))
    pool = make_pool(limit_nodes=1, limit_resources=limits, limit_micro_usd_hour=100_000)
    low, high = make_pod("low", cpu="2", owner="Job/low"), make_pod("high", cpu="2", owner=owner)
    high = replace(high, shape=replace(high.shape, priority=priority))
    snapshot = make_snapshot([low, high], [make_offering()], pools=[pool])
    (one,) = explained(snapshot)
    assert [change.words for change in one.changes] == [
        f"raise the priority of default/low from 0 to {priority + 1}, at the expense of others"
    ]
    after = decide(apply_changes(snapshot, one.changes), Mode.RECOMMEND, seed=7, budget=WORK)
    assert [uid for other in after.unplaceable for uid in other.pods] == [high.uid]
