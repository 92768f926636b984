"""Which pods are asked to leave, when and how; and the marks on a leaving node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pytest

from builders import make_node, make_pod, taint
from fake_kube import START, json_patched, rfc3339
from spotkube.cluster.errors import Invalid
from spotkube.controllers.claims import patches
from spotkube.controllers.claims.draining import CRITICAL_PRIORITY, Departure, How, PodAction, drain_actions
from spotkube.controllers.claims.surging import not_succeeded_yet, succeeded_later
from spotkube.convert.nodes import to_node
from spotkube.model.cluster import Node
from spotkube.model.labels import (
    DISRUPTED_TAINT,
    EXCLUDE_FROM_LOAD_BALANCERS,
    POD_TEMPLATE_HASH,
    RELEASED,
    TERMINATION_DEADLINE,
    TERMINATION_FINALIZER,
    UNREGISTERED_TAINT,
)
from spotkube.model.pods import Pod
from spotkube.model.termination import TerminationRule

MARGIN = 5.0
CLOSED = START - 60


def pod(name: str = "web", grace: int = 30, priority: int = 0, **fields: Any) -> Pod:
    made = make_pod(name, node="n")
    return replace(made, grace_seconds=grace, shape=replace(made.shape, priority=priority), **fields)


def departure(left: float | None = None, **fields: Any) -> Departure:
    """With so many seconds left until the deadline; the node was closed a minute ago."""
    deadline = None if left is None else START + left
    return Departure(START, CLOSED, deadline, CLOSED, margin_seconds=MARGIN, **fields)


def actions(*pods: Pod, left: float | None = None, **fields: Any) -> tuple[PodAction, ...]:
    return drain_actions(pods, departure(left, **fields))


def evicted(*pods: Pod, left: float | None = None, **fields: Any) -> list[str]:
    return [action.pod.name for action in actions(*pods, left=left, **fields) if action.how is How.EVICT]


class TestWithoutDeadline:
    def test_pods_are_evicted_with_their_own_grace(self) -> None:
        web = pod()

        assert actions(web) == (PodAction(web),)

    def test_those_that_opted_out_daemons_mirrors_and_those_on_their_way_are_left_alone(self) -> None:
        going = pod(deleting=True, ends_at=START + 9999)

        assert actions(pod(do_not_disrupt=True), pod(daemon=True), pod(mirror=True), going) == ()

    def test_load_balancers_are_given_time_to_forget_the_node(self) -> None:
        assert actions(pod(), balancer_seconds=61.0) == ()
        assert evicted(pod(), balancer_seconds=60.0) == ["web"]


class TestWithDeadline:
    def test_evicted_while_there_is_time(self) -> None:
        web = pod(grace=30)

        assert actions(web, left=120, balancer_seconds=300.0) == (PodAction(web),)

    @pytest.mark.parametrize(
        ("left", "grace", "given"),
        [
            (35.0, 30, 30),  # the forced moment: all of its grace, and the margin
            (34.7, 30, 30),  # a little late, as always
            (34.0, 30, 29),
            (36.0, 30, None),  # a second before
            (120.0, 3600, 115),  # longer than the whole notice: at once
            (20.0, 0, None),  # one that wants no grace can wait
            (5.0, 0, 1),
            (0.0, 30, 1),
            (-50.0, 30, 1),
        ],
    )
    def test_forced_at_deadline_less_grace_less_margin(self, left: float, grace: int, given: int | None) -> None:
        (action,) = actions(pod(grace=grace), left=left)

        assert action.how is (How.EVICT if given is None else How.FORCE)
        assert given is None or action.grace_seconds == given

    def test_a_grace_of_nothing_becomes_a_second(self) -> None:
        """Deleted with 0, only the API server's record of the pod would be gone."""
        assert [action.grace_seconds for action in actions(pod(grace=0), left=100)] == [1]
        assert [action.grace_seconds for action in actions(pod(grace=0))] == [1]

    def test_an_opt_out_is_no_protection(self) -> None:
        guarded = pod(do_not_disrupt=True)

        assert actions(guarded, left=120) == (PodAction(guarded),)

    def test_mirrors_end_with_the_node(self) -> None:
        assert actions(pod(mirror=True), left=1) == ()

    def test_the_longest_grace_goes_first(self) -> None:
        assert [a.pod.name for a in actions(pod("a", 1), pod("b", 60), pod("c", 60), left=100)] == ["b", "c", "a"]

    def test_one_that_was_deleted_for_longer_than_its_instance_lasts_is_given_what_remains(self) -> None:
        long, short = (pod(name, deleting=True, ends_at=START + ends) for name, ends in (("a", 121), ("b", 120)))

        assert actions(long, short, left=120) == (PodAction(long, How.FORCE, 115),)
        assert actions(replace(long, ends_at=START + 115), left=120) == ()


class TestTiers:
    ORDINARY, DAEMON = pod("ordinary"), pod("daemon", daemon=True)
    CRITICAL, LAST = pod("critical", priority=CRITICAL_PRIORITY), pod("last", priority=2_000_001_000, daemon=True)

    def test_who_others_lean_on_goes_last(self) -> None:
        left = [self.LAST, self.CRITICAL, self.DAEMON, self.ORDINARY]
        order = []
        while left:
            order.append(evicted(*left, left=100))
            left = [pod for pod in left if pod.name not in order[-1]]

        assert order == [["ordinary"], ["daemon"], ["critical"], ["last"]]

    def test_also_without_a_deadline_but_for_daemons(self) -> None:
        assert evicted(self.ORDINARY, self.CRITICAL, self.DAEMON) == ["ordinary"]
        assert evicted(self.CRITICAL, self.DAEMON, self.LAST) == ["critical"]

    def test_a_tier_waits_for_pods_that_are_still_ending(self) -> None:
        assert evicted(replace(self.ORDINARY, deleting=True), self.CRITICAL, left=100) == []

    def test_but_not_beyond_its_own_forced_moment(self) -> None:
        slow = pod("slow", 60, daemon=True)

        assert [(a.pod.name, a.how) for a in actions(self.ORDINARY, slow, left=65)] == [
            ("ordinary", How.EVICT),
            ("slow", How.FORCE),
        ]

    def test_a_daemon_that_came_back_holds_up_nobody_and_is_only_asked_in_the_end(self) -> None:
        back = pod("back", daemon=True, created_at=CLOSED + 1)

        assert evicted(back, self.CRITICAL, left=100) == ["critical"]
        assert actions(back, left=35) == (PodAction(back, How.FORCE, 30),)
        assert actions(back) == ()


class TestWorkloadsThatAsk:
    TOLD = TerminationRule(notice_annotation="example.com/save-before", notice_seconds=90)
    SURGE = TerminationRule(surge=True)

    def test_for_a_grace_of_their_own(self) -> None:
        web = pod(grace=3600, workload="default/web")
        rules = {"default/web": TerminationRule(grace_seconds=40)}

        assert actions(web, rules=rules) == (PodAction(web, How.EVICT, 40),)
        assert actions(web, left=46, rules=rules) == (PodAction(web, How.EVICT, 40),)
        assert actions(web, left=45, rules=rules) == (PodAction(web, How.FORCE, 40),)

    def test_to_be_told_first_and_left_alone_for_a_while(self) -> None:
        web, rules = pod(workload="default/web"), {"default/web": self.TOLD}

        (told,) = actions(web, left=100, rules=rules)
        assert told.how is How.TELL
        assert dict(told.annotations) == {
            "example.com/save-before": rfc3339(START + 100),
            TERMINATION_DEADLINE: rfc3339(START + 100),
        }
        knows = replace(web, told_deadline=START + 100)
        assert actions(knows, left=100, rules=rules) == ()  # noticed a minute ago
        assert evicted(knows, left=100, rules={"default/web": replace(self.TOLD, notice_seconds=60)}) == ["web"]

    def test_but_not_beyond_the_forced_moment(self) -> None:
        web, rules = pod(workload="default/web"), {"default/web": self.TOLD}

        assert actions(web, left=35, rules=rules) == (PodAction(web, How.FORCE, 30),)

    def test_to_be_told_again_when_the_deadline_is_another_one(self) -> None:
        web = pod(workload="default/web", told_deadline=START + 100)

        assert [a.how for a in actions(web, left=99, rules={"default/web": self.TOLD})] == [How.TELL]

    def test_for_a_successor_that_is_ready_first(self) -> None:
        web = pod(workload="default/web")
        known: Any = {"rules": {"default/web": self.SURGE}, "succeeded_later": frozenset({web.uid})}
        released = replace(web, labels=((POD_TEMPLATE_HASH, RELEASED),))

        assert actions(web, left=100, **known) == (PodAction(web, How.RELEASE),)
        assert actions(released, left=100, **known) == ()
        assert actions(released, left=35, **known) == (PodAction(released, How.FORCE, 30),)
        assert evicted(released, left=100) == ["web"]

    def test_for_no_longer_than_five_minutes_though_where_nothing_ends(self) -> None:
        web = pod(workload="default/web")
        known: Any = {"rules": {"default/web": self.SURGE}, "succeeded_later": frozenset({web.uid})}
        late = replace(departure(**known), closed_at=START - 300)

        assert drain_actions([web], late) == (PodAction(web),)


class TestSuccessors:
    RULES: ClassVar[dict[str, TerminationRule]] = {"default/web": TerminationRule(surge=True)}

    def waiting(self, *pods: Pod, replicas: int = 2) -> set[str]:
        found = succeeded_later(pods, {"n"}, self.RULES, {"default/web": replicas})
        return {uid.removeprefix("uid-") for uid in found}

    def test_as_many_may_go_as_there_are_more_than_wanted(self) -> None:
        a, b = (pod(name, workload="default/web", ready=True) for name in "ab")
        successor = replace(pod("c", workload="default/web", ready=True), node="m")

        assert self.waiting(a, b) == {"a", "b"}
        assert self.waiting(a, b, replace(successor, ready=False)) == {"a", "b"}
        assert self.waiting(a, b, successor) == {"b"}
        assert self.waiting(b, successor) == {"b"}
        assert self.waiting(a, b, successor, replicas=1) == set()

    def test_those_go_first_whose_successor_is_on_its_way(self) -> None:
        a, b, c = (pod(name, workload="default/web", ready=True) for name in "abc")

        assert self.waiting(a, replace(b, labels=((POD_TEMPLATE_HASH, RELEASED),)), c) == {"a", "c"}

    def test_on_a_node_that_begins_to_leave_just_now_all_wait(self) -> None:
        web = pod("a", workload="default/web", ready=True)

        assert not_succeeded_yet([web, pod("b", workload="default/web"), pod("c", ready=True)], self.RULES) == {web.uid}

    def test_one_that_serves_nobody_waits_for_nobody(self) -> None:
        assert self.waiting(pod("a", workload="default/web")) == set()
        assert self.waiting(pod("a", ready=True)) == set()


def raw(node: Node) -> dict[str, object]:
    taints = [{"key": t.key, "effect": t.effect.value} for t in node.taints]
    spec = {"taints": taints} if taints else {}
    metadata: dict[str, object] = {"name": node.name, "uid": node.uid, "labels": dict(node.labels)}
    if node.finalizers:
        metadata["finalizers"] = list(node.finalizers)
    return {"metadata": metadata, "spec": spec}


class TestMarks:
    def test_a_node_is_closed_in_one_patch(self) -> None:
        node = make_node("n")

        closed = json_patched(raw(node), patches.cordon_patch(node))

        assert closed["spec"] == {
            "unschedulable": True,
            "taints": [{"key": DISRUPTED_TAINT, "effect": "NoSchedule"}],
        }
        assert closed["metadata"]["labels"][EXCLUDE_FROM_LOAD_BALANCERS] == "true"

    def test_taints_of_others_stay(self) -> None:
        node = make_node("n", taints=(taint("gpu"),))

        closed = json_patched(raw(node), patches.cordon_patch(node))

        assert [t["key"] for t in closed["spec"]["taints"]] == ["gpu", DISRUPTED_TAINT]

    def test_even_one_that_we_have_not_seen_yet(self) -> None:
        with pytest.raises(Invalid):
            json_patched(raw(make_node("n", taints=(taint("gpu"),))), patches.cordon_patch(make_node("n")))

    def test_our_taint_is_not_put_twice(self) -> None:
        node = make_node("n", taints=(taint(DISRUPTED_TAINT),))

        closed = json_patched(raw(node), patches.cordon_patch(node))

        assert len(closed["spec"]["taints"]) == 1

    def test_opening_takes_ours_alone(self) -> None:
        node = make_node("n", taints=(taint("gpu"), taint(UNREGISTERED_TAINT), taint("busy")))

        opened = json_patched(raw(node), patches.opening_patch(node))

        assert [t["key"] for t in opened["spec"]["taints"]] == ["gpu", "busy"]

    def test_opening_fails_when_the_list_has_changed(self) -> None:
        seen = make_node("n", taints=(taint(UNREGISTERED_TAINT),))
        now = make_node("n", taints=(taint("gpu"), taint(UNREGISTERED_TAINT)))

        with pytest.raises(Invalid):
            json_patched(raw(now), patches.opening_patch(seen))

    def test_finalizers_of_others_stay(self) -> None:
        node = make_node("n", finalizers=("x", "y"))
        guarded = json_patched(raw(node), patches.finalizer_added(node.finalizers))

        assert guarded["metadata"]["finalizers"] == ["x", "y", TERMINATION_FINALIZER]
        freed = json_patched(guarded, patches.finalizer_removed(to_node(guarded)))
        assert freed["metadata"]["finalizers"] == ["x", "y"]

    @pytest.mark.parametrize("seen", [(), ("x", TERMINATION_FINALIZER)])
    def test_a_list_that_has_changed_fails_the_patch(self, seen: tuple[str, ...]) -> None:
        node = raw(make_node("n", finalizers=("y",)))
        before = make_node("n", finalizers=seen)
        operations = patches.finalizer_removed(before) if seen else patches.finalizer_added(seen)

        with pytest.raises(Invalid):
            json_patched(node, operations)
