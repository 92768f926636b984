"""The simulated cluster: who begins and ends when under each policy, worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotkube.simulation.estimates import Estimates
from spotkube.simulation.fluid import filled
from spotkube.simulation.jobs import Job, Run, Trace
from spotkube.simulation.metrics import measure
from spotkube.simulation.play import POLICIES, REFERENCE, play


def trace(*jobs: Job, capacity: float = 1.0) -> Trace:
    return Trace(capacity, tuple(sorted(jobs, key=lambda job: job.submit)))


def played(
    it: Trace, policy: str, estimates: Estimates = Estimates.EXACT, advisory: float = 1.0
) -> dict[str, tuple[float, float]]:
    return {run.job.id: (run.start, run.end) for run in play(it, policy, estimates, advisory)}


BURST = trace(*(Job(f"a{i}", "A", 0, 1, 4) for i in range(3)), Job("b", "B", 1, 1, 2))


@pytest.mark.parametrize(
    ("policy", "order"),
    [
        ("fifo", ["a0", "a1", "a2", "b"]),
        ("round-robin", ["a0", "b", "a1", "a2"]),
        ("virtual-clock", ["a0", "b", "a1", "a2"]),
        ("uwfq", ["a0", "b", "a1", "a2"]),
        # Nothing runs when it is asked who is next, and what was used before does not count.
        ("drf", ["a0", "a1", "a2", "b"]),
    ],
)
def test_who_is_next_after_a_burst(policy: str, order: list[str]) -> None:
    runs = played(BURST, policy)

    assert sorted(runs, key=runs.__getitem__) == order
    assert runs[order[-1]][1] == 14


def test_the_reference_shares_between_tenants_and_then_between_their_jobs() -> None:
    runs = played(BURST, REFERENCE)

    # From 1 on B has half and each job of A a sixth; from 5 on a third.
    assert runs["b"] == (1, pytest.approx(5))
    assert [runs[f"a{i}"] for i in range(3)] == [(0, pytest.approx(14))] * 3


def test_the_reference_gives_what_one_cannot_use_to_others() -> None:
    narrow = Job("narrow", "A", 0, 1, 10)
    runs = played(trace(narrow, Job("wide", "B", 0, 4, 6), capacity=4), REFERENCE)

    assert runs == {"narrow": (0, pytest.approx(10)), "wide": (0, pytest.approx(8))}


def test_dominant_share_counts_what_runs_over_the_weight() -> None:
    jobs = [Job(f"a{i}", "A", 0, 1, 10, weight=3) for i in range(4)] + [Job(f"b{i}", "B", 0, 1, 10) for i in range(4)]
    runs = played(trace(*jobs, capacity=4), "drf")

    assert sorted(name for name, (start, _) in runs.items() if start == 0) == ["a0", "a1", "a2", "b0"]


def test_small_jobs_pass_a_wide_one_only_where_it_waits_no_longer() -> None:
    jobs = (
        Job("running", "A", 0, 3, 10),
        Job("wide", "B", 1, 4, 5),
        Job("short", "C", 2, 1, 8),
        Job("long", "D", 2, 1, 9),
    )
    runs = played(trace(*jobs, capacity=4), "fifo")

    assert runs == {"running": (0, 10), "short": (2, 10), "wide": (10, 15), "long": (15, 24)}


def test_pods_leave_when_somebody_comes_and_come_back_when_it_is_done() -> None:
    jobs = (Job("long", "A", 0, 4, 20), Job("short", "B", 5.5, 4, 2))
    whole = played(trace(*jobs, capacity=4), "uwfq")
    parted = played(trace(*jobs, capacity=4), "uwfq-partitioned")

    assert whole["short"] == (20, 22)
    assert parted["short"] == (6, 8)
    assert parted["long"] == (0, 22)


def test_who_says_too_little_is_charged_for_the_rest() -> None:
    """A says one second for jobs of ten; B is honest. After each of A's, B has its turn for as long."""
    lies = [Job(f"a{i}", "A", 0, 1, 10, told=1) for i in range(4)]
    honest = [Job(f"b{i}", "B", 0, 1, 5, told=5) for i in range(4)]
    runs = played(trace(*lies, *honest), "uwfq", Estimates.REQUESTED)

    assert sorted(runs, key=runs.__getitem__) == ["a0", "b0", "b1", "a1", "b2", "b3", "a2", "a3"]


def test_estimates_learn_from_the_last_of_the_class() -> None:
    first = [Job(f"a{i}", "A", 0, 1, 1, told=100) for i in range(2)]
    later = [Job("a9", "A", 50, 1, 1, told=100), Job("b9", "B", 50, 1, 5, told=5), Job("c9", "C", 49, 1, 3, told=3)]

    assert played(trace(*first, *later), "uwfq", Estimates.LAST5)["a9"] == (52, 53)
    assert played(trace(*first, *later), "uwfq", Estimates.REQUESTED)["a9"] == (57, 58)


def test_metrics_of_a_burst() -> None:
    fifo, reference = play(BURST, "fifo", Estimates.EXACT, 1), play(BURST, REFERENCE, Estimates.EXACT, 1)
    it = measure(fifo, reference)

    assert it.mean_response == (4 + 8 + 12 + 13) / 4
    assert it.slowdown_by_tenant == {"A": 2, "B": 6.5}
    assert it.dvr == pytest.approx(9 / 4)  # only b is late: it ends at 14 and not at 5, of 4 seconds
    assert it.dsr == pytest.approx(-(10 + 6 + 2) / 14 / 3)
    assert it.jain == pytest.approx((1 + 4 / 13) ** 2 / (2 * (1 + (4 / 13) ** 2)))


def test_a_tenant_that_got_nothing_counts_in_jains_index() -> None:
    reference = play(BURST, REFERENCE, Estimates.EXACT, 1)

    assert measure([run for run in reference if run.job.tenant == "A"], reference).jain == pytest.approx(0.5)


@given(
    st.floats(0, 100),
    st.lists(st.tuples(st.floats(0.1, 50), st.floats(0.1, 10)), min_size=1, max_size=8),
)
def test_filling_up_gives_everybody_the_same_level_or_all_it_can_use(
    amount: float, each: list[tuple[float, float]]
) -> None:
    most, weights = np.array([m for m, _ in each]), np.array([w for _, w in each])
    parts = filled(amount, most, weights)

    assert parts.sum() == pytest.approx(min(amount, most.sum()))
    level = max(parts / weights)
    assert all(part == pytest.approx(min(m, level * w)) for part, m, w in zip(parts, most, weights, strict=True))


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    count = draw(st.integers(1, 25))
    return trace(
        *(
            Job(
                f"j{number}", draw(st.sampled_from("ABC")), draw(st.integers(0, 60)), draw(st.integers(1, 4)),
                draw(st.integers(1, 20)), draw(st.sampled_from([None, 1.0, 30.0, 1e9])),
                draw(st.sampled_from([1.0, 1.0, 2.0])),
            )
            for number in range(count)
        ),
        capacity=4,
    )  # fmt: skip


def _in_use(runs: Sequence[Run], moment: float) -> float:
    return sum(run.job.width for run in runs if run.start <= moment < run.end)


@settings(max_examples=150, deadline=None)
@given(traces(), st.sampled_from(POLICIES), st.sampled_from(Estimates))
def test_every_job_runs_once_and_never_too_many(it: Trace, policy: str, estimates: Estimates) -> None:
    runs = play(it, policy, estimates, 3.0)

    assert sorted(run.job.id for run in runs) == sorted(job.id for job in it.jobs)
    assert all(run.start >= run.job.submit and run.end >= run.start for run in runs)
    assert all(run.end - run.start >= run.job.run_time - 1e-6 for run in runs)
    if policy not in (REFERENCE, "uwfq-partitioned"):
        assert all(_in_use(runs, run.start) <= it.capacity for run in runs)
        assert all(run.end - run.start == pytest.approx(run.job.run_time) for run in runs)
    assert play(it, policy, estimates, 3.0) == runs


@settings(max_examples=60, deadline=None)
@given(traces())
def test_nobody_is_later_than_its_own_work_allows(it: Trace) -> None:
    """With jobs that take the whole cluster all policies are equally long busy: none is idle while one waits."""
    serial = trace(*(Job(j.id, j.tenant, j.submit, 4, j.run_time) for j in it.jobs), capacity=4)
    ends = {max(run.end for run in play(serial, policy, Estimates.EXACT, 3.0)) for policy in POLICIES}

    assert max(ends) - min(ends) < 1e-6
