"""The judge of the chaos runs must see each kind of harm: a history for each, and one without any."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from chaos.history import (
    Act,
    ClaimLife,
    History,
    InstanceLife,
    PodLife,
    Reign,
    acts,
    claim_life,
    instance_lives,
    pod_life,
    reign,
)
from chaos.invariants import check

CLAIM = ClaimLife("n1", "uid-1", frozenset({"pod-1"}), 0.1, created_at=0)
MACHINE = InstanceLife("i-1", "n1", "uid-1", launched_at=1)
POD = PodLife("pod-1", "a/web-1", "n1", grace_seconds=30, running=True, created_at=0)
CALM = History((CLAIM,), (POD,), (MACHINE,), frozenset({"n1"}), ended_at=1000)

# The same node is taken back at 100 with notice until 220, its pod told at once, and another one bought.
LEFT = replace(CLAIM, leaving_at=100, gone_at=150)
ENDED = replace(MACHINE, noticed_at=100, deadline=220, ended_at=140)
TOLD = replace(POD, told_at=101, gone_at=131)
NEXT = ClaimLife("n2", "uid-2", frozenset({"pod-2"}), 0.1, created_at=101)
NEXT_MACHINE = InstanceLife("i-2", "n2", "uid-2", launched_at=102)
NEXT_POD = replace(POD, uid="pod-2", key="a/web-2", node="n2", created_at=102)
MOVED = History(
    (LEFT, NEXT),
    (TOLD, replace(TOLD, uid="pod-3", forced=True, told_at=185), NEXT_POD),
    (ENDED, NEXT_MACHINE),
    frozenset({"n2"}),
    ended_at=1000,
    reigns=(Reign(7, 0.0), Reign(None, 90.0), Reign(8, 100.0)),
    acts=(Act("create instance by a", 7, 89.0), Act("evict pods by b", 8, 99.5), Act("step Drain", 8, 500.0)),
)


def broken(history: History, cap_usd_hour: float | None = None) -> set[str]:
    return {verdict.name for verdict in check(history, cap_usd_hour) if verdict.violations}


def test_a_node_that_stays_and_one_that_is_taken_back_are_fine() -> None:
    assert broken(CALM, cap_usd_hour=0.1) == set()
    assert broken(MOVED, cap_usd_hour=0.2) == set()
    assert all(verdict.cases for verdict in check(MOVED, cap_usd_hour=0.2))


def test_an_instance_may_not_outlive_its_claim_by_much() -> None:
    assert broken(replace(MOVED, instances=(replace(ENDED, ended_at=200), NEXT_MACHINE))) == set()
    assert "owned" in broken(replace(MOVED, instances=(replace(ENDED, ended_at=219), NEXT_MACHINE)))


def test_an_instance_whose_claim_was_never_seen_is_nobodys() -> None:
    stray = InstanceLife("i-9", "n9", "uid-9", launched_at=0, ended_at=61)

    assert "owned" in broken(replace(CALM, instances=(MACHINE, stray)))
    assert "owned" not in broken(replace(CALM, instances=(MACHINE, replace(stray, ended_at=59))))


def test_two_claims_in_force_for_one_pod_are_a_double_purchase() -> None:
    twin = replace(NEXT, planned_pods=frozenset({"pod-1", "pod-2"}))

    assert "bought_once" in broken(replace(CALM, claims=(CLAIM, twin), instances=(MACHINE, NEXT_MACHINE)))
    assert "bought_once" not in broken(replace(MOVED, claims=(LEFT, twin)))


def test_like_pods_may_change_places_as_long_as_there_are_as_many_as_were_bought_for() -> None:
    second, other = replace(NEXT_POD, created_at=0), replace(NEXT, planned_pods=frozenset({"pod-1"}), created_at=5)
    both = replace(CALM, claims=(CLAIM, other), instances=(MACHINE, NEXT_MACHINE), nodes=frozenset({"n1", "n2"}))

    assert "bought_once" in broken(both)
    assert "bought_once" not in broken(replace(both, pods=(POD, second)))


def test_two_instances_for_one_claim_are_one_too() -> None:
    again = replace(MACHINE, id="i-3", launched_at=5)

    assert "bought_once" in broken(replace(CALM, instances=(MACHINE, again)))


def test_a_pod_is_told_to_end_in_time_for_its_grace() -> None:
    late = replace(TOLD, told_at=196, gone_at=None, running=True)
    ended = replace(ENDED, ended_at=220, lost_pods=frozenset({"pod-1"}))

    assert "warned" in broken(replace(MOVED, pods=(late, NEXT_POD), instances=(ended, NEXT_MACHINE)))
    in_time = replace(late, told_at=186, gone_at=221)
    assert "warned" not in broken(replace(MOVED, pods=(in_time, NEXT_POD), instances=(ended, NEXT_MACHINE)))


def test_a_pod_that_was_never_told_is_a_violation_and_one_with_more_grace_than_notice_is_not() -> None:
    ended = replace(ENDED, ended_at=220, lost_pods=frozenset({"pod-1"}))
    never = replace(POD, gone_at=221)
    long = replace(TOLD, grace_seconds=600, gone_at=221)

    assert "warned" in broken(replace(MOVED, pods=(never, NEXT_POD), instances=(ended, NEXT_MACHINE)))
    assert "warned" not in broken(replace(MOVED, pods=(long, NEXT_POD), instances=(ended, NEXT_MACHINE)))


def test_a_pod_is_not_forced_before_its_time_and_never_without_a_deadline() -> None:
    forced = replace(TOLD, forced=True, told_at=184)

    assert "forced_when_due" in broken(replace(MOVED, pods=(forced, NEXT_POD)))
    assert "forced_when_due" not in broken(replace(MOVED, pods=(replace(forced, told_at=186), NEXT_POD)))
    unasked = replace(ENDED, noticed_at=None, deadline=None)
    assert "forced_when_due" in broken(replace(MOVED, instances=(unasked, NEXT_MACHINE)))


@pytest.mark.parametrize(
    ("pid", "at", "holds"),
    [(7, 89.9, True), (7, 90.1, False), (7, 101.0, False), (8, 98.0, False), (8, 99.1, True), (9, 50.0, False)],
)
def test_nobody_acts_without_the_lease(pid: int, at: float, holds: bool) -> None:
    assert ("one_actor" not in broken(replace(MOVED, acts=(Act("evict pods by b", pid, at),)))) == holds


def test_a_machine_with_pods_on_it_is_not_ended_by_us() -> None:
    early = replace(ENDED, lost_pods=frozenset({"pod-1"}))

    assert "none_lost_by_us" in broken(replace(MOVED, instances=(early, NEXT_MACHINE)))


def test_what_is_alive_at_once_stays_below_the_cap() -> None:
    assert "spend_capped" not in broken(MOVED, cap_usd_hour=0.2)
    assert "spend_capped" in broken(MOVED, cap_usd_hour=0.15)


def test_in_the_end_claims_nodes_and_instances_are_the_same_and_pods_run() -> None:
    assert broken(replace(CALM, nodes=frozenset())) == {"nothing_left"}
    assert broken(replace(CALM, nodes=frozenset({"n1", "ghost"}))) == {"nothing_left"}
    assert broken(replace(CALM, pods=(replace(POD, running=False),))) == {"nothing_left"}
    assert "nothing_left" in broken(replace(CALM, claims=()))


def test_histories_are_read_from_what_the_api_server_and_the_cloud_say() -> None:
    metadata = {
        "name": "n1",
        "namespace": "a",
        "uid": "uid-1",
        "creationTimestamp": "1970-01-01T00:00:10Z",
        "deletionTimestamp": "1970-01-01T00:01:40Z",
        "deletionGracePeriodSeconds": 30,
        "annotations": {"spotkube.io/planned-pods": "pod-1,pod-2"},
    }
    pod = pod_life({"metadata": metadata, "spec": {"nodeName": "n1", "terminationGracePeriodSeconds": 60}})
    claim = claim_life({"metadata": metadata, "spec": {"priceUSDPerHour": 0.5}})
    about = {"instance": "i-1", "name": "n1"}
    (machine,) = instance_lives(
        [
            {"event": "refused", "instance": "", "at": 0.5},
            {"event": "launched", "at": 1.0, "token": "uid-1", **about},
            {"event": "noticed", "at": 2.0, "deadline": "1970-01-01T00:02:02Z", **about},
            {
                "event": "terminated",
                "at": 9.0,
                "lost_pods": [{"uid": "d", "owner": "DaemonSet/log"}, {"uid": "p", "owner": ""}],
                **about,
            },
        ]
    )

    assert (pod.told_at, pod.grace_seconds, pod.running) == (70.0, 60.0, False)
    assert (claim.planned_pods, claim.price_usd_hour) == ({"pod-1", "pod-2"}, 0.5)
    assert machine == InstanceLife("i-1", "n1", "uid-1", 1.0, 2.0, 122.0, 9.0, frozenset({"p"}))


def test_who_holds_the_lease_is_read_from_its_holder_and_what_was_done_from_the_gates(tmp_path: Path) -> None:
    log, act = tmp_path / "gate.log", Act("evict pods by b", 8, 99.5)
    assert acts(log) == ()
    log.write_text(json.dumps(asdict(act)) + '\n{"name": "cut o', encoding="utf-8")

    assert acts(log) == (act,)
    assert reign({"spec": {"holderIdentity": "a-host-1234-0a1b2c"}}, 5.0) == Reign(1234, 5.0)
    assert reign({"spec": {"holderIdentity": ""}}, 5.0) == reign(None, 5.0) == Reign(None, 5.0)


def test_a_forced_pod_is_known_by_the_mark_that_it_bears() -> None:
    metadata = {"name": "p", "namespace": "a", "uid": "u", "creationTimestamp": "1970-01-01T00:00:10Z"}
    marks = [{"type": "DisruptionTarget", "status": "True", "reason": reason} for reason in ("TerminationNotice", "x")]
    pods = [pod_life({"metadata": metadata, "spec": {}, "status": {"conditions": [mark]}}) for mark in marks]

    assert [pod.forced for pod in pods] == [True, False]
