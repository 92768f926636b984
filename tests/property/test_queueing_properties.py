"""What the order promises to whom, on drawn arrivals."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from queueing_support import Arrival, Weights, fluid_done, serve
from spotkube.queueing.clock import VirtualClock

SIZES = st.one_of(st.integers(1, 3), st.integers(1, 40)).map(float)
MOMENTS = st.one_of(st.just(0), st.integers(0, 100)).map(float)
WEIGHTS = st.sampled_from([1.0, 1.0, 0.5, 2.0, 5.0])
TENANTS = "ABCD"


@st.composite
def scenes(draw: st.DrawFn, levels: int = 1) -> tuple[list[Arrival], dict[tuple[str, ...], float]]:
    jobs = []
    for number in range(draw(st.integers(1, 40))):
        tenant = draw(st.sampled_from(TENANTS))
        path = (tenant,) if levels == 1 else (draw(st.sampled_from("QRS")), tenant)
        jobs.append(Arrival(f"j{number:02}", path, draw(MOMENTS), draw(SIZES)))
    paths = {job.path[:depth] for job in jobs for depth in range(1, levels + 1)}
    return jobs, {path: draw(WEIGHTS) for path in sorted(paths)}


def worst_lateness(jobs: list[Arrival], ends: dict[str, float], weights: Weights) -> float:
    """By how many seconds a tenant's work is done later than ideal sharing has done as much of it."""
    worst = -math.inf
    for tenant, marks in fluid_done(jobs, weights).items():
        own = sorted((ends[job.id], job.size) for job in jobs if job.path[0] == tenant)
        for when, amount in marks:
            done = 0.0
            end = next(end for end, size in own if (done := done + size) >= amount - 1e-6)
            worst = max(worst, end - when)
    return worst


@settings(max_examples=300, deadline=None)
@given(scenes())
def test_no_tenant_is_later_than_ideal_sharing_by_more_than_the_longest_job(scene) -> None:  # type: ignore[no-untyped-def]
    jobs, weights = scene

    assert worst_lateness(jobs, serve(jobs, weights), weights) <= max(job.size for job in jobs) + 1e-6


@settings(max_examples=200, deadline=None)
@given(scenes(levels=2))
def test_the_same_holds_for_queues_that_tenants_share(scene) -> None:  # type: ignore[no-untyped-def]
    jobs, weights = scene

    ends = serve(jobs, weights, levels=2)
    assert worst_lateness(jobs, ends, weights) <= max(job.size for job in jobs) + 1e-6


@settings(max_examples=100, deadline=None)
@given(scenes(levels=2), st.sampled_from("QRS"))
def test_tenants_of_a_queue_that_has_the_server_for_itself_are_held_to_the_same(scene, queue: str) -> None:  # type: ignore[no-untyped-def]
    jobs, weights = scene
    alone = [replace(job, path=(queue, job.path[1])) for job in jobs]
    inner = [replace(job, path=job.path[1:]) for job in alone]
    tenants = {path[1:]: weight for path, weight in weights.items() if len(path) == 2}
    ends = serve(alone, {(queue, *path): weight for path, weight in tenants.items()}, levels=2)

    assert worst_lateness(inner, ends, tenants) <= max(job.size for job in jobs) + 1e-6


@settings(max_examples=150, deadline=None)
@given(scenes(), st.data())
def test_splitting_a_job_gains_nothing(scene, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    jobs, weights = scene
    whole = data.draw(st.sampled_from(jobs))
    parts = data.draw(st.integers(2, 6))
    split = [job for job in jobs if job is not whole]
    split += [replace(whole, id=f"{whole.id}-{part}", size=whole.size / parts) for part in range(parts)]
    others = {job.id for job in jobs if job.path == whole.path and job is not whole}
    before, after = serve(jobs, weights), serve(split, weights)

    # Its tenant's work is done no sooner, but for the job that happens to be on the server.
    ended = max([end for job, end in after.items() if job.startswith(whole.id) or job in others])
    assert ended >= max(before[job] for job in {whole.id, *others}) - max(job.size for job in jobs) - 1e-6


@settings(max_examples=100, deadline=None)
@given(scenes(), st.randoms(use_true_random=False))
def test_the_order_in_which_equal_arrivals_are_told_does_not_matter(scene, chance) -> None:  # type: ignore[no-untyped-def]
    jobs, weights = scene
    shuffled = list(jobs)
    chance.shuffle(shuffled)

    assert serve(shuffled, weights) == serve(jobs, weights)


@settings(max_examples=100, deadline=None)
@given(scenes(levels=2))
def test_a_server_is_never_idle_while_somebody_waits(scene) -> None:  # type: ignore[no-untyped-def]
    jobs, weights = scene
    ends = serve(jobs, weights, levels=2)

    free, came = 0.0, sorted(jobs, key=lambda job: ends[job.id])
    for job in came:
        waiting = [other.at for other in came if ends[other.id] >= ends[job.id]]
        assert ends[job.id] - job.size <= max(free, min(waiting)) + 1e-6
        free = ends[job.id]


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["submit", "submit", "first", "any", "withdraw", "requeue", "correct", "finish", "weigh"]),
        st.integers(0, 10**6),
        st.sampled_from([-5.0, 0.0, 0.0, 1.0, 20.0, 1e7]),
        st.sampled_from([0.0, 0.1, 1.0, 3.7, 1e4, 1e15]),
    ),
    max_size=80,
)


@settings(max_examples=200, deadline=None)
@given(OPERATIONS, st.sampled_from([1, 2]))
def test_whatever_happens_the_order_is_whole_total_and_survives_restarts(operations, levels: int) -> None:  # type: ignore[no-untyped-def]
    clock = VirtualClock(levels)
    waiting: set[str] = set()
    running: set[str] = set()
    now = 0.0
    for number, (what, pick, passed, amount) in enumerate(operations):
        now += passed
        clock.advance(now, amount)
        waits, runs = sorted(waiting), sorted(running)
        path = ("QR"[pick % 2], TENANTS[pick % 4])[2 - levels :]
        if what == "submit":
            clock.submit(f"j{number}", path, amount)
            waiting.add(f"j{number}")
        elif what == "weigh":
            clock.weigh(path[: 1 + pick % levels], min(amount, 1e6))
        elif what in ("first", "any", "withdraw") and waits:
            job = str(clock.first()) if what == "first" else waits[pick % len(waits)]
            waiting.remove(job)
            if what == "withdraw":
                clock.withdraw(job)
            else:
                clock.dispatch(job)
                running.add(job)
        elif what in ("requeue", "correct", "finish") and runs:
            job = runs[pick % len(runs)]
            if what == "correct":
                clock.correct(job, amount)
                continue
            running.remove(job)
            if what == "requeue":
                clock.requeue(job)
                waiting.add(job)
            else:
                clock.finish(job, amount)
        assert set(clock.in_order()) == waiting
        assert (clock.first() is None) == (not waiting)

    order = list(clock.in_order())
    assert len(order) == len(waiting)
    told = json.loads(json.dumps(clock.state(), allow_nan=False))
    assert list(VirtualClock.restored(told, levels).in_order()) == order
    assert all(math.isfinite(clock.place(job).deadline) for job in order)
    served = []
    while (job := clock.first()) is not None:
        served.append(job)
        clock.dispatch(job)
    assert served == order
