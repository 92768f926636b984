"""Which node the demo has taken back, and what it tells of its end."""

from __future__ import annotations

from typing import Any

import pytest
from demo_builders import budget, claim, node, pod, scene, service

from demo.errors import DemoError
from demo.interruption import Timeline, Victim, choose
from demo.scene import Scene
from spotkube.model.labels import WORKLOAD

NOTICE = {
    "kind": "SpotInterruption", "source": "aws/spot-itn", "id": "1",
    "deadline": "2026-01-01T10:02:00Z", "receivedAt": "2026-01-01T10:00:00Z",
}  # fmt: skip
BUDGETS = (budget(app="cart"),)


def before() -> Scene:
    return scene(
        pods=(pod("cart-1", "old", app="cart"), pod("job-1", "old")),
        nodes=(node("old"),),
        claims=(claim("old"),),
        budgets=BUDGETS,
    )


def victim() -> Victim:
    return choose(before())


def told(*scenes: Scene) -> list[str]:
    timeline = Timeline(victim())
    for second, each in enumerate(scenes):
        timeline.observe(each, float(second))
    return list(timeline.told)


def test_the_fullest_spot_node_with_a_budget_is_chosen() -> None:
    pods = (
        pod("cart-1", "small", app="cart"),
        pod("cart-2", "full", app="cart"), pod("job-1", "full"),
        pod("cart-3", "safe", app="cart"), pod("job-2", "safe"), pod("job-3", "safe"),
        pod("job-4", "bare"), pod("job-5", "bare"), pod("job-6", "bare"),
    )  # fmt: skip
    claims = (claim("small"), claim("full"), claim("safe", "on-demand"), claim("bare"))
    assert choose(scene(pods=pods, claims=claims, budgets=BUDGETS)).node == "full"


def test_without_such_a_node_there_is_nothing_to_show() -> None:
    with pytest.raises(DemoError, match="PodDisruptionBudget"):
        choose(scene(pods=(pod("job-1", "n"),), claims=(claim("n"),), budgets=BUDGETS))


def test_nothing_is_told_before_it_happened() -> None:
    assert told(before()) == []


def test_a_pod_that_finished_was_not_evicted() -> None:
    done = scene(
        pods=(pod("cart-1", "old", app="cart"), pod("job-1", "old", "Succeeded")),
        nodes=(node("old"),), claims=(claim("old"),),
    )  # fmt: skip
    assert told(done) == []


def test_notice_and_cordon() -> None:
    noticed = scene(
        pods=(pod("cart-1", "old"), pod("job-1", "old")),
        nodes=(node("old", cordoned=True),),
        claims=(claim("old", notice=NOTICE),),
    )
    assert told(noticed) == ["notice", "cordon"]


def test_each_step_is_told_once() -> None:
    timeline = Timeline(victim())
    noticed = scene(
        pods=(pod("cart-1", "old"), pod("job-1", "old")), nodes=(node("old"),), claims=(claim("old", notice=NOTICE),)
    )
    assert "10:02:00" in timeline.observe(noticed, 1.0)[0]
    assert timeline.observe(noticed, 2.0) == []
    assert timeline.told == {"notice": 1.0}


@pytest.mark.parametrize(("phase", "expected"), [("Launched", False), ("Ready", True)])
def test_a_replacement_is_a_new_claim(phase: str, expected: bool) -> None:
    bought = scene(
        pods=(pod("cart-1", "old"), pod("job-1", "old")),
        nodes=(node("old"),), claims=(claim("old"), claim("new", phase=phase)),
    )  # fmt: skip
    assert ("replacement ready" in told(bought)) is expected
    assert "replacement" in told(bought)


def test_it_is_over_when_node_and_claim_are_gone_and_all_pods_run_elsewhere() -> None:
    timeline = Timeline(victim())
    noticed = scene(
        pods=(pod("cart-1", "old", ending=True), pod("job-1", "old")),
        nodes=(node("old", cordoned=True),), claims=(claim("old", notice=NOTICE), claim("new")),
    )  # fmt: skip
    timeline.observe(noticed, 1.0)
    assert not timeline.is_over
    after: dict[str, Any] = {"nodes": (node("new"),), "claims": (claim("new"),)}
    timeline.observe(scene(pods=(pod("cart-2", phase="Pending"), pod("job-2", "new")), **after), 2.0)
    assert timeline.missing == ["all pods run"]
    of_cart, cart = {WORKLOAD: "cart"}, service("cart", replicas=1)
    timeline.observe(
        scene(pods=(pod("cart-2", "new", **of_cart), pod("job-2", "new")), workloads=(cart,), **after), 3.0
    )
    assert timeline.is_over
    assert timeline.told["all pods run"] == 3.0
