"""The backlog that is kept from cycle to cycle, beside one that is made anew in each."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from queue_support import NOON, cluster, make_job, make_queue
from spotkube.model.resources import ResourceList
from spotkube.queueing.book import Book
from spotkube.queueing.jobclasses import JobClass
from spotkube.queueing.lineup import Lineup
from spotkube.queueing.queues import Queue
from spotkube.queueing.scene import Scene
from spotkube.queueing.seen import Phase, Seen
from spotkube.queueing.widths import share

TOTALS = {"cpu": 10_000}
QUEUES = {"a": make_queue("a", 3), "b": make_queue("b", 2)}


def seldom_ordered() -> Book:
    """Of a thousand jobs a second it puts one in order, so that it does once in a story."""
    return Book(lineup=Lineup(fresh_jobs=0, ordered_a_second=1e-3))


def seen(uid: str, phase: Phase = Phase.WAITING, *, queue: str = "a", run: float = 100, priority: int = 0) -> Seen:
    job = make_job(uid=uid, tenant=uid[0], queue=queue, submitted_seconds=NOON, priority=priority)
    return Seen(job, JobClass("ns", uid, "app", (), ResourceList()), phase, declared_seconds=run)


def scene(book: Book, now: float, *jobs: Seen, queues: Mapping[str, Queue] = QUEUES) -> Scene:
    book.meet(now, queues, jobs, TOTALS)
    book.due()
    return book.scene(now, queues, cluster(100), {})


def in_turn(scene: Scene, queue: str = "a") -> list[str]:
    return [one.job.uid for line in scene.backlog.lines(queue) for _, one in line.entries]


def unordered(scene: Scene) -> dict[str, object]:
    return {one.job.uid: replace(one, key=0.0) for one in scene.backlog}


def admitted(scene: Scene) -> dict[str, object]:
    return {uid: replace(one, key=0.0) for uid, one in scene.running.items()}


@given(st.randoms(use_true_random=False))
def test_it_holds_the_same_jobs_as_one_made_anew(dice: random.Random) -> None:
    kept, anew, now = seldom_ordered(), Book(), NOON
    jobs = {f"{tenant}{n}": seen(f"{tenant}{n}", queue=dice.choice("ab")) for tenant in "xy" for n in range(4)}
    there: dict[str, Seen] = {}
    for _ in range(12):
        for uid in dice.sample(sorted(jobs), 3):
            phase = dice.choice([*Phase, None])
            if phase is None:
                there.pop(uid, None)
            else:
                job = replace(jobs[uid].job, priority=dice.choice([0, 0, 1]))
                there[uid] = replace(jobs[uid], job=job, phase=phase)
        now += dice.choice([0.1, 1.0, 30.0, -0.5])
        one, other = scene(kept, now, *there.values()), scene(anew, now, *there.values())
        assert unordered(one) == unordered(other)
        assert admitted(one) == admitted(other)
        decided = share(other).decisions
        kept.note(decided, one)
        anew.note(decided, other)


def test_who_comes_where_many_wait_is_last_until_they_are_put_in_order() -> None:
    book = Book(lineup=Lineup(fresh_jobs=0, ordered_a_second=1.0))
    long = [seen(f"x{n}", run=1000) for n in range(3)]
    short = seen("y0", run=1)
    assert in_turn(scene(book, NOON, *long)) == ["x0", "x1", "x2"]

    assert in_turn(scene(book, NOON + 1, *long, short)) == ["x0", "x1", "x2", "y0"]
    assert in_turn(scene(book, NOON + 5, *long, short))[0] == "y0"


def test_those_who_come_are_in_the_order_in_which_they_came() -> None:
    book, first = seldom_ordered(), seen("x0")
    scene(book, NOON, first)
    names = [f"y{n:02}" for n in range(30)]
    late = [replace(one, job=replace(one.job, submitted_seconds=NOON + n)) for n, one in enumerate(map(seen, names))]

    assert in_turn(scene(book, NOON + 1, first, *reversed(late))) == ["x0", *names]


def test_a_higher_priority_does_not_wait_for_that() -> None:
    book = seldom_ordered()
    first = seen("x0")
    scene(book, NOON, first)

    assert in_turn(scene(book, NOON + 1, first, seen("y0", priority=1))) == ["y0", "x0"]


def test_few_are_put_in_order_each_time() -> None:
    book, long = Book(), [seen(f"x{n}", run=1000) for n in range(3)]
    scene(book, NOON, *long)

    assert in_turn(scene(book, NOON + 0.01, *long, seen("y0", run=1)))[0] == "y0"


def test_another_weight_puts_them_in_order_at_once() -> None:
    book = seldom_ordered()
    jobs = [seen("x0"), seen("x1"), seen("y0"), seen("y1")]
    assert in_turn(scene(book, NOON, *jobs)) == ["x0", "y0", "x1", "y1"]

    nothing = {"a": replace(QUEUES["a"], tenant_weights={"x": 0.0}), "b": QUEUES["b"]}
    assert in_turn(scene(book, NOON + 1, *jobs, queues=nothing)) == ["y0", "y1", "x0", "x1"]


def test_who_is_taken_back_keeps_his_place() -> None:
    book = seldom_ordered()
    jobs = [seen("x0"), seen("y0"), seen("z0")]
    assert in_turn(scene(book, NOON, *jobs)) == ["x0", "y0", "z0"]

    assert in_turn(scene(book, NOON + 1, seen("x0", Phase.RUNNING), *jobs[1:])) == ["y0", "z0"]
    assert in_turn(scene(book, NOON + 2, *jobs)) == ["x0", "y0", "z0"]
