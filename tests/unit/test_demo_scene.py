"""What the demo reads off a cluster, and when it says that all pods run."""

from __future__ import annotations

from demo_builders import addition, budget, claim, daemon, job, plan, pod, scene, service

from spotkube.model.labels import WORKLOAD


def test_daemons_are_no_work() -> None:
    seen = scene(pods=(pod("cart", "n1"), daemon("n1")))
    assert [each.key for each in seen.work] == ["shop/cart"]
    assert [each.key for each in seen.pods_on("n1")] == ["shop/cart"]


def test_a_budget_covers_the_pods_that_it_selects() -> None:
    seen = scene(pods=(pod("cart-1", app="cart"), pod("wiki-1", app="wiki")), budgets=(budget(app="cart"),))
    assert [each.covered for each in seen.work] == [True, False]


def test_an_empty_selector_of_a_budget_covers_nothing_here() -> None:
    assert not scene(pods=(pod("cart-1", app="cart"),), budgets=(budget(),)).work[0].covered


def test_all_run_when_each_is_ready_or_has_ended_well() -> None:
    assert scene(pods=(pod("a", "n1"), pod("b", "n1", "Succeeded"))).all_run()
    assert not scene(pods=(pod("a", "n1"), pod("b", phase="Pending"))).all_run()
    assert not scene(pods=(pod("a", "n1"), pod("b", "n1", "Failed"))).all_run()


def test_nothing_at_all_is_not_all() -> None:
    assert not scene().all_run()
    assert not scene(pods=(pod("a", "n1"),)).all_run(at_least=2)


def test_a_workload_that_lacks_pods_does_not_run() -> None:
    running = (pod("cart-1", "n1", **{WORKLOAD: "cart"}), pod("wiki-1", "n1"))
    assert not scene(pods=running, workloads=(service("cart"),)).all_run(), "nobody has looked at it yet"
    assert not scene(pods=running, workloads=(service("cart", replicas=2),)).all_run()
    assert scene(pods=running, workloads=(service("cart", replicas=1),)).all_run()


def test_a_pod_that_is_ending_does_not_count_for_its_workload() -> None:
    pods = (pod("cart-1", "n1", ending=True, **{WORKLOAD: "cart"}),)
    assert not scene(pods=pods, workloads=(service("cart", replicas=1),)).all_made()


def test_a_workload_does_not_count_the_pods_of_another() -> None:
    pods = (pod("cart-1", "n1", **{WORKLOAD: "cart"}), pod("cart-2", "n1", **{WORKLOAD: "cart"}))
    assert not scene(pods=pods, workloads=(service("cart", replicas=1), service("wiki", replicas=1))).all_made()


def test_a_job_whose_pod_ended_while_it_was_evicted_lacks_nothing() -> None:
    over = {"type": "Ready", "status": "False", "reason": "JobComplete", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    running = {**over, "reason": "JobRunning"}
    pods = (pod("cart-1", "n1"),)
    assert scene(pods=pods, workloads=(job("resize", replicas=1, conditions=[over]),)).all_run()
    assert not scene(pods=pods, workloads=(job("resize", replicas=1, conditions=[running]),)).all_run()


def test_nodes_are_open_once_all_claims_are_ready() -> None:
    assert scene(claims=(claim("a"), claim("b"))).all_open
    assert not scene(claims=(claim("a"), claim("b", phase="Registered"))).all_open


def test_the_price_is_that_of_all_claims() -> None:
    assert scene(claims=(claim("a", price=0.25), claim("b", price=0.5))).usd_per_hour == 0.75


def test_the_plan_is_the_newest_that_bought_something() -> None:
    plans = (
        plan("later", "2026-01-01T00:00:09Z", additions=[addition("b")]),
        plan("empty", "2026-01-01T00:00:10Z"),
        plan("first", "2026-01-01T00:00:01Z", additions=[addition("a")]),
    )
    chosen = scene(plans=plans).plan
    assert chosen is not None and chosen.name == "later"
