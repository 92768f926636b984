"""When waiting jobs are said to start, and when they do."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_support import NOON, World, cluster, make_job, make_queue
from spotkube.queueing.forecast import forecast
from spotkube.queueing.queues import Stop


def test_jobs_start_one_after_the_other_as_room_comes_free() -> None:
    world = World(make_queue("a", 4))
    world.submit(make_job(4, run=100))
    world.cycle()
    world.now += 30
    world.submit(make_job(4, run=50, uid="second"), make_job(4, uid="third"))
    world.cycle()
    starts = forecast(world.scene())
    assert (starts["second"].start_seconds, starts["third"].start_seconds) == (NOON + 100, NOON + 150)


def test_sure_estimates_make_a_sure_start_and_wrong_ones_a_wide_range() -> None:
    world = World(make_queue("a", 4))
    world.submit(make_job(4, run=100, error_ratio=1.5))
    world.cycle()
    world.submit(make_job(4, uid="next"))
    world.cycle()
    start = forecast(world.scene())["next"]
    # ln(1.5) / 0.6745 is 0.601, and four of five lie within 1.2816 of that: a factor of 2.16.
    assert [round(one - NOON) for one in (start.low_seconds, start.start_seconds, start.high_seconds)] == [46, 100, 216]
    world.running = {uid: replace(r, job=replace(r.job, error_ratio=1.0)) for uid, r in world.running.items()}
    start = forecast(world.scene())["next"]
    assert start.low_seconds == start.high_seconds == NOON + 100


def test_a_late_job_is_not_thought_to_end_at_once() -> None:
    world = World(make_queue("a", 4))
    world.submit(make_job(4, run=100))
    world.cycle()
    world.submit(make_job(4, uid="next"))
    world.now += 150
    world.cycle()
    assert forecast(world.scene())["next"].start_seconds == NOON + 200


def test_jobs_that_never_start_by_themselves_have_no_start() -> None:
    world = World(make_queue("a", 4), make_queue("held", 4, stop=Stop.HOLD))
    world.submit(
        make_job(5, uid="large"), make_job(1, uid="held", queue="held"), make_job(1, uid="part", missing_pods=1)
    )
    world.submit(make_job(1, uid="runs"), make_job(1, uid="lost", queue="nowhere"))
    assert set(forecast(world.scene())) == {"runs"}


def test_a_job_that_pauses_starts_no_earlier_than_it_may() -> None:
    world = World(make_queue("a", 4))
    world.submit(make_job(1, uid="paused"))
    waiting = world.backlog.get("paused")
    assert waiting is not None
    world.backlog.put(replace(waiting, backoff_until_seconds=NOON + 40))
    assert forecast(world.scene())["paused"].low_seconds == NOON + 40


sizes = st.lists(
    st.tuples(st.integers(1, 9), st.integers(1, 30), st.sampled_from("ab"), st.integers(0, 1)), min_size=1, max_size=25
)


def of_sizes(world: World, sizes: list[tuple[int, int, str, int]]) -> None:
    for number, (cores, minutes, queue, more) in enumerate(sizes):
        # A price of its own puts each job in a line of its own.
        pods = 1 + more * (cores < 5)
        world.submit(make_job(cores, pods=pods, run=60 * minutes, queue=queue, price_usd_hour=1 + number))


@settings(deadline=None)
@given(sizes)
def test_if_estimates_are_right_jobs_start_when_they_were_said_to(sizes: list[tuple[int, int, str, int]]) -> None:
    world = World(make_queue("a", 10), make_queue("b", 10))
    of_sizes(world, sizes)
    said = forecast(world.scene())
    happened = world.play(until=math.inf)
    assert {uid: one.start_seconds for uid, one in said.items()} == happened
    assert all(one.low_seconds <= one.start_seconds <= one.high_seconds for one in said.values())


@settings(deadline=None)
@given(sizes, st.booleans())
def test_where_queues_share_every_job_that_starts_was_said_to_within_the_time_of_all(
    sizes: list[tuple[int, int, str, int]], cohort: bool
) -> None:
    name = "x" if cohort else None
    world = World(make_queue("a", 10, cohort=name), make_queue("b", 10, cohort=name), capacity=cluster(15))
    of_sizes(world, sizes)
    said = forecast(world.scene())
    assert set(said) == set(world.play(until=math.inf))
    assert max(one.start_seconds for one in said.values()) <= NOON + sum(60 * minutes for _, minutes, _, _ in sizes)


@pytest.mark.parametrize("together", [False, True])
def test_most_starts_fall_into_their_range_if_runs_are_off_as_said(together: bool) -> None:
    inside = [one for seed in range(12) for one in _starts_inside(random.Random(seed), together)]
    assert 0.6 <= sum(inside) / len(inside) <= 0.98


def _starts_inside(dice: random.Random, together: bool) -> list[bool]:
    """For each job that had to wait, whether it started within its range; half of the runs are off by twice or more."""
    world, deviation = World(make_queue("a", 20)), math.log(2) / 0.6745
    bias, takes = [dice.gauss(0, deviation) for _ in range(5)], {}
    for number in range(60):
        run, own = dice.choice([60, 300, 900]), dice.gauss(0, deviation)
        takes[f"j{number}"] = run * math.exp(bias[number % 5] if together else own)
        world.submit(make_job(dice.choice([1, 2, 5]), run=run, uid=f"j{number}", error_ratio=2))
    said, inside = forecast(world.scene()), list[bool]()
    while len(world.backlog) or world.running:
        for one in world.cycle().admitted:
            start = said[one.uid]
            if world.now > NOON:
                inside.append(start.low_seconds <= world.now <= start.high_seconds)
        ends = {uid: one.admitted_seconds + takes[uid] for uid, one in world.running.items()}
        world.now = min(ends.values())
        world.finish(*[uid for uid, end in ends.items() if end <= world.now])
    return inside


def test_ten_thousand_jobs_of_thirty_queues_are_all_said_to_start() -> None:
    queues = [make_queue(f"q{number}", 20, borrow=100, cohort=f"c{number % 5}") for number in range(30)]
    world = World(*queues, capacity=cluster(400))
    for number in range(10_000):
        world.submit(make_job((1, 5, 20)[number % 3], run=60, queue=f"q{number % 30}", priority=number % 3))
    assert len(forecast(world.scene())) == 10_000
