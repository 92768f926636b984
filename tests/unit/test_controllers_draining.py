"""Which pods are asked to leave, when and how; and the marks on a leaving node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import make_node, make_pod, taint
from controller_builders import START, json_patched
from spotkube.cluster.errors import Invalid
from spotkube.controllers.claims import patches
from spotkube.controllers.claims.draining import PodAction, drain_actions
from spotkube.model.cluster import Node
from spotkube.model.labels import (
    DISRUPTED_TAINT,
    EXCLUDE_FROM_LOAD_BALANCERS,
    TERMINATION_FINALIZER,
    UNREGISTERED_TAINT,
)
from spotkube.model.pods import Pod

MARGIN = 5.0


def pod(name: str = "web", grace: int = 30, **fields: Any) -> Pod:
    return replace(make_pod(name, node="n"), grace_seconds=grace, **fields)


def actions(*pods: Pod, left: float | None = None) -> tuple[PodAction, ...]:
    """With so many seconds left until the deadline."""
    return drain_actions(pods, START, None if left is None else START + left, MARGIN)


class TestWithoutDeadline:
    def test_pods_are_evicted_with_their_own_grace(self) -> None:
        web = pod()

        assert actions(web) == (PodAction(web),)

    def test_those_that_opted_out_daemons_mirrors_and_those_on_their_way_are_left_alone(self) -> None:
        assert actions(pod(do_not_disrupt=True), pod(daemon=True), pod(mirror=True), pod(deleting=True)) == ()


class TestWithDeadline:
    def test_evicted_while_there_is_time(self) -> None:
        web = pod(grace=30)

        assert actions(web, left=120) == (PodAction(web),)

    @pytest.mark.parametrize(
        ("left", "grace", "given"),
        [
            (35.0, 30, 30),  # the forced moment: all of its grace, and the margin
            (34.0, 30, 29),  # a little late
            (36.0, 30, None),  # a second before
            (120.0, 3600, 115),  # longer than the whole notice: at once
            (20.0, 0, None),  # one that wants no grace can wait
            (5.0, 0, 1),
            (0.0, 30, 1),
            (-50.0, 30, 1),  # never 0, which would leave the node's record of it behind
        ],
    )
    def test_forced_at_deadline_less_grace_less_margin(self, left: float, grace: int, given: int | None) -> None:
        (action,) = actions(pod(grace=grace), left=left)

        assert (action.forced, action.grace_seconds) == (given is not None, given)

    def test_an_opt_out_is_no_protection(self) -> None:
        guarded = pod(do_not_disrupt=True)

        assert actions(guarded, left=120) == (PodAction(guarded),)

    def test_daemons_and_mirrors_end_with_the_node(self) -> None:
        assert actions(pod(daemon=True), pod(mirror=True), left=1) == ()

    def test_the_longest_grace_goes_first(self) -> None:
        assert [a.pod.name for a in actions(pod("a", 1), pod("b", 60), pod("c", 60), left=100)] == ["b", "c", "a"]


def raw(node: Node) -> dict[str, object]:
    taints = [{"key": t.key, "effect": t.effect.value} for t in node.taints]
    spec = {"taints": taints} if taints else {}
    metadata: dict[str, object] = {"name": node.name, "labels": dict(node.labels)}
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
        freed = json_patched(guarded, patches.finalizer_removed(tuple(guarded["metadata"]["finalizers"])))
        assert freed["metadata"]["finalizers"] == ["x", "y"]

    @pytest.mark.parametrize("seen", [(), ("x", TERMINATION_FINALIZER)])
    def test_a_list_that_has_changed_fails_the_patch(self, seen: tuple[str, ...]) -> None:
        node = raw(make_node("n", finalizers=("y",)))
        operations = patches.finalizer_removed(seen) if seen else patches.finalizer_added(seen)

        with pytest.raises(Invalid):
            json_patched(node, operations)
