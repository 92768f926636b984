"""Cycles on random worlds: never above a limit, nothing left undone, no loops, whatever the order of input."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queue_support import NOON, World, cluster, make_job, make_queue
from spotkube.queueing.backlog import Backlog
from spotkube.queueing.cycle import decide
from spotkube.queueing.decisions import Cause
from spotkube.queueing.jobs import HOUR_SECONDS, Job, Running
from spotkube.queueing.queues import Budget, Queue
from spotkube.queueing.quotas import Ledger
from spotkube.queueing.reasons import Why
from spotkube.queueing.room import Room
from spotkube.queueing.rules import Rules

worlds_settings = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
QUEUES = ("a", "b", "c")


@st.composite
def queues(draw: st.DrawFn) -> list[Queue]:
    made = []
    for name in QUEUES:
        cohort = draw(st.sampled_from(["x", "x", None]))
        limit = st.none() | st.integers(0, 10)
        nominal = draw(st.none() | st.integers(0, 12))
        made.append(
            make_queue(
                name,
                nominal,
                borrow=draw(limit) if cohort else None,
                lend=draw(st.none() | st.integers(0, nominal or 0)) if cohort else None,
                cohort=cohort,
                weight=draw(st.sampled_from([1, 1, 0])),
                budget=Budget(draw(st.none() | st.just(5.0)), draw(st.none() | st.just(30.0))),
            )
        )
    return made


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    pods = draw(st.integers(1, 6))
    return make_job(
        draw(st.integers(1, 3)),
        pods=pods,
        run=draw(st.sampled_from([60, 600, 3600, 36000])),
        queue=draw(st.sampled_from(QUEUES)),
        priority=draw(st.integers(0, 2)),
        price_usd_hour=draw(st.sampled_from([0.5, 0.5, 1.0])),
        gang=False,
        min_parallelism=draw(st.none() | st.integers(1, pods)),
        tenant=draw(st.sampled_from("tu")),
        preemptible=draw(st.sampled_from([True, True, False])),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A world in which some jobs run already and time has passed, then more came."""
    world = World(
        *draw(queues()),
        capacity=cluster(draw(st.integers(5, 40))),
        rules=Rules(restart_seconds=draw(st.sampled_from([0.0, 30.0]))),
    )
    for batch in draw(st.lists(st.lists(jobs(), max_size=6), min_size=1, max_size=3)):
        for job in batch:
            world.submit(job, key=float(draw(st.integers(0, 5))))
        world.cycle()
        world.now += draw(st.sampled_from([1.0, 300.0, 5000.0]))
        world.finish_due()
    for job in draw(st.lists(jobs(), max_size=8)):
        world.submit(job, key=float(draw(st.integers(0, 5))))
    return world


@worlds_settings
@given(worlds())
def test_nothing_is_admitted_above_quota_budget_or_capacity(world: World) -> None:
    world.settle()
    used = sum(world.cores(name) for name in QUEUES)
    assert used <= world.capacity.most()["cpu"] / 1000  # type: ignore[index]
    for name, queue in world.queues.items():
        running = [one for one in world.running.values() if one.job.queue == name]
        cap = world.ledger.most(name, "cpu")
        assert cap is None or world.cores(name) * 1000 <= cap
        hourly = sum(one.usd_hour or 0 for one in running)
        assert queue.budget.usd_per_hour is None or hourly <= queue.budget.usd_per_hour + 1e-5
        daily = sum(_cost_from(one, NOON + 12 * HOUR_SECONDS, world.now) for one in running)
        if queue.budget.usd_per_day is not None and world.now < NOON + 12 * HOUR_SECONDS:
            # Only what is admitted is held to it: a job that is late can cost more than was thought.
            late = any(one.admitted_seconds + one.job.run_seconds_at(one.width) <= world.now for one in running)
            assert late or daily <= queue.budget.usd_per_day + 1e-6


def _cost_from(one: Running, midnight: float, now: float) -> float:
    return (one.usd_hour or 0) * max(0.0, min(one.end_seconds(now), midnight) - now) / HOUR_SECONDS


@worlds_settings
@given(worlds())
def test_cycles_come_to_rest_and_nobody_preempts_his_preemptor(world: World) -> None:
    world.settle()
    # Let those come back that had to pause, again and again.
    for _ in range(6):
        world.now += world.rules.max_backoff_seconds
        world.settle()
    preempted_by: dict[str, set[str]] = {}
    for decisions in world.decided:
        for ending in decisions.ended:
            assert ending.uid not in preempted_by.get(ending.by, set()), "it ends the one that ended it"
            preempted_by.setdefault(ending.uid, set()).add(ending.by)
            assert len(preempted_by[ending.uid]) <= world.rules.max_preemptions


@worlds_settings
@given(worlds())
def test_what_is_preempted_is_worth_less_than_what_is_gained_and_none_can_be_spared(world: World) -> None:
    before = dict(world.running)
    decisions = world.cycle()
    assert all(before[one.uid].job.preemptible for one in decisions.ended), "it could not come again"
    for admission in decisions.admitted:
        victims = [one for one in decisions.ended if one.by == admission.uid]
        assert sorted(one.uid for one in victims) == sorted(admission.after)
        if not victims:
            continue
        assert sum(one.loss_usd for one in victims) < victims[0].gain_usd
        by = world.running[admission.uid]
        for victim in victims:
            lost = before[victim.uid]
            if victim.cause is Cause.PRIORITY:
                assert lost.job.queue == by.job.queue and lost.job.priority < by.job.priority
                assert by.nominal or not lost.nominal
            else:
                assert lost.job.queue != by.job.queue and by.nominal and not lost.nominal


@worlds_settings
@given(worlds())
def test_work_is_conserved_who_waits_has_a_reason_that_holds(world: World) -> None:
    world.settle()
    decisions = world.decided[-1]
    scene = world.scene()
    room = Room(scene.ledger, scene.capacity.room())
    for waiting in world.backlog:
        reason = decisions.reason(waiting)
        assert reason is not None
        job = waiting.job
        if reason.why in (Why.QUOTA, Why.NO_CAPACITY, Why.TOO_LARGE):
            assert room.width(job) == 0, f"{job.name} fits and waits: {reason.words}"
        elif reason.why is Why.RESERVATION:
            assert any(one.uid == reason.behind for one in decisions.reservations)
        else:
            assert reason.why in (Why.BUDGET, Why.BACKOFF)


@worlds_settings
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_what_is_given_changes_nothing(world: World, dice: random.Random) -> None:
    scene = world.scene()
    waiting, running, queues = list(world.backlog), list(world.running.items()), list(world.queues.items())
    for items in (waiting, running, queues):
        dice.shuffle(items)  # type: ignore[arg-type]
    shuffled = World(*(queue for _, queue in queues), capacity=world.capacity, rules=world.rules)
    shuffled.now, shuffled.running = world.now, dict(running)
    shuffled.ledger = Ledger.of(shuffled.queues, shuffled.running.values())
    shuffled.backlog = Backlog(shuffled.queues, waiting)
    one, other = decide(scene), decide(shuffled.scene())
    assert (one.admitted, one.ended, one.reservations) == (other.admitted, other.ended, other.reservations)
    assert one.lines == other.lines


@worlds_settings
@given(worlds())
def test_everything_that_can_ever_run_does(world: World) -> None:
    starts = world.play(until=world.now + 40 * 24 * HOUR_SECONDS)
    world.now += 24 * HOUR_SECONDS
    starts |= world.play(until=world.now + 40 * 24 * HOUR_SECONDS)
    for waiting in world.backlog:
        assert world.why(waiting.job.uid).why in (Why.TOO_LARGE, Why.BUDGET), "it starves"


@settings(worlds_settings, max_examples=30)
@given(st.integers(1, 9), st.lists(st.integers(1, 3), min_size=30, max_size=60), st.integers(1, 50))
def test_a_large_job_starts_by_the_time_it_was_promised(there: int, small: list[int], seconds: int) -> None:
    world = World(make_queue("a", None), capacity=cluster(10))
    world.submit(make_job(there, run=1000))
    world.cycle()
    world.submit(make_job(10, run=100, uid="large"))
    for cores in small:
        world.submit(make_job(cores, run=seconds * cores * 10))
    decisions = world.cycle()
    assert decisions.reservations[0].start_seconds == NOON + 1000
    assert world.play(until=NOON + 5000)["large"] == NOON + 1000


@settings(worlds_settings, max_examples=30)
@given(st.lists(st.integers(1, 4), min_size=10, max_size=40), st.integers(1, 10))
def test_a_burst_does_not_keep_another_queue_from_its_own(burst: list[int], wanted: int) -> None:
    world = World(make_queue("a", 10, cohort="x"), make_queue("b", 10, cohort="x"), capacity=cluster(20))
    world.submit(*(make_job(cores, run=3600, queue="a") for cores in burst))
    world.cycle()
    world.now += 60
    world.submit(make_job(wanted, run=3600, uid="mine", queue="b"))
    decisions = world.cycle()
    assert "mine" in world.running
    assert world.cores("a") >= min(10, sum(burst)) - 3, "more is taken than was borrowed"
    assert decisions.ended == () or all(one.cause is Cause.RECLAIMED for one in decisions.ended)
