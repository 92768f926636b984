"""A cluster that was built from our own plan is left alone, however often it is asked about."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from builders import both_ways, make_pods, make_rule, make_snapshot
from moves_support import after
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.pods import Pod
from spotkube.planner.consolidation.consolidate import consolidate
from spotkube.planner.decide import decide
from spotkube.planner.problem import Budget

WORK = Budget(seconds=None, column_rounds=30, generations=20)
FEW_ROUNDS = Budget(seconds=None, column_rounds=10, generations=2)
SIZES = (
    ("small", 0.08, "2", "4Gi"),
    ("fat", 0.10, "2", "16Gi"),
    ("middle", 0.155, "4", "8Gi"),
    ("big", 0.30, "8", "32Gi"),
)
REPLANS = 100


@pytest.fixture(scope="module")
def built() -> Snapshot:
    """Eighty pods of eight Workloads on the nodes that were planned for them."""
    chance = random.Random(3)
    offerings = [
        offering
        for name, usd, cpu, memory in SIZES
        for offering in both_ways(name, usd, cpu=cpu, memory=memory, zones=("zone-a", "zone-b"))
    ]
    pods, rules = [], []
    for number in range(8):
        cpu, memory = (
            chance.choice(["100m", "250m", "500m", "1", "1500m"]),
            chance.choice(["256Mi", "1Gi", "2Gi", "3Gi"]),
        )
        pods += make_pods(10, app=f"app-{number}", workload=f"w-{number}", cpu=cpu, memory=memory)
        rules.append(make_rule(f"w-{number}", 10, fraction=chance.choice([0.0, 0.5, 1.0, 1.0])))
    snapshot = make_snapshot(pods, offerings, workloads=rules)
    plan = decide(snapshot, Mode.RECOMMEND, seed=0, budget=WORK)
    assert not plan.unplaceable
    assert len(plan.additions) > 5
    return after(snapshot, plan)


def test_a_hundred_replans_move_nobody(built: Snapshot) -> None:
    for seed in range(REPLANS):
        plan = consolidate(built, Mode.RECOMMEND, seed=seed, budget=FEW_ROUNDS)
        assert (plan.additions, plan.drains, plan.placements) == ((), (), ())
        assert plan.cost_after_micro_usd_hour == plan.cost_now_micro_usd_hour


def test_after_a_loss_it_is_packed_anew_once(built: Snapshot) -> None:
    """Then replans move nobody again."""
    halved = with_pods(built, random.Random(1).sample(built.pods, len(built.pods) // 2))
    halved = after(halved, consolidate(halved, Mode.RECOMMEND, seed=0, budget=WORK))
    cost = sum(claim.price_micro_usd_hour for claim in halved.claims)
    assert cost < 0.75 * sum(claim.price_micro_usd_hour for claim in built.claims)
    for seed in range(REPLANS // 4):
        plan = consolidate(halved, Mode.RECOMMEND, seed=seed, budget=FEW_ROUNDS)
        assert (plan.additions, plan.drains) == ((), ())


def with_pods(snapshot: Snapshot, pods: list[Pod]) -> Snapshot:
    """The same with these pods only, which are all that their Workloads want."""
    there = Counter(pod.workload for pod in pods)
    rules = tuple(replace(rule, replicas=there[rule.key]) for rule in snapshot.workloads)
    return replace(snapshot, pods=tuple(pods), workloads=rules)
