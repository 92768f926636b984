"""How long a job is thought to run, and what that is worth."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spotkube.model.resources import ResourceList
from spotkube.queueing import history as kept
from spotkube.queueing.estimates import DEFAULT_SECONDS, LEAST_SECONDS, MOST_SECONDS, Source, estimate
from spotkube.queueing.history import History
from spotkube.queueing.jobclasses import JobClass, owner_pattern

NIGHTLY = JobClass("team-a", "nightly-*", "etl:3", ("run", "all"), ResourceList({"cpu": 4000}))


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("nightly-29312460", "nightly-*"),
        ("train-7", "train-*"),
        ("etl-x7k2p", "etl-*"),
        ("etl-29312460-x7k2p", "etl-*"),
        ("build-3f2a9c1d7e", "build-*"),
        ("run-20261128t173000z", "run-*"),
        ("run.2026-11-28", "run-*"),
        ("job-6b1f0c9e-92ab-4c1e-8f10-5e0a9d2b7c11", "job-*"),
        ("nightly", "nightly"),
        ("spark-driver", "spark-driver"),
        ("data-train", "data-train"),
        ("12345", "12345"),
        ("", ""),
    ],
)
def test_what_counts_runs_is_stripped_from_their_name(name: str, pattern: str) -> None:
    assert owner_pattern(name) == pattern


@example("_0000a0", 26795479)
@given(st.text(alphabet="abz019-._", max_size=20), st.integers(0, 10**9))
def test_a_counter_never_makes_a_class_of_its_own(name: str, number: int) -> None:
    assert owner_pattern(f"job{name}-{number}") == owner_pattern(f"job{name}-{number + 1}")


def ran(history: History, *seconds: float, job_class: JobClass = NIGHTLY, estimated: float = 100) -> History:
    for number, one in enumerate(seconds):
        history = history.with_run(job_class, one, estimated, float(number))
    return history


def test_the_mean_of_the_last_five_runs_is_taken() -> None:
    found = estimate(NIGHTLY, ran(History(), 9000, 10, 20, 30, 40, 50), None)
    assert (found.seconds, found.source, found.runs) == (30, Source.HISTORY, 5)
    assert found.words == "mean of the last 5 runs of nightly-* with image etl:3"


def test_what_its_owner_says_comes_first_and_carries_how_wrong_he_was_so_far() -> None:
    found = estimate(NIGHTLY, ran(History(), 200, 50, 400), 120)
    assert (found.seconds, found.source, found.error_ratio) == (120, Source.DECLARED, 2)


def test_without_anything_a_default_says_that_it_is_one() -> None:
    found = estimate(NIGHTLY, History(), None)
    assert (found.seconds, found.source, found.error_ratio) == (DEFAULT_SECONDS, Source.DEFAULT, None)
    assert found.assumed_error_ratio > 1


@pytest.mark.parametrize("other", [{"tenant": "team-b"}, {"image": "etl:4"}, {"command": ("run",)}, {"owner": "x-*"}])
def test_runs_of_others_and_of_other_things_say_nothing(other: dict[str, object]) -> None:
    assert estimate(replace(NIGHTLY, **other), ran(History(), 10), None).source is Source.DEFAULT  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("declared", "counts"),
    [(0.0, LEAST_SECONDS), (-5.0, LEAST_SECONDS), (1e12, MOST_SECONDS), (math.inf, MOST_SECONDS)],
)
def test_nothing_and_centuries_are_bounded_and_that_is_said(declared: float, counts: float) -> None:
    found = estimate(NIGHTLY, History(), declared)
    assert (found.seconds, found.source) == (counts, Source.DECLARED)
    assert f"which counts as {counts:g} s" in found.words


def test_what_is_no_number_counts_as_not_said() -> None:
    found = estimate(NIGHTLY, ran(History(), 10), math.nan)
    assert (found.seconds, found.source) == (10, Source.HISTORY)
    assert "no number" in found.words


@pytest.mark.parametrize("seconds", [0.0, -3.0, math.nan, math.inf])
def test_runs_that_took_no_time_are_left_out(seconds: float) -> None:
    assert ran(History(), seconds) == History()


def test_a_tenant_with_many_classes_crowds_out_only_his_own_oldest() -> None:
    history = ran(History(), 10)
    for number in range(kept.CLASSES_KEPT + 50):
        history = history.with_run(replace(NIGHTLY, tenant="flood", owner=f"c{number}"), 1, 1, float(number))
    assert len(history.tenants["flood"]) == kept.CLASSES_KEPT
    assert history.of(replace(NIGHTLY, tenant="flood", owner="c0")) is None
    assert estimate(NIGHTLY, history, None).seconds == 10


@given(st.lists(st.floats(1e-3, 1e7), min_size=1, max_size=60), st.floats(1e-3, 1e7))
def test_what_is_kept_is_bounded_and_finite(seconds: list[float], estimated: float) -> None:
    history = ran(History(), *seconds, estimated=estimated)
    runs = history.of(NIGHTLY)
    assert runs is not None and len(runs.run_seconds) <= kept.RUNS_KEPT and len(runs.ratios) <= kept.ERRORS_KEPT
    found = estimate(NIGHTLY, history, None)
    assert LEAST_SECONDS <= found.seconds <= MOST_SECONDS and 1 <= found.assumed_error_ratio < math.inf
