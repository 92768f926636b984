"""What the order promises to a tenant when several queues are busy, on a serial server with exact sizes.

A queue is held to its ideal share within the longest job. A tenant of it waits besides until its queue has made up for
the job that the queue ran before it came, which takes that job's size over what the queue is sure to have:

    end <= end in the ideal + longest job / R + longest job of the queue's other tenants / (R * queue's weight / all)
"""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from queueing_support import Arrival, Weights, nested_fluid_done, serve

Path = tuple[str, ...]
Scene = tuple[list[Arrival], dict[Path, float]]
MOMENTS = st.one_of(st.just(0), st.integers(0, 60)).map(float)
SIZES = st.one_of(st.sampled_from([1, 2, 3]), st.integers(1, 40)).map(float)
WEIGHTS = st.sampled_from([1.0, 1.0, 0.05, 0.1, 0.5, 2.0, 5.0, 20.0])


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    queues, tenants = draw(st.sampled_from(["QR", "QRS", "QRSTU"])), draw(st.sampled_from(["AB", "ABC", "ABCD"]))
    jobs = [
        Arrival(f"j{n:02}", (draw(st.sampled_from(queues)), draw(st.sampled_from(tenants))), draw(MOMENTS), draw(SIZES))
        for n in range(draw(st.integers(2, 40)))
    ]
    paths = {job.path[:depth] for job in jobs for depth in (1, 2)}
    return jobs, {path: draw(WEIGHTS) for path in sorted(paths)}


def lateness(jobs: list[Arrival], ends: dict[str, float], weights: Weights) -> dict[Path, float]:
    """By how many seconds each tenant's work is at worst done later than ideal sharing has done as much of it."""
    worst: dict[Path, float] = {}
    for path, marks in nested_fluid_done(jobs, weights).items():
        own = sorted((ends[job.id], job.size) for job in jobs if job.path == path)
        for when, amount in marks:
            done = 0.0
            end = next(end for end, size in own if (done := done + size) >= amount - 1e-6)
            worst[path] = max(worst.get(path, -math.inf), end - when)
    return worst


def allowed(path: Path, jobs: list[Arrival], weights: Weights) -> float:
    """Seconds."""
    queues = {job.path[:1] for job in jobs}
    sure = weights.get(path[:1], 1.0) / sum(weights.get(queue, 1.0) for queue in queues)
    others = [job.size for job in jobs if job.path[0] == path[0] and job.path != path]
    return max(job.size for job in jobs) + max(others, default=0.0) / sure


@settings(max_examples=600, deadline=None)
@given(scenes())
def test_a_tenant_waits_for_the_longest_job_and_until_its_queue_has_made_up_for_one(scene: Scene) -> None:
    jobs, weights = scene
    for path, late in lateness(jobs, serve(jobs, weights, levels=2), weights).items():
        assert late <= allowed(path, jobs, weights) + 1e-6


@settings(max_examples=200, deadline=None)
@given(scenes())
def test_one_alone_in_its_queue_waits_for_the_longest_job_only(scene: Scene) -> None:
    drawn, weights = scene
    jobs = [Arrival(job.id, (job.path[0], "A"), job.at, job.size) for job in drawn]

    for late in lateness(jobs, serve(jobs, weights, levels=2), weights).values():
        assert late <= max(job.size for job in jobs) + 1e-6


def test_neither_the_longest_job_nor_twice_that_would_be_enough() -> None:
    """A has the whole server for 10 s, as nobody else is there; its queue, whose weight is a tenth of all, owes them
    the rest of it. B comes to the same queue a second later."""
    jobs = [
        Arrival("long", ("Q", "A"), 0.0, 10.0),
        Arrival("short", ("Q", "B"), 1.0, 1.0),
        *(Arrival(f"r{n:03}", ("R", "C"), 1.0, 1.0) for n in range(200)),
    ]
    weights = {("R",): 9.0}
    late = lateness(jobs, serve(jobs, weights, levels=2), weights)["Q", "B"]

    assert nested_fluid_done(jobs, weights)["Q", "B"] == [(21.0, 1.0)]
    assert 2 * 10 < late <= 10 + 10 / 0.1
