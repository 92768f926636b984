"""How many nodes of a pool may be on their way out at once, and what a budget that can't be read does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from controller_builders import World
from spotkube.api.disruption import Budget
from spotkube.cluster.resources import NODEPOOLS
from spotkube.controllers.claims.steps import GiveBackReason
from spotkube.controllers.disruption.budgets import Fleet, allowed, allowed_now, fleet_of, unreadable
from spotkube.model.disruption import DisruptionReason, NodeBudget

EMPTY, DRIFTED = DisruptionReason.EMPTY, DisruptionReason.DRIFTED
MONDAY = datetime(2026, 11, 30, 9, 0, tzinfo=UTC).timestamp()
HOUR = 3600.0
WORKING_HOURS = NodeBudget(count=0, schedule="0 9 * * mon-fri", duration_seconds=8 * HOUR)


def left(*budgets: NodeBudget, nodes: int = 20, away: int = 0, reason: DisruptionReason = EMPTY, now: float = 0) -> int:
    return allowed(budgets, reason, Fleet(nodes, away), now)


@pytest.mark.parametrize(("nodes", "share", "number"), [(20, 10, 2), (21, 10, 3), (1, 10, 1), (0, 10, 0), (7, 0, 0)])
def test_shares_are_rounded_up(nodes: int, share: int, number: int) -> None:
    assert left(NodeBudget(percent=share), nodes=nodes) == number


def test_the_strictest_of_those_for_the_reason_holds() -> None:
    budgets = (NodeBudget(count=5), NodeBudget(count=3), NodeBudget(count=0, reasons=(DRIFTED,)))
    assert left(*budgets) == 3
    assert left(*budgets, reason=DRIFTED) == 0


def test_nodes_that_are_away_use_it_up() -> None:
    assert left(NodeBudget(count=3), away=2) == 1
    assert left(NodeBudget(count=3), away=7) == 0


def test_every_reason_can_be_told_of_a_claim() -> None:
    assert {reason.value for reason in DisruptionReason} <= {reason.value for reason in GiveBackReason}


def test_none_lets_all_go() -> None:
    assert left(nodes=4) == 4


@pytest.mark.parametrize(
    ("hours", "number"),
    [(-0.01, 20), (0, 0), (0.001, 0), (7.99, 0), (8, 20), (24, 0), (5 * 24, 20)],
)
def test_a_schedule_is_in_force_from_its_minute_for_its_duration(hours: float, number: int) -> None:
    assert left(WORKING_HOURS, now=MONDAY + hours * HOUR) == number


def test_short_names_of_schedules_are_known() -> None:
    nightly = NodeBudget(count=1, schedule="@daily", duration_seconds=HOUR)
    assert left(nightly, now=MONDAY) == 20
    assert left(nightly, now=MONDAY + 15.5 * HOUR) == 1


@pytest.mark.parametrize("schedule", ["soon", "0 25 * * *", "* * *", "0 0 31 2 *", "@fortnightly"])
def test_one_that_cannot_be_read_closes_and_is_named(schedule: str) -> None:
    broken = NodeBudget(count=5, schedule=schedule, duration_seconds=HOUR)
    assert left(broken) == 0
    assert f"budgets[1].schedule {schedule!r} is no cron expression" in unreadable((NodeBudget(count=1), broken))
    assert unreadable((WORKING_HOURS,)) == ""


@pytest.mark.parametrize("nodes", ["-1", "101%", "ten", "1.5", ""])
def test_numbers_that_mean_nothing_are_refused(nodes: str) -> None:
    with pytest.raises(ValidationError):
        Budget(nodes=nodes)


@pytest.mark.parametrize("fields", [{"schedule": "@daily"}, {"duration": "1h"}])
def test_a_schedule_needs_a_duration(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="belong together"):
        Budget.model_validate(fields)


async def test_of_a_pool_the_nodes_that_are_not_ready_and_its_mode_count() -> None:
    world = World()
    name = await world.up_and_running()
    assert allowed_now("pool", EMPTY, await world.look()) == 1

    world.join(name, ready=False)
    assert fleet_of("pool", EMPTY, await world.look()) == Fleet(1, 1)
    assert allowed_now("pool", EMPTY, await world.look()) == 0
    assert allowed_now("pool", DisruptionReason.UNHEALTHY, await world.look()) == 1, "it stands in its own way"
    assert allowed_now("pool", DisruptionReason.UNHEALTHY, await world.look(), frozenset({name})) == 0

    world.join(name)
    world.kube.change(NODEPOOLS, "pool", {"spec": {"mode": "Recommend"}})
    assert allowed_now("pool", EMPTY, await world.look()) == 0


async def test_the_pools_condition_says_what_cannot_be_read() -> None:
    world = World()
    world.add_pool(disruption={"budgets": [{"nodes": "1", "schedule": "never", "duration": "1h"}]})
    await world.cycle()
    conditions = world.kube.one(NODEPOOLS, "pool")["status"]["conditions"]
    (told,) = [one for one in conditions if one["type"] == "DisruptionAllowed"]
    assert (told["status"], told["reason"]) == ("False", "BudgetUnreadable")
    assert "budgets[0].schedule 'never'" in told["message"]
