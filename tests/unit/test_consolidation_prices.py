"""What it costs to move a pod."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import both_ways, make_offering, make_pod, make_rule, make_snapshot
from spotkube.model.resources import ResourceList
from spotkube.planner.consolidation.prices import LEAST_MICRO_USD, MovePrices, move_cost, room_price

HALF_CORE = make_pod(cpu="500m", memory="1Gi")


def test_room_is_sold_by_its_scarcest_resource_where_that_is_cheapest() -> None:
    offerings = [
        make_offering("cpu", 0.20, cpu="4", memory="4Gi"),
        make_offering("memory", 0.24, cpu="4", memory="32Gi"),
    ]
    requests = ResourceList.from_quantities({"cpu": "1", "memory": "4Gi", "pods": 1})
    assert room_price(requests, offerings) == pytest.approx(0.25 * 240_000)
    assert room_price(ResourceList.from_quantities({"nvidia.com/gpu": 1}), offerings) == 0


def test_a_move_costs_five_minutes_of_its_room_on_demand() -> None:
    snapshot = make_snapshot([HALF_CORE], both_ways("m", 0.24, cpu="4", memory="32Gi"))
    assert MovePrices.of(snapshot).of_pod(HALF_CORE) == round(240_000 / 8 * 300 / 3600)


def test_what_a_restart_destroys_counts_where_the_workload_says_it() -> None:
    pod = make_pod(cpu="1", workload="render")
    rule = replace(make_rule("render", 1), restart_seconds=3600.0)
    snapshot = make_snapshot([pod], [make_offering(usd=0.2, cpu="2", memory="64Gi")], workloads=[rule])
    assert MovePrices.of(snapshot).of_pod(pod) == 100_000
    assert MovePrices.of(snapshot).of_all([pod, pod]) == 200_000


def test_a_job_of_nobody_is_taken_to_lose_half_an_hour() -> None:
    job = replace(HALF_CORE, owner="Job/nightly")
    snapshot = make_snapshot([job], both_ways("m", 0.24, cpu="4", memory="32Gi"))
    assert MovePrices.of(snapshot).of_pod(job) == 15_000


def test_no_move_is_free() -> None:
    assert move_cost(make_pod(cpu="1m"), 0.0, 300.0) == LEAST_MICRO_USD


@pytest.mark.parametrize(
    ("cost", "priority", "factor"),
    [(0, 0, 1), (1000, 0, 2), (-500, 0, 0.5), (-(2**31), 0, 0.1), (2**31 - 1, 0, 10), (0, 999, 2), (0, -10, 0.5),
     (1000, 999, 4), (0, 10**9 - 1, 4)],
)  # fmt: skip
def test_deletion_cost_and_priority(cost: int, priority: int, factor: float) -> None:
    shape = replace(HALF_CORE.shape, priority=priority)
    pod = replace(HALF_CORE, deletion_cost=cost, shape=shape)
    assert move_cost(pod, 120_000.0, 3600.0) == pytest.approx(factor * 120_000, rel=1e-3)
