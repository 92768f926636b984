"""Pods that come together are planned together."""

import math

from spotkube.batching import Batch


def test_a_batch_is_complete_when_no_more_pods_come() -> None:
    batch = Batch(idle_seconds=1, max_seconds=5)

    assert not batch.is_complete(1, 0)
    assert not batch.is_complete(2, 0.5)
    assert not batch.is_complete(2, 1.25)
    assert batch.is_complete(2, 1.5)


def test_pods_that_leave_do_not_hold_it_up() -> None:
    batch = Batch(idle_seconds=1, max_seconds=5)
    batch.is_complete(3, 0)

    assert batch.is_complete(1, 1)


def test_an_endless_stream_is_cut() -> None:
    batch = Batch(idle_seconds=1, max_seconds=5)
    answers = [batch.is_complete(n + 1, n * 0.5) for n in range(12)]

    assert answers.index(True) == 4, "a third of the longest time: nobody knows whether more come"


def test_a_stream_is_waited_for_as_long_as_its_plan_is_searched_for() -> None:
    """Whoever comes while it is searched for has to wait for its end, and for a plan of his own."""
    batch = Batch(idle_seconds=1, max_seconds=5)
    answers = [batch.is_complete(n + 1, n * 0.5, search_seconds=3) for n in range(12)]

    assert answers.index(True) == 6

    batch.close()
    answers = [batch.is_complete(n + 1, n * 0.5, search_seconds=30) for n in range(12)]
    assert answers.index(True) == 10, "not for ever"


def test_the_idle_time_is_waited_for_however_long() -> None:
    batch = Batch(idle_seconds=4, max_seconds=5)

    assert not batch.is_complete(1, 0)
    assert not batch.is_complete(1, 3.9)
    assert batch.is_complete(1, 4)


def test_company_that_is_known_to_come_is_waited_for_but_not_for_ever() -> None:
    batch = Batch(idle_seconds=1, max_seconds=3)

    assert not batch.is_complete(1, 0)
    assert not batch.is_complete(1, 2, growing=True)
    assert batch.is_complete(1, 3, growing=True)


def test_the_next_pod_begins_a_new_batch() -> None:
    batch = Batch(idle_seconds=1, max_seconds=5)
    batch.is_complete(1, 0)
    batch.close()

    assert not batch.is_complete(1, 10)
    assert batch.is_complete(1, 11)


def test_times_when_nobody_waits_are_not_counted() -> None:
    batch = Batch(idle_seconds=1, max_seconds=5)
    assert not batch.is_complete(0, 0)

    assert not batch.is_complete(1, 100)
    assert not batch.is_complete(2, 100.5)
    assert batch.is_complete(2, 101.5)


def test_when_time_alone_completes_it_is_known() -> None:
    batch = Batch(idle_seconds=1, max_seconds=5)
    assert batch.due_at == math.inf

    batch.is_complete(1, 10)
    assert batch.due_at == 11
    batch.is_complete(2, 10.5)
    assert (batch.due_at, batch.is_complete(2, 11.5)) == (11.5, True)

    batch.close()
    assert batch.due_at == math.inf
