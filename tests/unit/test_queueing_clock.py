"""The virtual clock: golden vectors, and what it does where inputs are odd."""

from __future__ import annotations

import json
import math

import pytest

from queueing_support import Arrival, fluid_done, serve
from spotkube.queueing.clock import VirtualClock


def clock_at(now: float = 0.0, capacity: float = 1.0, levels: int = 1) -> VirtualClock:
    clock = VirtualClock(levels)
    clock.advance(now, capacity)
    return clock


def submit(clock: VirtualClock, tenant: str, *sizes: float, first: int = 1) -> None:
    for number, size in enumerate(sizes, first):
        clock.submit(f"{tenant}{number}", (tenant,), size)


def deadlines(clock: VirtualClock) -> dict[str, float]:
    return {job: clock.place(job).deadline for job in sorted(clock.in_order())}


def test_two_tenants_take_turns_by_their_chains() -> None:
    clock = clock_at()
    submit(clock, "A", 4, 4, 4)
    submit(clock, "B", 10)

    assert deadlines(clock) == {"A1": 4, "A2": 8, "A3": 12, "B1": 10}
    assert list(clock.in_order()) == ["A1", "A2", "B1", "A3"]


def test_who_comes_later_starts_at_the_present() -> None:
    clock = clock_at()
    submit(clock, "A", 10, 10)
    clock.dispatch("A1")
    clock.advance(10, 1)
    submit(clock, "B", 5)

    assert deadlines(clock) == {"A2": 20, "B1": 15}
    assert clock.first() == "B1"


def test_a_tenants_short_job_goes_before_its_long_one() -> None:
    clock = clock_at()
    submit(clock, "A", 10, 2)

    assert deadlines(clock) == {"A1": 12, "A2": 2}


def test_a_tenants_long_job_is_not_passed_for_ever() -> None:
    clock = clock_at()
    submit(clock, "A", 10)
    served = []
    for number in range(2, 30):
        submit(clock, "A", 1, first=number)
        served.append(str(clock.first()))
        clock.dispatch(served[-1])

    assert served.index("A1") == 9


def test_a_burst_does_not_push_others_aside_as_the_published_form_lets_it() -> None:
    arrivals = [Arrival(f"a{i:02}", ("A",), 0, 10) for i in range(10)]
    arrivals += [Arrival(f"s{i:02}", ("A",), 50, 1) for i in range(40)]
    arrivals.append(Arrival("b", ("B",), 50, 1))

    assert fluid_done(arrivals)["B"] == [(52, 1)]
    assert serve(arrivals)["b"] <= 52


def test_many_who_turn_to_short_jobs_do_not_pass_who_comes_then() -> None:
    """Ten tenants with a long job fell behind ten with short ones; now each wants its due in small pieces at once."""
    arrivals = [Arrival(f"long{t}", (f"A{t}",), 0, 100) for t in range(10)]
    arrivals += [Arrival(f"short{t}-{i}", (f"B{t}",), 0, 1) for t in range(10) for i in range(100)]
    arrivals += [Arrival(f"piece{t}-{i}", (f"A{t}",), 900, 1) for t in range(10) for i in range(45)]
    arrivals.append(Arrival("c", ("C",), 900.5, 1))

    (fluid, _) = fluid_done(arrivals)["C"][0]
    assert serve(arrivals)["c"] <= fluid + 100


def test_weights_share_and_zero_comes_last() -> None:
    clock = clock_at()
    clock.weigh(("B",), 2)
    clock.weigh(("Z",), 0)
    submit(clock, "Z", 1)
    submit(clock, "A", 6, 7)
    submit(clock, "B", 10)

    assert list(clock.in_order()) == ["B1", "A1", "A2", "Z1"]
    assert clock.place("B1").deadline == 5
    assert clock.place("Z1").leftover


def test_a_new_weight_counts_from_now_on() -> None:
    clock = clock_at()
    submit(clock, "A", 10)
    submit(clock, "B", 12)
    clock.advance(10, 1)  # the reference has done five of each
    clock.weigh(("B",), 7)

    assert deadlines(clock) == {"A1": 10, "B1": 6}
    clock.weigh(("B",), 0)
    assert list(clock.in_order()) == ["A1", "B1"]
    clock.weigh(("B",), 1)
    assert deadlines(clock) == {"A1": 10, "B1": 12}


def test_queues_share_their_cohort_and_tenants_their_queue() -> None:
    clock = clock_at(levels=2)
    for tenant in ("a1", "a2", "a3"):
        clock.submit(tenant, ("research", tenant), 4)
    clock.submit("b1", ("web", "b"), 9)
    clock.weigh(("research", "a3"), 4)

    assert list(clock.in_order()) == ["a3", "a1", "b1", "a2"]


def test_a_late_job_is_charged_to_its_tenant_alone() -> None:
    clock = clock_at()
    submit(clock, "A", 1, 5)
    submit(clock, "B", 1, 5)
    submit(clock, "C", 9)
    clock.dispatch("A1")
    before = deadlines(clock)
    clock.correct("A1", 10)

    assert deadlines(clock) == {**before, "A2": before["A2"] + 9}


def test_what_a_job_did_not_need_is_given_back() -> None:
    clock = clock_at()
    submit(clock, "A", 10, 20)
    submit(clock, "B", 25)
    clock.dispatch("A1")
    clock.finish("A1", size=2)

    assert clock.place("A2").deadline == 22
    assert clock.first() == "A2"


def test_who_is_queued_again_keeps_its_place() -> None:
    clock = clock_at()
    submit(clock, "A", 4, 6)
    submit(clock, "B", 5)
    before = list(clock.in_order())
    clock.dispatch("A1")
    clock.advance(3, 1)
    submit(clock, "A", 0.5, first=3)
    clock.requeue("A1")

    assert [job for job in clock.in_order() if job != "A3"] == before


def test_a_job_taken_out_of_turn_leaves_the_others_as_they_were() -> None:
    clock = clock_at()
    submit(clock, "A", 2, 4)
    submit(clock, "B", 3, 5)
    before = deadlines(clock)
    clock.dispatch("B2")

    assert deadlines(clock) == {"A1": before["A1"], "A2": before["A2"], "B1": 8}


def test_a_withdrawn_job_is_forgotten() -> None:
    clock = clock_at()
    submit(clock, "A", 2, 4)
    clock.withdraw("A1")
    submit(clock, "A", 3)

    assert deadlines(clock) == {"A1": 3, "A2": 7}


def test_a_clock_that_steps_back_stands_still_and_then_goes_on() -> None:
    clock = clock_at(1000)
    submit(clock, "A", 100)
    clock.advance(1010, 1)
    clock.advance(10, 1)
    clock.advance(20, 1)
    submit(clock, "B", 1)

    assert clock.place("B1").deadline == 21


def test_without_capacity_time_stands_still() -> None:
    clock = clock_at(0, capacity=0)
    submit(clock, "A", 5)
    clock.advance(1e9, 2)
    submit(clock, "B", 1)

    assert deadlines(clock) == {"A1": 5, "B1": 1}


def test_absurd_sizes_disturb_nobody_else() -> None:
    clock = clock_at()
    submit(clock, "A", 3, 4)
    submit(clock, "B", 3.5, 5)
    before = list(clock.in_order())
    submit(clock, "X", math.inf, 1e300)
    submit(clock, "Y", 0, 1e-300)

    assert [job for job in clock.in_order() if job[0] in "AB"] == before
    assert clock.first() == "Y1"
    assert all(math.isfinite(deadline) for deadline in deadlines(clock).values())


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda clock: clock.submit("j", ("A",), math.nan), "size: nan"),
        (lambda clock: clock.submit("j", ("A",), -1), "size: -1"),
        (lambda clock: clock.submit("A1", ("A",), 1), "'A1' is here already"),
        (lambda clock: clock.submit("j", ("A", "x"), 1), "needs 1 names"),
        (lambda clock: clock.weigh(("A",), -0.5), "weight: -0.5"),
        (lambda clock: clock.weigh((), 1), "has no weight"),
        (lambda clock: clock.advance(math.nan, 1), "now: nan"),
        (lambda clock: clock.advance(5, -1), "capacity: -1"),
        (lambda clock: clock.dispatch("ghost"), "'ghost' does not wait"),
        (lambda clock: clock.finish("A1"), "'A1' does not run"),
    ],
)
def test_mistakes_are_named_and_change_nothing(mistake, words) -> None:  # type: ignore[no-untyped-def]
    clock = clock_at()
    submit(clock, "A", 1)
    before = clock.state()

    with pytest.raises(ValueError, match=words):
        mistake(clock)

    assert clock.state() == before


def test_a_year_with_tiny_weights_keeps_seconds_apart() -> None:
    clock = clock_at(capacity=1000)
    clock.weigh(("tiny",), 1e-6)
    submit(clock, "tiny", 1e11)
    for day in range(1, 366):
        clock.advance(86_400.0 * day, 1000)
        submit(clock, "A", 1, first=2 * day)
        submit(clock, "B", 1.001, first=2 * day)
        assert list(clock.in_order())[:2] == [f"A{2 * day}", f"B{2 * day}"]
        clock.dispatch(f"A{2 * day}")
        clock.dispatch(f"B{2 * day}")
    assert math.isfinite(clock.place("tiny1").deadline)


def test_a_restart_loses_nothing() -> None:
    clock = clock_at(levels=2)
    clock.weigh(("q", "b"), 3)
    for number, (queue, tenant, size) in enumerate([("q", "a", 5), ("q", "b", 7), ("r", "c", 6), ("q", "a", 2)]):
        clock.submit(f"j{number}", (queue, tenant), size)
    clock.dispatch(str(clock.first()))
    clock.advance(9.0, 1)
    again = VirtualClock.restored(json.loads(json.dumps(clock.state(), allow_nan=False)), levels=2)

    for one in (clock, again):
        one.advance(10.0, 1)
        one.submit("late", ("r", "d"), 1)
    assert [again.place(job) for job in again.in_order()] == [clock.place(job) for job in clock.in_order()]


def test_with_two_levels_a_place_is_told_of_the_queue_and_of_the_tenant_in_it() -> None:
    clock = clock_at(levels=2)
    clock.weigh(("q", "B"), 2)
    for job, path, size in (("A1", ("q", "A"), 4), ("B1", ("q", "B"), 6), ("B2", ("q", "B"), 8), ("C1", ("p", "C"), 5)):
        clock.submit(job, path, size)

    told = clock.places(["B2", "A1", "C1"])
    queue, tenant = told["B2"]
    assert (queue.weight, queue.start, queue.deadline) == (1, 0, 18)  # B1, A1 and B2 one after the other
    assert (tenant.weight, tenant.start, tenant.deadline) == (2, 0, 7)  # B1 and B2 at the weight of two
    assert [place.deadline for place in told["A1"]] == [10, 4]
    assert [place.deadline for place in told["C1"]] == [5, 5]
    assert {job: places[0] for job, places in told.items()} == {job: clock.place(job) for job in told}


def test_whose_turn_is_overdue_has_left_the_order_within_its_queue() -> None:
    clock = clock_at(levels=2)
    clock.submit("A1", ("q", "A"), 4)
    clock.submit("B1", ("q", "B"), 9)
    clock.advance(5, 1)
    clock.submit("B2", ("q", "B"), 9)

    assert [len(clock.places([job])[job]) for job in ("A1", "B1")] == [1, 2]
    assert clock.places([]) == {}
