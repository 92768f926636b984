"""Queues that nobody made, clocks that step back, weights and amounts beyond sense: nobody else's turn is changed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_support import NOON, cluster, make_job, make_queue
from spotkube.model.resources import MAX_AMOUNT, ResourceList
from spotkube.queueing.book import Book
from spotkube.queueing.clock import VirtualClock
from spotkube.queueing.cycle import decide
from spotkube.queueing.jobclasses import JobClass
from spotkube.queueing.jobs import PodSet
from spotkube.queueing.queues import Queue
from spotkube.queueing.seen import Phase, Seen
from spotkube.queueing.spending import Spending

TOTALS = {"cpu": 10_000}
QUEUES = {name: make_queue(name) for name in "abc"}


def seen(name: str, queue: str = "a", phase: Phase = Phase.WAITING, *, run: float = 100, **more: float) -> Seen:
    job = make_job(uid=name, tenant=name[0], queue=queue, submitted_seconds=NOON)
    about = JobClass("ns", name, "app", (), ResourceList())
    return Seen(job, about, phase, declared_seconds=run, **more)


def order(book: Book, *queues: str) -> list[str]:
    return [uid for uid in book.clock.in_order() if book._records[uid].path[0] in queues]


class TestQueuesThatNobodyMade:
    """Without a share they can't slow down the time by which all others are compared."""

    def play(self, lost: Iterable[Seen]) -> list[str]:
        """Jobs of one queue wait while one of another runs; five minutes later some come to a third."""
        book, lost = Book(), list(lost)
        first = [
            seen("z", "c", phase=Phase.RUNNING, run=1000, admitted_seconds=NOON),
            *(seen(f"x{n}") for n in range(1, 6)),
        ]
        for _ in range(2):  # at the second look the job is known to run
            book.meet(NOON, QUEUES, [*first, *lost], TOTALS)
        later = [seen(f"y{n}", "b") for n in range(6)]
        book.meet(NOON + 300, QUEUES, [*first, *later, *lost], TOTALS)
        return order(book, "a", "b")

    def test_jobs_that_name_them_change_nothing_for_others(self) -> None:
        assert self.play([])[:5] == ["x1", "x2", "y0", "x3", "y1"]
        assert self.play(seen(f"l{n}", f"nowhere-{n}", run=1e6) for n in range(50)) == self.play([])

    def test_once_it_is_made_they_have_their_share(self) -> None:
        book, queues = Book(), {"a": QUEUES["a"]}
        waiting = [*(seen(f"x{n}") for n in range(3)), *(seen(f"y{n}", "b") for n in range(3))]
        book.meet(NOON, queues, waiting, TOTALS)
        assert list(book.clock.in_order()) == ["x0", "x1", "x2", "y0", "y1", "y2"]

        book.meet(NOON + 1, QUEUES, waiting, TOTALS)

        assert list(book.clock.in_order()) == ["x0", "y0", "x1", "y1", "x2", "y2"]

    def test_a_queue_that_is_deleted_and_made_again_finds_its_jobs_in_their_old_order(self) -> None:
        book = Book()
        waiting = [seen("x1", run=300), seen("y1", run=100), seen("x2", run=200), seen("z1", "b")]
        book.meet(NOON, QUEUES, waiting, TOTALS)
        before = order(book, "a")

        book.meet(NOON + 60, {"b": QUEUES["b"]}, waiting, TOTALS)
        book.meet(NOON + 120, QUEUES, waiting, TOTALS)

        assert order(book, "a") == before

    def test_nothing_is_kept_of_names_that_are_no_longer_named(self) -> None:
        book = Book()
        book.meet(NOON, QUEUES, [], TOTALS)
        before = len(json.dumps(book.state()))
        for n in range(100):
            book.meet(NOON + n, QUEUES, [seen("x", f"nowhere-{n}")], TOTALS)
        book.meet(NOON + 200, QUEUES, [], TOTALS)

        assert len(json.dumps(book.state())) < before + 200


class TestAClockThatStepsBack:
    @pytest.mark.parametrize("back", [0.5, 90.0, 86400.0, 400 * 86400.0])
    def test_nothing_is_given_back_for_what_ran(self, back: float) -> None:
        runs = seen("x0", phase=Phase.RUNNING, run=100, admitted_seconds=NOON)
        book = Book()
        book.meet(NOON, QUEUES, [runs], TOTALS)
        book.meet(NOON + 300, QUEUES, [runs], TOTALS)
        charged = book.clock._running["x0"].charged

        book.meet(NOON + 300 - back, QUEUES, [runs], TOTALS)
        book.meet(NOON + 310 - back, QUEUES, [runs], TOTALS)
        assert charged <= book.clock._running["x0"].charged <= charged + 1 + 1e-6

        # It failed, and nobody says how long it ran.
        before = book.clock._shares.state()
        book.meet(NOON + 310 - back, QUEUES, [replace(runs, phase=Phase.FAILED)], TOTALS)
        assert book.clock._shares.state() == before

    def test_a_pause_is_no_longer_for_it(self) -> None:
        book = Book()
        book.meet(NOON, QUEUES, [seen("x1")], TOTALS)
        book._records["x1"].backoff_until_seconds = NOON + 60

        book.meet(NOON - 3600, QUEUES, [seen("x1")], TOTALS)

        scene = book.scene(NOON - 3600, QUEUES, cluster(10), {})
        (waiting,) = scene.backlog
        assert waiting.backoff_until_seconds == NOON - 3600 + 60

    def test_no_order_is_disturbed_and_all_goes_on(self) -> None:
        book = Book()
        waiting = [seen(f"{tenant}{n}", run=50 + 10 * n) for n in range(4) for tenant in "xyz"]
        book.meet(NOON, QUEUES, waiting, TOTALS)
        before = list(book.clock.in_order())

        book.meet(NOON - 7200, QUEUES, waiting, TOTALS)
        assert list(book.clock.in_order()) == before
        scene = book.scene(NOON - 7200, QUEUES, cluster(10), {})
        assert [one.uid for one in decide(scene).admitted] == before[:10]

    def test_dollars_stay_and_are_counted_once(self) -> None:
        spending, rates = Spending(), {("a", "x"): 3600.0}
        spending.accrue(NOON, rates)
        assert spending.accrue(NOON + 100, rates) == {("a", "x"): 100.0}
        assert spending.accrue(NOON + 40, rates) == {("a", "x"): 0.0}
        assert spending.accrue(NOON + 90, rates) == {("a", "x"): 0.0}
        assert spending.accrue(NOON + 130, rates) == {("a", "x"): 30.0}

        assert spending.of(("a", "x")).usd_this_month == pytest.approx(130.0)


MOMENTS = st.lists(st.floats(-1e5, 1e5), min_size=2, max_size=20)


@settings(max_examples=100, deadline=None)
@given(MOMENTS)
def test_whatever_the_clock_does_dollars_never_get_fewer_within_a_month(moments: list[float]) -> None:
    spending, last = Spending(), 0.0
    for moment in moments:
        spending.accrue(NOON + moment, {("a", "x"): 1.0})
        assert spending.of(("a", "x")).usd_this_month >= last
        last = spending.of(("a", "x")).usd_this_month


WEIGHTS = st.sampled_from([0.0, 1e-300, 1e-6, 1.0, 3.5, 1e6, 1e300])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(WEIGHTS, WEIGHTS), min_size=1, max_size=4),
    st.lists(st.sampled_from([0.0, 1.0, 3600.0, 3.24e9, 1e300, float("inf"), float("nan")]), min_size=1, max_size=8),
    st.sampled_from([0, 1, 1000, MAX_AMOUNT]),
)
def test_no_weight_and_no_amount_stops_the_queue(
    weights: list[tuple[float, float]], runs: list[float], cpu: int
) -> None:
    queues = {
        f"q{n}": Queue(f"q{n}", weight=outer, tenant_weights={"t": inner}) for n, (outer, inner) in enumerate(weights)
    }
    jobs = []
    for n, run in enumerate(runs):
        one = seen(f"j{n}", f"q{n % len(queues)}", run=run)
        sets = (PodSet("main", 1 + n * 1000, ResourceList({"cpu": cpu})),)
        jobs.append(replace(one, job=replace(one.job, tenant="t", pod_sets=sets)))
    book = Book()
    book.meet(NOON, queues, jobs, TOTALS)
    book.meet(NOON + 10, queues, jobs, TOTALS)

    decisions = decide(book.scene(NOON + 10, queues, cluster(10), {}))

    assert len(list(book.clock.in_order())) == len(jobs)
    assert all(
        decisions.reason(one) or one.job.uid in {a.uid for a in decisions.admitted}
        for one in book.scene(NOON + 10, queues, cluster(10), {}).backlog
    )
    json.dumps(book.state(), allow_nan=False)
    assert isinstance(VirtualClock.restored(book.state()["clock"], 2), VirtualClock)


SIGHT = st.dictionaries(
    st.sampled_from([f"j{n}" for n in range(6)]),
    st.tuples(
        st.sampled_from("xyz"),
        st.sampled_from(["a", "b", "nowhere"]),
        st.sampled_from(list(Phase)),
        st.sampled_from([0.0, 50.0, 1e9]),
    ),
)
STEPS = st.sampled_from([0.0, 1.0, 500.0, 1e7, -1.0, -500.0, -1e7])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(SIGHT, STEPS, st.sampled_from(["ab", "a", ""])), min_size=1, max_size=8))
def test_whatever_is_seen_nobody_is_lost_and_a_restart_changes_nothing(
    looks: list[tuple[dict[str, tuple[str, str, Phase, float]], float, str]],
) -> None:
    """Jobs change tenant and queue, queues come and go, and the clock steps to and fro."""
    book, now = Book(), NOON
    for sight, step, there in looks:
        now += step
        queues = {name: QUEUES[name] for name in there}
        jobs = []
        for uid, (tenant, queue, phase, run) in sight.items():
            job = make_job(uid=uid, tenant=tenant, queue=queue, submitted_seconds=NOON)
            jobs.append(Seen(job, JobClass("ns", uid, "app", (), ResourceList()), phase, declared_seconds=run))
        book.meet(now, queues, jobs, TOTALS)
        scene = book.scene(now, queues, cluster(4), {})
        book.note(decide(scene), scene)

        waiting = {one.job.uid for one in jobs if one.phase is Phase.WAITING}
        leaving = {one.job.uid for one in jobs if one.phase is Phase.LEAVING}  # who did not run may be among those
        assert waiting <= set(book.clock.in_order()) <= waiting | leaving
        told = json.loads(json.dumps(book.state(), allow_nan=False))
        assert list(Book.restored(told).clock.in_order()) == list(book.clock.in_order())
