"""Whatever the budgets are and whatever happens, never more nodes are on their way out than the strictest allows."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from spotkube.controllers.disruption.budgets import Fleet, allowed
from spotkube.model.disruption import DisruptionReason, NodeBudget

COUNTS = st.builds(NodeBudget, count=st.integers(0, 30), reasons=st.sets(st.sampled_from(DisruptionReason)).map(tuple))
SHARES = st.builds(
    NodeBudget, percent=st.integers(0, 100), reasons=st.sets(st.sampled_from(DisruptionReason)).map(tuple)
)
BUDGETS = st.lists(st.one_of(COUNTS, SHARES), max_size=4)
# What happens: nodes want to go for a reason, or one of those that went is replaced.
EVENTS = st.lists(st.tuples(st.sampled_from([*DisruptionReason, None]), st.integers(1, 10)), max_size=30)


def strictest(budgets: list[NodeBudget], reason: DisruptionReason, nodes: int) -> int:
    limits = [
        budget.count if budget.count is not None else math.ceil(nodes * (budget.percent or 0) / 100)
        for budget in budgets
        if not budget.reasons or reason in budget.reasons
    ]
    return min([nodes, *limits])


@given(BUDGETS, st.integers(0, 40), EVENTS)
def test_never_more_are_away_than_the_strictest_allows(
    budgets: list[NodeBudget], nodes: int, events: list[tuple[DisruptionReason | None, int]]
) -> None:
    away = 0
    for reason, wish in events:
        if reason is None:
            away = max(0, away - wish)
            continue
        go = min(wish, allowed(budgets, reason, Fleet(nodes, away), 0.0))
        away += go
        assert go == 0 or away <= strictest(budgets, reason, nodes)


@given(BUDGETS, COUNTS, st.integers(0, 40), st.integers(0, 40), st.sampled_from(DisruptionReason))
def test_one_more_budget_never_lets_more_go(
    budgets: list[NodeBudget], more: NodeBudget, nodes: int, away: int, reason: DisruptionReason
) -> None:
    fleet = Fleet(nodes, away)
    assert allowed([*budgets, more], reason, fleet, 0.0) <= allowed(budgets, reason, fleet, 0.0)
