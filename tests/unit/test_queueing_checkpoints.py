"""What of a job's work is saved, and that nobody is protected by lying about it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_support import NOON, World, make_job, make_queue
from spotkube.convert.declared import to_declared
from spotkube.model import labels as keys
from spotkube.model.resources import ResourceList
from spotkube.queueing.book import Book
from spotkube.queueing.capacity import Aggregate
from spotkube.queueing.checkpoints import Checkpoints, PodSaved, Together
from spotkube.queueing.jobclasses import JobClass
from spotkube.queueing.jobs import Running
from spotkube.queueing.preemption import loss_usd
from spotkube.queueing.rules import DEFAULTS
from spotkube.queueing.seen import Phase, Seen

START = NOON - 3600


class TestWhenItWasSaved:
    @pytest.mark.parametrize(
        ("interval", "last", "saved"),
        [
            (None, None, None),
            (600, None, NOON),
            (1000, None, NOON - 600),
            (7200, None, None),
            (None, NOON - 60, NOON - 60),
            (None, NOON + 1, None),
            (None, START - 1, None),
            (1000, NOON - 60, NOON - 60),
            (1000, NOON - 900, NOON - 600),
            (0, None, None),
        ],
        ids=str,
    )
    def test_after_an_hour(self, interval: float | None, last: float | None, saved: float | None) -> None:
        assert Checkpoints(interval, last).saved_at(START, NOON) == saved

    def test_a_clock_that_stepped_back_before_the_start(self) -> None:
        assert Checkpoints(600, NOON).saved_at(NOON, NOON - 100) is None


class TestPods:
    """All began with the job, an hour ago, unless it is said otherwise."""

    @pytest.mark.parametrize(
        ("of_job", "pods", "saved"),
        [
            (None, [NOON - 60, NOON - 600], NOON - 600),
            (None, [NOON - 60, None], START),
            (NOON - 300, [NOON - 60, None], NOON - 300),
            (NOON - 300, [NOON - 600, None], NOON - 600),
            (NOON - 300, [NOON - 60, NOON - 30], NOON - 60),
            (NOON - 300, [NOON + 1, NOON - 60], NOON - 300),
            (NOON - 300, [START - 1, NOON - 60], NOON - 300),
            (NOON - 300, [NOON + 1, START - 1], NOON - 300),
            (NOON + 1, [NOON - 60, None], START),
            (None, [NOON + 1], None),
            (None, [None], None),
            (NOON - 300, [], NOON - 300),
        ],
        ids=str,
    )
    def test_the_one_that_saved_longest_ago_decides(
        self, of_job: float | None, pods: list[float | None], saved: float | None
    ) -> None:
        told = tuple(PodSaved(START, last) for last in pods)
        assert Checkpoints(None, of_job, told).saved_at(START, NOON) == saved

    def test_one_that_began_later_has_nothing_from_before(self) -> None:
        pods = PodSaved(START, NOON - 60), PodSaved(NOON - 120)
        assert Checkpoints(None, START + 10, pods).saved_at(START, NOON) == NOON - 120

    def test_what_it_bears_from_its_template_is_from_before_its_start(self) -> None:
        assert Checkpoints(None, None, (PodSaved(NOON - 120, NOON - 121),)).saved_at(START, NOON) is None

    def test_an_interval_is_kept_by_all(self) -> None:
        assert Checkpoints(1000, None, (PodSaved(START, NOON - 3000),)).saved_at(START, NOON) == NOON - 600


class TestTogether:
    @pytest.mark.parametrize(
        ("lasts", "saved"),
        [([NOON - 60, NOON - 600], NOON - 600), ([NOON - 60, None], None), ([NOON - 60], NOON - 60), ([], None)],
        ids=str,
    )
    def test_the_job_that_saved_longest_ago_decides(self, lasts: list[float | None], saved: float | None) -> None:
        assert Together(tuple(Checkpoints(None, last) for last in lasts)).saved_at(START, NOON) == saved


class TestWhatIsWritten:
    def test_by_annotations(self) -> None:
        told = to_declared({keys.CHECKPOINT_INTERVAL: "10m", keys.LAST_CHECKPOINT: "2027-01-15T12:00:00Z"})
        assert (told.checkpoints, told.mistakes) == (Checkpoints(600, NOON), ())

    @pytest.mark.parametrize(
        ("annotations", "words"),
        [
            ({keys.CHECKPOINT_INTERVAL: "often"}, "'often' is no duration; write it as in 90s"),
            ({keys.CHECKPOINT_INTERVAL: "0s"}, "it must be above zero"),
            ({keys.LAST_CHECKPOINT: "noon"}, "'noon' is no time; write it in RFC 3339"),
            ({keys.LAST_CHECKPOINT: "2026-11-28T14:00:00"}, "is no time; write it in RFC 3339"),
            ({keys.LAST_CHECKPOINT: "0001-01-01T00:00:00+23:59"}, ""),
            ({keys.EXPECTED_RUN_TIME: "0s"}, "0 s count as 1 s; write from 1s to 720h"),
            ({keys.EXPECTED_RUN_TIME: "900000h"}, "3.24e+09 s count as 2.592e+06 s"),
            ({keys.EXPECTED_RUN_TIME: "-5m"}, "'-5m' is no duration"),
        ],
    )
    def test_what_can_not_be_used_is_told(self, annotations: dict[str, str], words: str) -> None:
        assert words in "; ".join(to_declared(annotations).mistakes)

    @given(st.dictionaries(st.sampled_from([keys.CHECKPOINT_INTERVAL, keys.LAST_CHECKPOINT]), st.text()))
    def test_nothing_breaks_it(self, annotations: dict[str, str]) -> None:
        to_declared(annotations)


NUMBERS = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.floats(START - 10, NOON + 10))


PODS = st.lists(st.builds(PodSaved, st.floats(START - 10, NOON + 10), NUMBERS), max_size=4)


@given(NUMBERS, NUMBERS, PODS, st.floats(-100, 1e6))
def test_whatever_is_written_a_job_is_never_dearer_to_end_than_without(
    interval: float | None, last: float | None, pods: list[PodSaved], ran: float
) -> None:
    job = make_job(run=7200)
    plain = Running(job, START, 1)
    saved = Checkpoints(interval, last, tuple(pods)).saved_at(START, START + ran)
    told = Running(job, START, 1, checkpoint_seconds=saved)

    assert 0 <= loss_usd(told, START + ran, DEFAULTS) <= loss_usd(plain, START + ran, DEFAULTS)


def running(name: str, checkpoints: Checkpoints) -> Seen:
    job = make_job(5, uid=name, queue="a", tenant=name, submitted_seconds=START)
    about = JobClass("ns", name, "app", (), ResourceList())
    return Seen(job, about, Phase.RUNNING, 36000.0, START, checkpoints=checkpoints)


@pytest.mark.parametrize("liar", ["first", "second"])
def test_of_two_that_are_alike_the_one_that_says_all_is_saved_is_ended(liar: str) -> None:
    queues = {"a": make_queue("a", 10)}
    told = {"first": Checkpoints(), "second": Checkpoints(), liar: Checkpoints(1.0)}
    book = Book()
    urgent = make_job(5, uid="urgent", queue="a", tenant="u", priority=10, submitted_seconds=NOON)
    waiting = Seen(urgent, JobClass("ns", "u", "app", (), ResourceList()), Phase.WAITING, 36000.0)
    book.meet(NOON, queues, [*(running(name, one) for name, one in told.items()), waiting], {"cpu": 10_000})

    world = World(*queues.values(), capacity=Aggregate())
    scene = book.scene(NOON, queues, world.capacity, {})
    world.backlog, world.running, world.ledger = scene.backlog, dict(scene.running), scene.ledger
    (ended,) = world.cycle().ended

    assert ended.uid == liar
