"""How often it is said how those who wait stand, and whether the queue moves on."""

from spotkube.controllers.queues.tempo import MOVING_SECONDS, TOLD_EACH_CYCLE, TOLD_PART, TOLD_SECONDS, Tempo


def test_few_are_told_in_each_cycle_and_many_for_a_part_of_the_time() -> None:
    tempo = Tempo()
    assert tempo.has_to_tell(100.0, 10_000)
    tempo.told(100.0, 0.5)
    assert tempo.has_to_tell(100.0, TOLD_EACH_CYCLE)
    assert not tempo.has_to_tell(100.0 + 0.49 * TOLD_PART, 10_000)
    assert tempo.has_to_tell(100.0 + 0.51 * TOLD_PART, 10_000)


def test_however_long_it_took_they_are_told_in_the_end_and_when_the_clock_steps_back() -> None:
    tempo = Tempo()
    tempo.told(100.0, 1000.0)
    assert not tempo.has_to_tell(99.0 + TOLD_SECONDS, 10_000)
    assert tempo.has_to_tell(101.0 + TOLD_SECONDS, 10_000)
    assert tempo.has_to_tell(99.0, 10_000)


def test_a_queue_moves_on_for_a_while_after_somebody_was_let_go() -> None:
    tempo = Tempo()
    assert not tempo.moves_on(100.0)
    tempo.let_go(100.0, 2)
    tempo.let_go(101.0, 0)
    assert tempo.moves_on(101.0)
    assert not tempo.moves_on(100.0 + MOVING_SECONDS)
