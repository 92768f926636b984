"""The published form, beside which ours is held: the same order where nothing was dispatched, and where they part."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spotkube.queueing.clock import VirtualClock
from spotkube.queueing.published import PublishedClock


def test_golden_vectors() -> None:
    clock = PublishedClock()
    for number in (1, 2, 3):
        clock.submit(f"A{number}", "A", 4, 0, 1)
    clock.submit("B", "B", 10, 0, 1)
    assert clock.deadlines == {"A1": 4, "A2": 8, "A3": 12, "B": 10}

    clock = PublishedClock()
    clock.submit("A1", "A", 10, 0, 1)
    clock.submit("A2", "A", 10, 0, 1)
    clock.submit("B", "B", 5, 10, 1)
    assert clock.deadlines == {"A1": 10, "A2": 20, "B": 15}

    clock = PublishedClock()
    clock.submit("long", "A", 10, 0, 1)
    clock.submit("short", "A", 2, 0, 1)
    assert clock.deadlines == {"long": 12, "short": 2}


def test_it_lets_a_burst_pass_who_comes_at_the_same_time() -> None:
    """Why the clock differs: 39 s later than the reference, where no job takes more than ten."""
    clock = PublishedClock()
    for number in range(10):
        clock.submit(f"a{number}", "A", 10, 0, 1)
    now, ended = 0.0, ""
    while ended != "b":
        if now == 50:
            for number in range(40):
                clock.submit(f"s{number:02}", "A", 1, 50, 1)
            clock.submit("b", "B", 1, 50, 1)
        ended = min(clock.deadlines, key=lambda job: (clock.deadlines[job], job))
        clock.dispatch(ended)
        now += 10 if ended.startswith("a") else 1

    assert now == 91


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 20)), max_size=20))
def test_both_give_equal_deadlines_to_what_comes_at_once(jobs: list[tuple[str, int]]) -> None:
    published, ours = PublishedClock(), VirtualClock()
    ours.advance(0, 1)
    for number, (tenant, size) in enumerate(jobs):
        published.submit(f"{number:02}", tenant, size, 0, 1)
        ours.submit(f"{number:02}", (tenant,), size)

    assert published.deadlines == {job: ours.place(job).deadline for job in ours.in_order()}
