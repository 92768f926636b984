"""What each of those who ask is due, and how even it is what they have."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotkube.queueing.fairness import dues, entitlements, jain, served


@pytest.mark.parametrize(
    ("parts", "index"),
    [([1, 1, 1, 1], 1.0), ([1, 0, 0, 0], 0.25), ([0.5, 0.5], 1.0), ([1, 0.5], 0.9), ([0, 0], 0.0), ([], 0.0)],
)
def test_jains_index(parts: list[float], index: float) -> None:
    assert jain(parts) == pytest.approx(index)


@pytest.mark.parametrize(
    ("wants", "weights", "due"),
    [
        ({"a": 9, "b": 9}, {"a": 1, "b": 1}, {"a": 5, "b": 5}),
        ({"a": 9, "b": 9}, {"a": 1, "b": 3}, {"a": 2.5, "b": 7.5}),
        ({"a": 2, "b": 9}, {"a": 1, "b": 1}, {"a": 2, "b": 8}),
        ({"a": 9, "b": 4}, {"a": 0, "b": 1}, {"a": 6, "b": 4}),
        ({"a": 9, "b": 20}, {"a": 0, "b": 1}, {"a": 0, "b": 10}),
        ({"a": 1, "b": 1}, {"a": 1, "b": 1}, {"a": 1, "b": 1}),
    ],
)
def test_what_each_is_due_of_ten(wants: dict[str, float], weights: dict[str, float], due: dict[str, float]) -> None:
    assert dues(wants, weights, 10.0) == pytest.approx(due)


def test_who_has_nothing_counts_as_zero() -> None:
    wants = {"a": 10.0, "b": 5.0}
    assert served({"a": 10.0}, wants, {"a": 1, "b": 1}) == [1.0, 0.0]
    assert served({}, wants, {"a": 1, "b": 1}) == [0.0, 0.0]
    assert served({"a": 10.0}, wants, {"a": 1, "b": 0}) == [1.0, 1.0], "b is due nothing"


def test_those_of_weight_zero_are_entitled_to_nothing_until_they_are_alone() -> None:
    assert entitlements({"a": 2.0, "b": 0.0}) == {"a": 1.0, "b": 0.0}
    assert entitlements({"b": 0.0, "c": 0.0}) == {"b": 0.5, "c": 0.5}
    assert entitlements({}) == {}


AMOUNTS = st.floats(0, 1e9)
ASKING = st.dictionaries(st.sampled_from("abcdef"), st.tuples(AMOUNTS, AMOUNTS, st.floats(0, 1e6)))


@given(ASKING)
def test_all_is_given_out_and_nobody_gets_more_than_it_wants(asking: dict[str, tuple[float, float, float]]) -> None:
    gets = {name: has for name, (has, _, _) in asking.items()}
    wants = {name: has + more for name, (has, more, _) in asking.items()}
    weights = {name: weight for name, (_, _, weight) in asking.items()}

    due = dues(wants, weights, sum(gets.values()))

    assert sum(due.values()) == pytest.approx(sum(gets.values()))
    assert all(0 <= due[name] <= wants[name] for name in wants)
    parts = served(gets, wants, weights)
    assert len(parts) == len(wants) and all(0 <= part <= 1 for part in parts)
    assert 0 <= jain(parts) <= 1 + 1e-9 and not math.isnan(jain(parts))
