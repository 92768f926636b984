"""Several namespaces that are one tenant, since a label of theirs says so."""

from __future__ import annotations

from typing import Any

import pytest
from test_controllers_queues import WHOLE, add_job, order, queue_status, running

from controller_builders import World
from queue_shown import waiting_workload
from queue_worlds import add_queue
from spotkube.api.fairqueue import FairQueue
from spotkube.api.workload import Workload
from spotkube.cluster.resources import CONFIGMAPS, FAIRQUEUES, NAMESPACES
from spotkube.convert.places import CONFIG_MAP, of_workloads, to_places
from spotkube.reports.queue_report import QueueReport, select

LABEL = "example.com/team"


@pytest.fixture
def world() -> World:
    """A queue of 4 cores; shop and cart are of team retail, bank is of nobody."""
    world = World(tenant_label=LABEL)
    world.add_pool(limits={"resources": {"cpu": "100", "memory": "1000Gi"}})
    for name, labels in (("shop", {LABEL: "retail"}), ("cart", {LABEL: "retail"}), ("bank", {})):
        world.kube.put(NAMESPACES, {"metadata": {"name": name, "labels": labels}})
    add_queue(world, resources=[{"name": "cpu", "nominalQuota": "4"}])
    return world


async def fill(world: World) -> None:
    """A job that takes all for a while."""
    add_job(world, "full", "bank", **WHOLE)
    await world.cycle()


def tenants(world: World) -> list[dict[str, Any]]:
    return list(queue_status(world)["tenants"])


async def test_they_share_one_share(world: World) -> None:
    for n in range(4):
        add_job(world, f"shop-{n}", "shop")
        add_job(world, f"cart-{n}", "cart")
        add_job(world, f"bank-{n}", "bank")

    await world.cycle()

    assert [name.partition("-")[0] for name in running(world)].count("bank") == 2


async def test_the_weight_is_that_of_the_tenant(world: World) -> None:
    add_queue(world, resources=[{"name": "cpu", "nominalQuota": "4"}], tenants=[{"name": "retail", "weight": 3}])
    for n in range(8):
        add_job(world, f"cart-{n}", "cart")
        add_job(world, f"bank-{n}", "bank")

    await world.cycle()

    assert [name.partition("-")[0] for name in running(world)].count("cart") == 3


async def test_status_metrics_and_report_speak_of_the_tenant(world: World) -> None:
    add_job(world, "a", "shop")
    for n in range(6):
        add_job(world, f"b{n}", "cart")
    await world.cycles(2)

    (retail,) = tenants(world)
    assert (retail["name"], retail["namespaces"]) == ("retail", ["cart", "shop"])
    assert (retail["pending"], retail["admitted"]) == (3, 4)
    assert 'spotkube_queue_wait_seconds_count{queue="batch",tenant="retail"} 4.0' in world.metrics.render().decode()
    queue = FairQueue.from_dict(world.kube.one(FAIRQUEUES, "batch"))
    kept = to_places(world.kube.one(CONFIGMAPS, CONFIG_MAP, "spotkube-system"))
    assert {one.tenant for one in kept.jobs} == {"retail"}
    report = select(QueueReport.of([queue], kept, world.clock()), None, "shop")
    assert [one.tenant.name for one in report.shares] == ["retail"]


async def test_to_who_sees_workloads_only_the_queue_says_whose_a_namespace_is(world: World) -> None:
    add_job(world, "a", "shop")
    await world.cycles(2)
    queue = FairQueue.from_dict(world.kube.one(FAIRQUEUES, "batch"))

    shown = of_workloads([Workload.from_dict(waiting_workload(namespace="shop"))])

    assert [job.tenant for job in QueueReport.of([queue], shown, world.clock()).places.jobs] == ["retail"]


async def test_a_label_that_changes_while_jobs_wait_moves_them_and_no_others(world: World) -> None:
    await fill(world)
    for n in range(3):
        for namespace in ("bank", "shop", "till"):
            add_job(world, f"{namespace}-{n}", namespace)
    world.kube.put(NAMESPACES, {"metadata": {"name": "till", "labels": {}}})
    await world.cycle()
    before = order(world)

    world.kube.change(NAMESPACES, "till", {"metadata": {"labels": {LABEL: "retail"}}})
    await world.cycle()

    def others(uids: list[str]) -> list[str]:
        return [uid for uid in uids if "till" not in uid]

    assert others(order(world)) == others(before)
    assert sorted(order(world)) == sorted(before), "nobody is lost"
    assert {one["name"]: one["pending"] for one in tenants(world)} == {"bank": 3, "retail": 6}


async def test_what_was_spent_stays_with_who_spent_it(world: World) -> None:
    add_job(world, "a", "bank", cpu="2")
    await world.cycle()
    controller = world.controllers.queues
    assert controller._memory is not None
    spending = controller._memory[1]
    spending.accrue(world.clock(), {("batch", "bank"): 36.0})
    spending.accrue(world.clock() + 100, {("batch", "bank"): 36.0})
    spent = spending.of(("batch", "bank")).usd_this_month
    assert spent > 0
    world.clock.now += 100

    world.kube.change(NAMESPACES, "bank", {"metadata": {"labels": {LABEL: "retail"}}})
    await world.cycles(3)

    assert spending.of(("batch", "bank")).usd_this_month == spent
