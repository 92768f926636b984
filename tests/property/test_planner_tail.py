"""The tail against its definition by another formula, and fronts against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotkube.planner.search.front import spread, undominated
from spotkube.planner.search.tail import WORST, pods_lost_together

rates = st.just(0.0) | st.floats(1e-6, 10)
pools = st.lists(st.tuples(st.integers(0, 50), rates), min_size=1, max_size=30)
fronts = st.lists(st.tuples(*[st.integers(0, 8)] * 3), min_size=1, max_size=40)


def brute_force(pods: list[int], rate: list[float]) -> float:
    """Rockafellar and Uryasev: the least of c + E[max(0, loss - c)] / 5 % over all c; it is at one of the losses."""
    used = [(p, r) for p, r in zip(pods, rate, strict=True) if p]
    total = sum(r for _, r in used)
    if not total:
        return 0.0
    return min(c + sum(r / total * max(0, p - c) for p, r in used) / WORST for c in (0, *pods))


@settings(deadline=None)  # the first example compiles
@given(pools)
def test_the_tail_is_the_mean_of_the_worst_events(drawn: list[tuple[int, float]]) -> None:
    pods, rate = [p for p, _ in drawn], [r for _, r in drawn]
    tail = pods_lost_together(np.array(pods, np.int64), np.array(rate, np.float64))
    assert tail == pytest.approx(brute_force(pods, rate), rel=1e-6, abs=1e-9)


@settings(deadline=None)  # the first example compiles
@given(pools)
def test_it_lies_between_the_mean_and_the_worst(drawn: list[tuple[int, float]]) -> None:
    pods, rate = np.array([p for p, _ in drawn]), np.array([r for _, r in drawn])
    tail = pods_lost_together(pods.copy(), rate)
    used = (pods > 0) & (rate > 0)
    if used.any() and rate[used].sum() > 1e-9:
        assert np.average(pods[used], weights=rate[used]) - 1e-6 <= tail <= pods[used].max() + 1e-6


def test_few_pools_lose_the_largest_and_rare_ones_count_for_less() -> None:
    even = np.ones(4)
    assert pods_lost_together(np.array([7, 3, 0, 9]), even) == pytest.approx(9)
    # The large pool is hit by 1 % of events: a fifth of the worst 5 %.
    assert pods_lost_together(np.array([100, 10]), np.array([1.0, 99.0])) == pytest.approx(0.2 * 100 + 0.8 * 10)


@given(fronts)
def test_what_is_kept_is_beaten_by_none_and_beats_the_rest(drawn: list[tuple[int, ...]]) -> None:
    points = np.array(drawn, np.float64)
    kept = points[undominated(points)]
    assert len(np.unique(kept, axis=0)) == len(kept)
    for point in points:
        assert any((one <= point).all() for one in kept)
    for one in kept:
        assert not any((other <= one).all() and (other < one).any() for other in points)


@given(fronts, st.integers(4, 20))
def test_a_front_that_is_cut_keeps_its_ends_and_its_order(drawn: list[tuple[int, ...]], most: int) -> None:
    points = np.array(drawn, np.float64)
    chosen = points[spread(points, most)]
    assert len(chosen) == min(most, len(points))
    assert (chosen.min(axis=0) == points.min(axis=0)).all()
    assert [tuple(row) for row in chosen] == sorted(tuple(row) for row in chosen)
