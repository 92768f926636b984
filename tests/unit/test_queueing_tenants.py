"""Whose jobs are whose, and what it means for the order when a namespace is given to another tenant."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_support import NOON, make_job, make_queue
from spotkube.model.resources import ResourceList
from spotkube.queueing.book import Book
from spotkube.queueing.jobclasses import JobClass
from spotkube.queueing.seen import Phase, Seen
from spotkube.queueing.tenants import Tenants

TOTALS = {"cpu": 10_000}
QUEUES = {"a": make_queue("a")}


def seen(name: str, tenant: str, phase: Phase = Phase.WAITING, *, run: float = 100, **more: float) -> Seen:
    job = make_job(uid=name, tenant=tenant, queue="a", submitted_seconds=NOON)
    return Seen(job, JobClass("ns", name, "app", (), ResourceList()), phase, declared_seconds=run, **more)


def order(book: Book) -> list[str]:
    return list(book.clock.in_order())


class TestNames:
    def test_without_a_label_each_namespace_is_a_tenant(self) -> None:
        tenants = Tenants.by_label("", [("shop", {"": "x", "team": "retail"})])
        assert tenants.of("shop") == "shop"
        assert tenants.namespaces() == {}

    def test_namespaces_with_the_same_value_are_one(self) -> None:
        spaces = [("shop", {"team": "retail"}), ("cart", {"team": "retail"}), ("bank", {}), ("till", {"team": ""})]
        tenants = Tenants.by_label("team", spaces)
        assert [tenants.of(name) for name, _ in spaces] == ["retail", "retail", "bank", "till"]
        assert tenants.of("not seen yet") == "not seen yet"
        assert tenants.namespaces() == {"retail": ["cart", "shop"]}


def test_who_has_pods_before_it_is_held_gains_no_place_by_them() -> None:
    """As if it had run and was put back, which keeps its place before all who come later."""
    book = Book()
    book.meet(NOON, QUEUES, [seen("long", "x", Phase.LEAVING, run=10_000)], TOTALS)
    book.meet(NOON + 1, QUEUES, [seen("long", "x", run=10_000)], TOTALS)
    book.meet(NOON + 2, QUEUES, [seen("long", "x", run=10_000), seen("short", "y", run=10)], TOTALS)

    assert order(book) == ["short", "long"]


class TestAnotherTenant:
    def test_its_jobs_wait_behind_those_of_the_tenant_that_they_come_to(self) -> None:
        book = Book()
        waiting = [*(seen(f"x{n}", "x") for n in range(3)), *(seen(f"y{n}", "y") for n in range(3))]
        book.meet(NOON, QUEUES, waiting, TOTALS)
        assert order(book) == ["x0", "y0", "x1", "y1", "x2", "y2"]

        # y is a namespace of x's tenant from now on: together they have one share.
        moved = [replace(one, job=replace(one.job, tenant="x")) for one in waiting]
        book.meet(NOON + 1, QUEUES, [*moved, seen("z0", "z"), seen("z1", "z")], TOTALS)

        assert order(book)[:4] == ["x0", "z0", "x1", "z1"]

    def test_it_keeps_what_was_decided_about_it(self) -> None:
        book = Book()
        book.meet(NOON, QUEUES, [seen("j", "x")], TOTALS)
        record = book._records["j"]
        record.preemptors, record.backoff_until_seconds, record.promised_seconds = ("p",), NOON + 60, NOON + 90

        book.meet(NOON + 1, QUEUES, [seen("j", "y")], TOTALS)

        assert book._records["j"] is record
        assert (record.path, record.preemptors, record.promised_seconds) == (("a", "y"), ("p",), NOON + 90)

    def test_what_runs_is_paid_by_each_for_the_time_in_which_it_was_his(self) -> None:
        book = Book()
        big = seen("big", "x", Phase.RUNNING, run=1000, admitted_seconds=NOON)
        book.meet(NOON, QUEUES, [big], TOTALS)

        his = replace(big, job=replace(big.job, tenant="y"))
        book.meet(NOON + 400, QUEUES, [his], TOTALS)
        book.meet(NOON + 1100, QUEUES, [his], TOTALS)

        assert book._records["big"].paid_by_others == pytest.approx(40)
        assert book.clock._running["big"].charged == pytest.approx(70)


def inner_deadlines(book: Book, uids: set[str]) -> dict[str, float]:
    """Within the queue, of those whose turn is not overdue."""
    places = book.clock.places(uid for uid in order(book) if uid in uids)
    return {uid: levels[1].deadline for uid, levels in places.items() if len(levels) > 1}


JOBS = st.lists(st.tuples(st.sampled_from("xyz"), st.integers(1, 500), st.booleans()), min_size=2, max_size=20)


@settings(max_examples=150, deadline=None)
@given(JOBS, st.sampled_from("xyz"), st.sampled_from("xyzw"), st.integers(0, 300))
def test_nobody_elses_order_is_disturbed(jobs: list[tuple[str, int, bool]], old: str, new: str, later: int) -> None:
    before = [
        seen(f"{tenant}{n:02}", tenant, Phase.RUNNING if runs else Phase.WAITING, run=run)
        for n, (tenant, run, runs) in enumerate(jobs)
    ]
    book = Book()
    book.meet(NOON, QUEUES, before, TOTALS)
    after = [replace(one, job=replace(one.job, tenant=new)) if one.job.tenant == old else one for one in before]
    book.meet(NOON + later, QUEUES, before, TOTALS)
    others = {one.job.uid for one in before if one.job.tenant not in (old, new)}
    deadlines = inner_deadlines(book, others)
    queue = [uid for uid in order(book) if uid in others]

    book.meet(NOON + later, QUEUES, after, TOTALS)

    assert [uid for uid in order(book) if uid in others] == queue
    assert inner_deadlines(book, others) == pytest.approx(deadlines)
    assert set(order(book)) == {one.job.uid for one in before if one.phase is Phase.WAITING}
    Book.restored(book.state())
