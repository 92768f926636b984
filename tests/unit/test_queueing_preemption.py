"""Who is ended for whom, and what keeps that from going round in circles; and what users of other queues ran into."""

from __future__ import annotations

import math
from dataclasses import replace

from queue_support import NOON, World, cluster, make_job, make_queue, uids
from spotkube.queueing.decisions import Cause
from spotkube.queueing.queues import Stop
from spotkube.queueing.reasons import Why
from spotkube.queueing.rules import Rules


def two_queues(**rules: float) -> World:
    """Two queues with ten cores each, which lend each other all."""
    return World(make_queue("a", 10, cohort="x"), make_queue("b", 10, cohort="x"), rules=replace(Rules(), **rules))  # type: ignore[arg-type]


def borrowing(world: World, *cores: int, run: float = 36000) -> None:
    """Queue a uses its own ten cores, and borrows for these jobs."""
    world.submit(make_job(10, run=run, uid="own"))
    world.cycle()
    world.submit(*(make_job(one, run=run, uid=f"borrows-{number}") for number, one in enumerate(cores)))
    world.cycle()
    world.now += 60


def test_a_queue_takes_back_its_own_from_those_who_borrow_and_no_more() -> None:
    world = two_queues()
    borrowing(world, 3, 3, 4)
    world.submit(make_job(4, run=3600, uid="mine", queue="b"))
    decisions = world.cycle()
    assert [(one.uid, one.cause, one.by) for one in decisions.ended] == [("borrows-2", Cause.RECLAIMED, "mine")]
    assert decisions.admitted[0].after == ("borrows-2",)


def test_who_would_borrow_himself_takes_nothing_back() -> None:
    world = two_queues()
    borrowing(world, 10)
    world.submit(make_job(11, run=3600, uid="mine", queue="b"))
    assert not world.cycle().ended
    assert world.why("mine").why is Why.QUOTA


def test_what_runs_within_its_own_quota_is_safe_from_other_queues() -> None:
    world = two_queues()
    world.submit(make_job(10, uid="own"))
    world.cycle()
    world.submit(make_job(8, uid="lent", queue="b"), make_job(3, uid="more", queue="b", priority=100))
    world.settle()
    assert "own" in world.running


def test_nobody_is_ended_for_less_than_that_destroys() -> None:
    world = two_queues()
    borrowing(world, 10)
    world.now += 5 * 3600
    world.submit(make_job(10, run=600, uid="short", queue="b"))
    assert not world.cycle().ended
    world.running["borrows-0"] = replace(world.running["borrows-0"], checkpoint_seconds=world.now - 30)
    (ending,) = world.cycle().ended
    assert ending.uid == "borrows-0"
    assert ending.loss_usd < ending.gain_usd


def test_nobody_is_ended_for_what_comes_by_itself_as_soon_as_a_restart_takes() -> None:
    world = two_queues()
    borrowing(world, 10, run=80)
    world.submit(make_job(10, run=3600, uid="mine", queue="b"))
    assert not world.cycle().ended


def test_priority_ends_lower_ones_of_its_own_queue_only() -> None:
    world = World(make_queue("a", 10), make_queue("b", 10), capacity=cluster(20))
    world.submit(make_job(10, uid="low", run=36000), make_job(10, uid="other", queue="b", run=36000))
    world.cycle()
    world.submit(make_job(10, uid="high", priority=1, run=3600))
    (ending,) = world.cycle().ended
    assert (ending.uid, ending.cause) == ("low", Cause.PRIORITY)


def test_the_cheapest_victim_goes_and_one_that_is_spared_in_the_end_stays() -> None:
    world = World(make_queue("a", 10))
    world.submit(*(make_job(cores, uid=f"{cores}", run=36000) for cores in (1, 2, 7)))
    world.cycle()
    world.now += 10
    world.submit(make_job(7, uid="high", priority=1, run=36000))
    assert uids(world.cycle().ended) == ["7"], "1 and 2 are cheaper, and do not help"


def test_a_job_is_left_alone_after_so_many_times() -> None:
    world = World(make_queue("a", 10))
    world.submit(make_job(10, uid="low", run=36000))
    pauses = []
    for number in range(world.rules.max_preemptions):
        world.settle()
        world.submit(make_job(10, uid=f"high-{number}", priority=1, run=3600))
        world.cycle()
        waiting = world.backlog.get("low")
        assert waiting is not None and waiting.key == 1.0, "it has lost its place"
        pauses.append(waiting.backoff_until_seconds - world.now)
        world.finish(f"high-{number}")
        world.now = waiting.backoff_until_seconds
    assert pauses == [10, 20, 40]
    world.settle()
    world.submit(make_job(10, uid="one-more", priority=1, run=3600))
    assert not world.cycle().ended and "low" in world.running


def test_jobs_without_weight_end_nobody() -> None:
    world = World(make_queue("a", 10, cohort="x"), make_queue("b", 10, cohort="x", weight=0))
    borrowing(world, 10)
    world.submit(make_job(10, run=36000, queue="b"))
    assert not world.cycle().ended


def test_only_what_was_admitted_on_borrowed_quota_is_taken_back_even_if_it_is_dearer() -> None:
    world = two_queues()
    borrowing(world, 10)
    world.running["own"] = replace(world.running["own"], checkpoint_seconds=world.now)
    world.submit(make_job(10, run=3600, queue="b"))
    assert uids(world.cycle().ended) == ["borrows-0"]


def test_who_would_borrow_ends_nobody_within_the_quota_whatever_his_priority() -> None:
    world = two_queues()
    world.submit(make_job(5, queue="b", run=36000), make_job(10, uid="own", run=36000))
    world.cycle()
    world.submit(make_job(12, priority=9, run=36000))
    assert not world.cycle().ended
    world.submit(make_job(10, priority=9, run=36000))
    assert uids(world.cycle().ended) == ["own"]


def test_of_several_victims_those_are_spared_that_the_others_make_needless() -> None:
    world = World(make_queue("a", 10))
    world.submit(*(make_job(cores, uid=f"{cores}", run=36000) for cores in (1, 4, 5)))
    world.cycle()
    world.submit(make_job(9, priority=1, run=36000))
    assert sorted(uids(world.cycle().ended)) == ["4", "5"]


def test_nobody_ends_one_who_ended_him_before() -> None:
    world = World(make_queue("a", 10))
    world.submit(make_job(10, uid="before", run=36000))
    world.cycle()
    world.submit(make_job(10, priority=1, run=36000, preemptors=("before",)))
    assert not world.cycle().ended
    world.submit(make_job(10, priority=1, run=36000, uid="another"))
    assert uids(world.cycle().admitted) == ["another"]


def test_the_reservation_of_one_who_borrows_does_not_bind_other_queues_within_their_own_quota() -> None:
    world = two_queues()
    world.submit(make_job(5, queue="b", run=1000), make_job(10, run=36000))
    world.cycle()
    world.submit(make_job(8, uid="borrower"), make_job(8, queue="b"), make_job(5, uid="own", queue="b", run=36000))
    decisions = world.cycle()
    assert uids(decisions.reservations) == ["borrower"]
    assert uids(decisions.admitted) == ["own"]


# What users of Kueue reported; the numbers are those of its issues.


def test_kueue_14543_3779_two_queues_do_not_preempt_each_other_in_turns() -> None:
    world = two_queues(restart_seconds=0, backoff_seconds=0, max_preemptions=1000)
    for queue in "ab":
        world.submit(*(make_job(4, run=36000, queue=queue, priority=number % 3) for number in range(6)))
    for _ in range(50):
        world.now += 60
        world.settle()
    ended = [one for decisions in world.decided for one in decisions.ended]
    assert len(ended) <= 2, "it goes on and on"


def test_kueue_7101_a_job_is_not_preempted_33_times() -> None:
    world = two_queues()
    borrowing(world, 10)
    for number in range(40):
        world.submit(make_job(10, run=300, uid=f"b-{number}", queue="b"))
        world.cycle()
        world.now += 300
        world.finish_due()
        world.cycle()
        world.now += 900
    times = sum(one.uid == "borrows-0" for decisions in world.decided for one in decisions.ended)
    assert times <= world.rules.max_preemptions


def test_kueue_6763_no_more_is_preempted_than_is_needed() -> None:
    world = two_queues()
    borrowing(world, *[1] * 10)
    world.submit(make_job(1, run=36000, uid="x", queue="b"), make_job(1, run=36000, uid="y", queue="b"))
    assert len(world.cycle().ended) == 2
    assert not world.cycle().ended


def test_kueue_2297_11980_a_burst_of_one_queue_does_not_hold_up_another() -> None:
    world = World(make_queue("a", 10, cohort="x"), make_queue("b", 10, cohort="x"))
    world.submit(*(make_job(1, run=36000) for _ in range(500)), key=0)
    world.submit(make_job(1, uid="single", queue="b"), key=1)
    world.cycle()
    assert "single" in world.running, "a job within its own quota comes before those who borrow"
    assert world.cores("a") == 19


def test_kueue_8309_a_large_job_does_not_starve_behind_a_stream_of_small_ones() -> None:
    world = World(make_queue("a", 10))
    world.submit(*(make_job(1, run=100 + number) for number in range(10)))
    world.cycle()
    world.submit(make_job(10, uid="large", run=10))
    starts = {}
    for _ in range(300):
        world.submit(make_job(1, run=100))
        starts |= dict.fromkeys(uids(world.cycle().admitted), world.now)
        world.now += 1
        world.finish_due()
    assert starts["large"] == NOON + 109


def test_kueue_4809_a_large_job_that_waits_does_not_block_small_ones_that_are_in_nobodys_way() -> None:
    world = World(make_queue("a", 10))
    world.submit(make_job(9, run=1000), make_job(10, uid="large"), make_job(1, run=900, uid="small"))
    assert "small" in uids(world.cycle().admitted)


def test_kueue_13479_no_weight_gives_no_nan_and_no_place_in_front() -> None:
    world = World(make_queue("a", 1, weight=0, cohort="x"), make_queue("b", 1, weight=0, cohort="x"))
    world.submit(make_job(1, uid="first", queue="b"), make_job(1, uid="second"))
    assert uids(world.cycle().admitted) == ["first", "second"]


def test_kueue_12786_13495_what_is_used_is_neither_lost_nor_counted_twice() -> None:
    world = two_queues()
    borrowing(world, 3, 3, 4)
    world.submit(make_job(4, run=3600, queue="b"), make_job(2, run=100, queue="b"))
    world.play(until=math.inf)
    world.now += 1000
    world.play(until=math.inf)
    assert not world.running
    assert [world.ledger.used(name, "cpu") for name in "ab"] == [0, 0]


def test_kueue_14477_a_deep_queue_is_admitted_in_one_cycle_and_not_job_by_job() -> None:
    world = World(make_queue("a", 600))
    world.submit(*(make_job(1) for _ in range(536)))
    assert len(world.cycle().admitted) == 536


def test_a_reserved_job_keeps_its_place_on_the_levels_within_the_one_that_it_waits_for() -> None:
    world = World(make_queue("a", 10), make_queue("b", 10), capacity=cluster(11))
    world.submit(make_job(7, run=240, queue="a"))
    world.cycle()
    world.submit(make_job(8, uid="large", run=60, queue="b"), make_job(3, uid="small", run=300, queue="b"))
    world.cycle()
    assert world.why("large").why is Why.NO_CAPACITY
    assert world.why("small").why is Why.RESERVATION, "the cluster has three cores left then, but queue b has two"


def test_who_could_not_come_again_is_ended_for_nobody_and_for_nothing() -> None:
    world = World(make_queue("a", 10), capacity=cluster(10))
    world.submit(make_job(5, run=36000, uid="bare", gang=True, preemptible=False))
    world.submit(make_job(5, run=36000, uid="other"))
    world.cycle()
    world.now += 60
    world.submit(make_job(5, uid="urgent", priority=9))
    assert [one.uid for one in world.cycle().ended] == ["other"]
    world.now += Rules().ready_seconds
    world.queues["a"] = replace(world.queues["a"], stop=Stop.HOLD_AND_DRAIN)
    assert "bare" not in {one.uid for one in world.cycle().ended}
