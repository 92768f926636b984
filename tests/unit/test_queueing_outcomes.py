"""What is learnt from starts that were told, and what the play does not come to."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from queue_support import NOON, World, cluster, make_job, make_queue
from spotkube.queueing.ahead import Ahead
from spotkube.queueing.forecast import forecast
from spotkube.queueing.outcomes import ERRORS_KEPT, LEAST_ERRORS, MOST_TOLD, Errors, Outcomes, Start
from spotkube.queueing.pace import at_pace, can_ever_start
from spotkube.queueing.queues import Stop


def told(played: float, low: float, high: float) -> Start:
    return Start(NOON + played, NOON + low, NOON + high, NOON + played)


def learnt(*pairs: tuple[float, float]) -> Errors:
    """From waits and what was played for each, over and over."""
    errors = Errors()
    for number in range(ERRORS_KEPT):
        waited, played = pairs[number % len(pairs)]
        errors = errors.with_start(waited, played, inside=number % 5 > 0)
    return errors


class TestErrors:
    def test_starts_that_always_come_later_are_told_later(self) -> None:
        [waits] = learnt((1140, 540)).waits([240])
        # Twice as late, where waits count with a minute more: (240 + 60) x 2 - 60.
        assert waits.seconds == pytest.approx(540, rel=0.01)

    def test_what_is_as_often_early_as_late_is_told_as_it_is_played(self) -> None:
        [waits] = learnt((240, 540), (1140, 540)).waits([600])
        assert waits.seconds == 600
        assert waits.low_seconds < 600 < waits.high_seconds

    def test_what_was_never_off_is_told_without_a_range(self) -> None:
        [waits] = learnt((600, 600), (60, 60)).waits([300])
        assert waits.low_seconds == waits.seconds == waits.high_seconds == pytest.approx(300)

    def test_misses_widen_the_range_and_hits_narrow_it(self) -> None:
        errors = learnt((500, 600), (700, 600))
        wider, narrower = (errors.with_start(600, 600, inside) for inside in (False, True))
        assert wider.widened > errors.widened > narrower.widened

    def test_who_starts_at_once_is_told_so_whatever_was_learnt(self) -> None:
        [waits] = learnt((1140, 540)).waits([0])
        assert (waits.low_seconds, waits.seconds, waits.high_seconds) == (0, 0, 0)

    def test_too_few_starts_say_nothing(self) -> None:
        errors = Errors()
        for _ in range(LEAST_ERRORS - 1):
            errors = errors.with_start(600, 60, inside=True)
        assert not errors.known
        assert errors.with_start(600, 60, inside=True).known

    def test_times_that_are_none_count_as_none(self) -> None:
        errors = Errors().with_start(math.nan, -math.inf, inside=True)
        assert errors.logs == (0.0,)


class TestOutcomes:
    def test_a_start_is_compared_with_what_was_told_first(self) -> None:
        outcomes = Outcomes()
        outcomes.tell(NOON, {"j": told(540, 100, 1000)})
        outcomes.tell(NOON + 300, {"j": told(9000, 9000, 9000)})
        outcomes.started("j", NOON + 1140)
        assert outcomes.errors.logs == (pytest.approx(math.log(2), abs=1e-4),)
        assert outcomes.errors.widened > 1  # 1140 s is outside of 100 to 1000

    def test_it_is_known_what_was_told_first(self) -> None:
        outcomes = Outcomes()
        outcomes.tell(NOON, {"j": replace(told(540, 100, 1000), start_seconds=NOON + 600)})
        outcomes.tell(NOON + 300, {"j": told(9000, 9000, 9000)})

        again = Outcomes.restored(json.loads(json.dumps(outcomes.state())))

        assert again.first_told("j") == (NOON, NOON + 600)
        again.started("j", NOON + 700)
        assert again.first_told("j") is None

    def test_what_an_older_operator_wrote_is_read(self) -> None:
        again = Outcomes.restored({"errors": [], "widened": 1.0, "told": {"j": [NOON, 540.0, 100.0, 1000.0]}})
        assert again.first_told("j") == (NOON, NOON + 540)

    def test_what_was_not_told_or_left_without_a_start_teaches_nothing(self) -> None:
        outcomes = Outcomes()
        outcomes.tell(NOON, {"j": told(60, 60, 60)})
        outcomes.forget("j")
        for uid in ("j", "stranger"):
            outcomes.started(uid, NOON + 60)
        assert outcomes.errors == Errors()

    def test_a_clock_that_steps_back_teaches_nothing(self) -> None:
        outcomes = Outcomes()
        outcomes.tell(NOON, {"j": told(60, 60, 60)})
        outcomes.started("j", NOON - 3600)
        assert outcomes.errors == Errors()

    def test_it_keeps_only_so_many(self) -> None:
        outcomes = Outcomes()
        outcomes.tell(NOON, {f"j{n}": told(60, 60, 60) for n in range(MOST_TOLD + 10)})
        assert len(outcomes.state()["told"]) == MOST_TOLD

    def test_it_survives_a_restart(self) -> None:
        outcomes = Outcomes()
        for number in range(30):
            outcomes.tell(NOON, {str(number): told(60 + number, 30, 70)})
        for number in range(25):
            outcomes.started(str(number), NOON + 100)
        again = Outcomes.restored(json.loads(json.dumps(outcomes.state())))
        assert again == outcomes
        for one in (again, outcomes):
            one.started("29", NOON + 400)
        assert again == outcomes


class TestWhatIsLearntIsTold:
    def test_corrected_start_and_range_and_the_pause_before_which_nothing_starts(self) -> None:
        world = World(make_queue("a", 4))
        world.submit(make_job(4, run=540))
        world.cycle()
        world.submit(make_job(4, uid="next"))
        scene = replace(world.scene(), errors=learnt((1140, 540)))
        start = forecast(scene)["next"]
        assert start.start_seconds == pytest.approx(NOON + 1140, abs=1)
        assert start.played_seconds == NOON + 540


def jobs_in_a_row(count: int) -> World:
    world = World(make_queue("a", 4), make_queue("b", 4), make_queue("held", 4, stop=Stop.HOLD), capacity=cluster(6))
    world.submit(*(make_job(3, run=60, uid=f"{queue}{n:03}", queue=queue) for n in range(count) for queue in "ab"))
    world.submit(make_job(5, uid="large"), make_job(1, uid="held", queue="held"), make_job(uid="part", missing_pods=1))
    return world


def test_who_is_beyond_the_play_is_told_by_the_work_before_him_at_the_pace_so_far() -> None:
    scene = jobs_in_a_row(20).scene()
    played = [(NOON + 60 * (n // 2), scene.backlog.get(f"{'ab'[n % 2]}{n // 2:03}")) for n in range(10)]
    begun = [(at, one.job, 1) for at, one in played if one is not None]
    rest = {job.uid: at - NOON for at, job, _ in at_pace(scene, begun)}
    # One job of each queue a minute: number 5 is the next when the play ends with number 4, at 240 s.
    assert len(rest) == 30
    assert (rest["a005"], rest["b006"], rest["a019"]) == pytest.approx((240, 300, 240 + 14 * 60))


def test_only_who_can_ever_start_is_told_something() -> None:
    scene = jobs_in_a_row(1).scene()
    never = {one.job.uid for one in scene.backlog if not can_ever_start(scene, one.job)}
    assert never == {"large", "held", "part"}
    assert list(at_pace(scene, [])) == []


def test_cycles_are_played_no_further_than_they_may_cost() -> None:
    scene = jobs_in_a_row(50).scene()
    ahead = Ahead(scene)
    ahead.play(looks=200)
    assert 2 <= len(ahead.starts) < 20
    assert ahead.scene.now_seconds > NOON
    assert len(scene.backlog) == 103  # what is played is a copy
