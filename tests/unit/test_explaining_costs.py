"""What rules cost, against plans whose prices are plain to see."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import (
    ZONES,
    both_ways,
    make_offering,
    make_pod,
    make_pods,
    make_pool,
    make_rule,
    make_snapshot,
    repels,
    requirement,
    spread,
)
from spotkube.model import labels as keys
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.explanation import Costs
from spotkube.planner.explaining.costs import costs_of_constraints
from spotkube.planner.problem import Budget

WORK = Budget(seconds=None, column_rounds=20, generations=3)


def costs(snapshot: Snapshot, most: int = 40) -> Costs:
    return costs_of_constraints(snapshot, Mode.RECOMMEND, 1, WORK, most=most)


def told(snapshot: Snapshot) -> dict[str, tuple[int, int]]:
    """Micro-dollars an hour of each constraint, found and proven."""
    return {one.constraint: (one.micro_usd_hour, one.certain_micro_usd_hour) for one in costs(snapshot).costs}


def test_what_keeps_off_spot() -> None:
    rule = make_rule("db", 2, fraction=0)
    pods = make_pods(2, workload="db", owner="StatefulSet/db", cpu="1500m")
    snapshot = make_snapshot(pods, both_ways(usd=0.09), workloads=[rule])
    assert told(snapshot) == {"default/db: never on spot": (120_000, 120_000)}


def test_a_selector_that_shuts_out_the_cheaper_ones() -> None:
    pods = make_pods(1, node_selector={keys.ARCH: "amd64", keys.OS: "linux"}, owner="Deployment/web")
    offerings = [make_offering("x", 0.10), make_offering("a", 0.07, arch="arm64")]
    assert told(make_snapshot(pods, offerings)) == {
        "default/web: nodeSelector kubernetes.io/arch=amd64": (30_000, 30_000)
    }


def test_anti_affinity_that_needs_a_node_each() -> None:
    pods = make_pods(2, app="db", anti_affinity=[repels(app="db")], owner="StatefulSet/db", cpu="500m")
    assert told(make_snapshot(pods, [make_offering(usd=0.1)])) == {
        "default/db: podAntiAffinity over kubernetes.io/hostname": (100_000, 100_000)
    }


def test_a_spread_over_a_dear_zone() -> None:
    pods = make_pods(2, app="web", spreads=[spread(app="web")], owner="Deployment/web", cpu="2")
    offerings = [make_offering(usd=usd, zone=zone) for usd, zone in zip((0.1, 0.3), ZONES[:2], strict=True)]
    found = told(make_snapshot(pods, offerings))
    assert found["default/web: spread over topology.kubernetes.io/zone (maxSkew 1)"][0] == 200_000


@pytest.mark.parametrize(
    ("pool", "constraint"),
    [
        ({"max_interruption_percent": 10}, "NodePool pool: maxInterruptionPercent 10"),
        ({"requirements": (requirement(keys.CAPACITY_TYPE, "In", "on-demand"),)},
         "NodePool pool: spotkube.io/capacity-type In [on-demand]"),
    ],
)  # fmt: skip
def test_settings_of_pools(pool: dict[str, object], constraint: str) -> None:
    pods = make_pods(1, workload="w")
    snapshot = make_snapshot(pods, both_ways(usd=0.09, percent=20), pools=[make_pool(**pool)])
    assert told(snapshot) == {constraint: (60_000, 60_000)}


def test_pods_of_nobody_kept_off_spot() -> None:
    found = told(make_snapshot([make_pod()], both_ways(usd=0.09)))
    assert found == {"NodePool pool: pods of no Workload never on spot": (60_000, 60_000)}


def test_a_share_in_one_spot_pool() -> None:
    rule = replace(make_rule("w", 4), max_fraction_per_pool=0.25)
    offerings = [make_offering("cheap", 0.03, spot=True), *both_ways("dear", 0.3)]
    found = told(make_snapshot(make_pods(4, workload="w", cpu="500m"), offerings, workloads=[rule]))
    assert found["default/w: maxFractionPerPool 0.25"][0] > 0


def test_what_does_not_bind_costs_nothing() -> None:
    rule = replace(make_rule("w", 2), max_fraction_per_pool=0.9)
    pool = make_pool(limit_nodes=9, limit_resources=(("cpu", 64_000),), max_interruption_percent=15)
    pods = make_pods(2, app="w", workload="w", anti_affinity=[repels(app="other")], cpu="1500m")
    offerings = both_ways(usd=0.09, zones=ZONES[:2])
    assert costs(make_snapshot(pods, offerings, pools=[pool], workloads=[rule])).costs == ()


def test_pods_that_have_no_place_for_it_are_counted_and_not_priced() -> None:
    snapshot = make_snapshot(make_pods(3, cpu="2"), [make_offering()], pools=[make_pool(limit_nodes=1)])
    (one,) = costs(snapshot).costs
    assert (one.constraint, one.more_pods, one.micro_usd_hour) == ("NodePool pool: limits (nodes)", 2, 0)


def test_numbered_jobs_and_workloads_come_together() -> None:
    rules = [make_rule(f"train-{n}", 1, fraction=0) for n in range(3)]
    pods = [
        make_pod(f"p{n}", workload=f"train-{n}", owner=f"Job/train-{n}", cpu=f"{1 + n / 10}", node_selector={"a": "b"})
        for n in range(3)
    ]
    offerings = [replace(o, labels=tuple(sorted((*o.labels, ("a", "b"))))) for o in both_ways(usd=0.09)]
    found = costs(make_snapshot(pods, [*offerings, make_offering("none", 1.0)], workloads=rules))
    assert [one.constraint for one in found.costs] == ["default/train-*: never on spot"]
    assert found.tried == 2


def test_what_was_not_tried_is_told() -> None:
    pods = make_pods(1, app="w", anti_affinity=[repels(app="w")], owner="Deployment/w")
    pool = make_pool(limit_nodes=5, limit_micro_usd_hour=1_000_000)
    found = costs(make_snapshot(pods, [make_offering()], pools=[pool]), most=2)
    assert (found.tried, len(found.not_tried)) == (2, 1)


def test_progress_is_told() -> None:
    steps: list[tuple[int, int]] = []
    snapshot = make_snapshot([make_pod()], both_ways())
    costs_of_constraints(snapshot, Mode.RECOMMEND, 1, WORK, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 2)]
