"""Interruption rates: the band at first, and ever more what was seen."""

from __future__ import annotations

import math

import pytest

from builders import make_offering
from spotkube.model.history import HOURS_A_MONTH, SpotPool, SpotRecord
from spotkube.planner.formulation.rates import PRIOR_HOURS, posterior_rate, prior_rate, spot_rates

POOL = SpotPool("a.large", "zone-a")


def a_month(rate: float) -> float:
    """Which part of instances is interrupted within a month."""
    return 1 - math.exp(-rate * HOURS_A_MONTH)


@pytest.mark.parametrize(
    ("percent", "expected"), [(5, 0.025), (10, 0.075), (15, 0.125), (20, 0.175), (100, 0.3), (0, 0.0), (7, 0.06)]
)
def test_a_band_stands_for_its_middle(percent: int, expected: float) -> None:
    assert a_month(prior_rate(percent)) == pytest.approx(expected)


def test_without_history_the_band_alone_counts() -> None:
    offerings = [make_offering("a.large", spot=True, percent=10), make_offering("a.large")]
    assert spot_rates(offerings, ()) == {POOL: prior_rate(10)}
    assert posterior_rate(prior_rate(10), 0.0, 0) == prior_rate(10)


def test_a_long_history_outweighs_the_band() -> None:
    seen = 2e-3
    errors = [abs(posterior_rate(prior_rate(5), hours, round(seen * hours)) - seen) for hours in (1e3, 1e4, 1e5, 1e7)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < seen / 100


def test_quiet_hours_lower_the_rate_and_the_prior_is_worth_ten_months() -> None:
    prior = prior_rate(10)
    assert posterior_rate(prior, PRIOR_HOURS, 0) == pytest.approx(prior / 2)
    assert PRIOR_HOURS * prior == pytest.approx(0.78, abs=0.01)


def test_records_of_one_spot_pool_are_pooled_and_others_stay_as_they_are() -> None:
    offerings = [make_offering("a.large", spot=True, zone=zone, percent=10) for zone in ("zone-a", "zone-b")]
    history = [
        SpotRecord(POOL, 1000.0, 4, 2),
        SpotRecord(POOL, 500.0, 2, 1),
        SpotRecord(SpotPool("no", "where"), 9, 9, 9),
    ]
    rates = spot_rates(offerings, history)
    assert rates == {
        POOL: pytest.approx(posterior_rate(prior_rate(10), 1500.0, 3)),
        SpotPool("a.large", "zone-b"): prior_rate(10),
    }
