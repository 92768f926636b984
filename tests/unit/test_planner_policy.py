"""Which plan of a front each policy picks, and what is said where it can't."""

from __future__ import annotations

import pickle

import pytest

from spotkube.model.policy import CHEAPEST, Pick, Policy, PolicyUnsatisfiable
from spotkube.planner.policy import pick
from spotkube.planner.problem import Alternative

# Dollars an hour: 1.00, 1.04, 1.10 and 3.00, with ever fewer pods lost together.
FRONT = [
    Alternative(1_000_000, interruption=500.0, lost_together=40.0),
    Alternative(1_040_000, interruption=400.0, lost_together=20.0),
    Alternative(1_100_000, interruption=300.0, lost_together=10.0),
    Alternative(3_000_000),
]


def safest(percent: float, most: float | None = None) -> Policy:
    return Policy(Pick.SAFEST, within_percent=percent, max_pods_lost_together=most)


def balanced(usd: float) -> Policy:
    return Policy(Pick.BALANCED, exchange_rate_usd=usd)


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [
        (CHEAPEST, 0),
        (safest(0), 0),
        (safest(4), 1),
        (safest(9.9), 1),
        (safest(10), 2),
        (safest(500), 3),
        (balanced(0), 0),
        (balanced(0.001), 0),  # 20 pods less together are worth 2 cents, and cost 4
        (balanced(0.003), 1),
        (balanced(0.01), 2),
        (balanced(1), 3),
        (Policy(max_pods_lost_together=10), 2),
        (Policy(Pick.BALANCED, 0.0, max_pods_lost_together=25), 1),
    ],
)
def test_policies(policy: Policy, chosen: int) -> None:
    assert pick(FRONT, policy, 0) == chosen


def test_the_percentage_is_of_all_nodes_that_there_are_in_the_end() -> None:
    assert pick(FRONT, safest(5), 0) == 1
    assert pick(FRONT, safest(5), 1_000_000) == 2


def test_interruptions_count_as_the_dollars_that_they_are() -> None:
    even = [Alternative(100, interruption=900.0), Alternative(600, interruption=300.0)]
    assert [pick(even, balanced(0), 0), pick(even, CHEAPEST, 0)] == [1, 0]


def test_unmet_preferences_count() -> None:
    front = [Alternative(100, unmet=10.0), Alternative(90, unmet=40.0)]
    assert pick(front, CHEAPEST, 0) == 0


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (safest(-1), ["objective usdPerHour blocks", "safest within -1 %", "$1.0000", "within_percent to 0 or more"]),
        (safest(5, most=15), ["objective podsLostTogether blocks", "loses 20.0 together", "costs 10.0 % more"]),
        (Policy(max_pods_lost_together=-1), ["objective podsLostTogether blocks", "found loses 0.0 together"]),
    ],
)
def test_a_policy_that_nothing_satisfies_is_told_what_blocks(policy: Policy, words: list[str]) -> None:
    with pytest.raises(PolicyUnsatisfiable) as error:
        pick(FRONT, policy, 0)
    for word in words:
        assert word in str(error.value)
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)  # it comes from the planner's process
