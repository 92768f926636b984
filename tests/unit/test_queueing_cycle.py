"""What a cycle admits, what it reserves, and what it tells those that wait."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from queue_support import NOON, World, cluster, make_job, make_queue, uids
from spotkube.queueing.budgets import Spent
from spotkube.queueing.capacity import Aggregate, Refusal
from spotkube.queueing.decisions import Cause
from spotkube.queueing.jobs import Job
from spotkube.queueing.queues import Budget, Stop
from spotkube.queueing.reasons import Why
from spotkube.queueing.room import Level


def test_all_that_fits_is_admitted_in_one_cycle_and_in_order() -> None:
    world = World(make_queue("a", 100), make_queue("b", 100))
    for place, uid in enumerate(["x", "y", "z"]):
        world.submit(make_job(uid=uid, queue="ab"[place % 2]), key=-place)
    assert uids(world.cycle().admitted) == ["z", "y", "x"]


def test_priority_comes_before_the_key_inside_a_queue_only() -> None:
    world = World(make_queue("a", 100), make_queue("b", 100))
    world.submit(make_job(uid="low"), make_job(uid="high", priority=5), make_job(uid="other", queue="b"))
    assert uids(world.cycle().admitted) == ["high", "low", "other"]


def test_jobs_without_weight_come_last_and_do_not_jump_to_the_front() -> None:
    world = World(make_queue("a", 2, tenant_weights={"idle": 0}), make_queue("b", 2, weight=0, cohort="c"))
    world.submit(make_job(uid="zero-queue", queue="b"), make_job(uid="zero-tenant", tenant="idle"))
    world.submit(make_job(uid="paid", priority=-3))
    assert uids(world.cycle().admitted) == ["paid", "zero-queue", "zero-tenant"]


def test_a_job_larger_than_its_quota_is_told_so_at_once_and_holds_nobody_up() -> None:
    world = World(make_queue("a", 4))
    world.submit(make_job(5, uid="huge"), make_job(4, uid="fits"))
    assert uids(world.cycle().admitted) == ["fits"]
    reason = world.why("huge")
    assert (reason.why, reason.needed, reason.available) == (Why.TOO_LARGE, 5000, 4000)
    assert reason.words == "it needs 5 cpu, and queue a never has more than 4 cpu: ask for less, or raise that"


def test_a_job_larger_than_the_cluster_can_ever_be_is_told_so() -> None:
    world = World(make_queue("a", None), capacity=cluster(8))
    world.submit(make_job(9, uid="huge"))
    world.cycle()
    assert world.why("huge").why is Why.TOO_LARGE
    assert "the cluster with all it may buy" in world.why("huge").words


def test_a_resource_that_the_cluster_has_none_of_is_never_there() -> None:
    world = World(make_queue("a", None), capacity=Aggregate({"memory": 1}))
    world.submit(make_job(1, uid="core"))
    world.cycle()
    assert world.why("core").why is Why.TOO_LARGE


def test_what_waits_for_quota_is_told_how_much_is_left() -> None:
    world = World(make_queue("a", 4))
    world.submit(make_job(3), make_job(2, uid="next"))
    world.cycle()
    reason = world.why("next")
    assert (reason.why, reason.resource, reason.needed, reason.available) == (Why.QUOTA, "cpu", 2000, 1000)


def test_held_queues_admit_nothing_and_drained_ones_end_what_runs() -> None:
    world = World(make_queue("a", 4, stop=Stop.HOLD))
    world.submit(make_job(uid="j"))
    assert not world.cycle().admitted
    assert world.why("j").why is Why.QUEUE_HELD

    world = World(make_queue("a", 4))
    world.submit(make_job(uid="j"))
    world.cycle()
    world.queues["a"] = make_queue("a", 4, stop=Stop.HOLD_AND_DRAIN)
    (ending,) = world.cycle().ended
    assert (ending.uid, ending.cause) == ("j", Cause.DRAINED)
    assert world.backlog.get("j") is not None and not world.running


def test_a_job_of_a_queue_that_does_not_exist_waits_and_disturbs_nobody() -> None:
    world = World(make_queue("a", 4))
    world.submit(make_job(uid="lost", queue="nowhere"), make_job(uid="fine"))
    assert uids(world.cycle().admitted) == ["fine"]
    assert world.why("lost").why is Why.UNKNOWN_QUEUE


def test_an_incomplete_gang_waits_and_takes_no_room() -> None:
    world = World(make_queue("a", 4))
    world.submit(make_job(1, pods=4, uid="gang", gang=True, missing_pods=1), make_job(4, uid="next"))
    assert uids(world.cycle().admitted) == ["next"]
    assert (world.why("gang").why, world.why("gang").available) == (Why.GANG_INCOMPLETE, 3)


def test_a_gang_gets_all_its_pods_or_none() -> None:
    world = World(make_queue("a", 4))
    world.submit(make_job(1), make_job(1, pods=4, uid="gang", gang=True))
    world.cycle()
    assert "gang" not in world.running


def test_a_gang_that_is_not_ready_in_time_is_given_back_and_waits_twice_as_long_each_time() -> None:
    world = World(make_queue("a", 4))
    world.submit(make_job(1, pods=4, uid="gang", gang=True))
    pauses = []
    for _ in range(3):
        world.cycle()
        world.now += world.rules.ready_seconds
        (ending,) = world.cycle().ended
        assert ending.cause is Cause.NOT_READY
        waiting = world.backlog.get("gang")
        assert waiting is not None and waiting.key == 1.0, "it has lost its place"
        pauses.append(waiting.backoff_until_seconds - world.now)
        world.cycle()
        assert world.why("gang").why is Why.BACKOFF
        world.now = waiting.backoff_until_seconds
    assert pauses == [10, 20, 40]


def test_a_divisible_job_takes_the_width_that_there_is() -> None:
    world = World(make_queue("a", 10))
    world.submit(make_job(4), make_job(1, pods=20, min_parallelism=2, uid="wide"))
    assert world.cycle().admitted[-1].width == 6
    world.submit(make_job(1, pods=20, min_parallelism=2, uid="none-left"))
    world.cycle()
    assert world.why("none-left").why is Why.QUOTA


def test_a_small_job_passes_a_large_one_only_if_it_does_not_push_it_back() -> None:
    world = World(make_queue("a", None), capacity=cluster(10))
    world.submit(make_job(8, run=1000, uid="there"))
    world.cycle()
    world.submit(make_job(9, run=100, uid="large"))
    world.submit(make_job(1, run=5000, uid="beside"), make_job(1, run=1001, uid="late"), make_job(1, run=999, uid="in"))
    decisions = world.cycle()
    assert uids(decisions.admitted) == ["beside", "in"]
    (reservation,) = decisions.reservations
    assert (reservation.uid, reservation.level, reservation.start_seconds) == ("large", Level.CLUSTER, NOON + 1000)
    assert (world.why("late").why, world.why("late").behind) == (Why.RESERVATION, "large")


def test_nobody_passes_a_job_whose_promised_start_is_long_over() -> None:
    world = World(make_queue("a", None), capacity=cluster(10))
    world.submit(make_job(8, run=1000, uid="there"))
    world.cycle()
    world.submit(make_job(9, run=100, uid="large"))
    world.cycle()
    world.now += 1000 + world.rules.aging_seconds  # "there" runs longer than estimated
    world.submit(make_job(1, run=1, uid="tiny"))
    assert not world.cycle().admitted
    world.finish("there")
    assert uids(world.cycle().admitted) == ["large", "tiny"]


def test_a_queue_at_its_own_limit_holds_no_other_queue_up() -> None:
    world = World(make_queue("a", 5), make_queue("b", None), capacity=cluster(100))
    world.submit(make_job(5), make_job(5), make_job(50, queue="b", uid="free"))
    assert "free" in uids(world.cycle().admitted)


def test_dollars_an_hour_are_a_quota() -> None:
    world = World(make_queue("a", None, budget=Budget(usd_per_hour=1.0)))
    world.submit(make_job(price_usd_hour=0.7), make_job(price_usd_hour=0.4, uid="dear"), make_job(price_usd_hour=0.3))
    assert len(world.cycle().admitted) == 2
    assert world.why("dear").words == "it needs $0.40 an hour, and of the budget of queue a $0.30 an hour are left"


def test_a_day_pays_for_what_runs_until_midnight_and_no_more() -> None:
    budget = Budget(usd_per_day=20.0)
    world = World(make_queue("a", None, budget=budget), spent={"a": Spent(usd_today=5.0)})
    world.submit(make_job(run=10 * 3600, price_usd_hour=1.0, uid="ten"))
    world.submit(make_job(run=6 * 3600, price_usd_hour=1.0, uid="six"))
    world.submit(make_job(run=5 * 3600, price_usd_hour=1.0, uid="five"))
    assert uids(world.cycle().admitted) == ["ten", "five"]
    reason = world.why("six")
    assert (reason.why, reason.until_seconds) == (Why.BUDGET, NOON + 12 * 3600)
    assert "costs $6.00 until the day ends" in reason.words


def test_only_the_part_of_a_job_before_midnight_counts_for_the_day() -> None:
    world = World(make_queue("a", None, budget=Budget(usd_per_day=12.0)))
    world.submit(make_job(run=100 * 3600, price_usd_hour=1.0))
    assert world.cycle().admitted


def test_a_divisible_job_runs_no_wider_than_the_day_pays_for() -> None:
    world = World(make_queue("a", None, budget=Budget(usd_per_day=12.0)))
    world.submit(make_job(pods=10, min_parallelism=1, run=10 * 3600, price_usd_hour=10.0))
    assert world.cycle().admitted[0].width == 1


def test_a_job_whose_price_nobody_knows_does_not_run_on_a_budget() -> None:
    world = World(make_queue("a", None, budget=Budget(usd_per_month=100.0)))
    world.submit(make_job(uid="j"))
    world.cycle()
    assert (world.why("j").why, "no price is known" in world.why("j").words) == (Why.BUDGET, True)


class _OnePlace:
    """A cluster whose nodes hold pods of up to two cores, and of those one."""

    def room(self) -> None:
        return None

    def most(self) -> None:
        return None

    def refusals(self, placed: Sequence[tuple[Job, int]]) -> Mapping[str, Refusal]:
        small = [job for job, _ in placed if job.full["cpu"] <= 2000]
        large = {job.uid: Refusal("no node has 3 cpu", for_ever=True) for job, _ in placed if job not in small}
        return {**large, **{job.uid: Refusal("the zone is sold out") for job in small[1:]}}


def test_what_the_plan_finds_no_place_for_waits_and_says_why() -> None:
    world = World(make_queue("a", 10), capacity=_OnePlace())
    world.submit(
        make_job(3, uid="large"), make_job(2, uid="first"), make_job(2, uid="second"), make_job(1, uid="third")
    )
    assert uids(world.cycle().admitted) == ["first"]
    assert (world.why("large").why, world.why("second").why) == (Why.TOO_LARGE, Why.NO_CAPACITY)
    assert world.why("third").why in (Why.NO_CAPACITY, Why.RESERVATION)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"pods": 2, "min_parallelism": 3}, "min_parallelism 3 needs one pod set of at least as many pods"),
        ({"pods": 0}, "it has 0 pods"),
        ({"run": math.inf}, "run_seconds inf must be zero or more and finite"),
        ({"price_usd_hour": -1.0}, "price_usd_hour -1.0 must be"),
        ({"price_usd_hour": math.nan}, "price_usd_hour nan must be"),
    ],
)
def test_what_no_job_can_have_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_job(**wrong)


def test_a_key_that_is_no_number_is_refused_before_it_disturbs_the_order() -> None:
    with pytest.raises(ValueError, match="must not be NaN"):
        World(make_queue("a", 4)).submit(make_job(), key=math.nan)
