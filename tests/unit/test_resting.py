"""Offerings that failed rest, longer each time, also across restarts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotkube.controllers.resting import FORGIVEN_SECONDS, LONGEST_SECONDS, RETURN_SECONDS, RestingOfferings
from spotkube.model.offerings import OfferingKey

SPOT = OfferingKey("m.large", "zone-a", "spot")


class Time:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


def rest_of(resting: RestingOfferings, clock: Time) -> float:
    """For how long it rests now, to a second."""
    began = clock.now
    while SPOT in resting.current():
        clock.now += 1
    lasted, clock.now = clock.now - began, began
    return lasted


def test_each_time_twice_as_long_up_to_an_hour(clock: Time) -> None:
    resting, lasted = RestingOfferings(180, clock), []
    for _ in range(7):
        resting.rest(SPOT)
        lasted.append(rest_of(resting, clock))
        clock.now += lasted[-1] + 60
    assert lasted == [180, 360, 720, 1440, 2880, LONGEST_SECONDS, LONGEST_SECONDS]


def test_many_nodes_that_fail_together_are_one_failure(clock: Time) -> None:
    resting = RestingOfferings(180, clock)
    for _ in range(50):
        resting.rest(SPOT)
    assert rest_of(resting, clock) == 180
    clock.now += 170
    resting.rest(SPOT)
    assert rest_of(resting, clock) == 180, "it rests from the last of them on"


def test_what_was_left_alone_for_long_is_forgiven(clock: Time) -> None:
    resting = RestingOfferings(180, clock)
    resting.rest(SPOT)
    clock.now += 180 + FORGIVEN_SECONDS
    resting.rest(SPOT)
    assert rest_of(resting, clock) == 180


def test_it_may_be_bought_before_anybody_is_moved_back_to_it(clock: Time) -> None:
    resting = RestingOfferings(180, clock)
    resting.rest(SPOT)
    clock.now += 181
    assert (resting.current(), resting.unproven()) == (frozenset(), {SPOT})
    clock.now += RETURN_SECONDS
    assert resting.unproven() == frozenset()


def test_after_a_restart_it_goes_on(clock: Time) -> None:
    before, after = RestingOfferings(180, clock), RestingOfferings(180, clock)
    before.rest(SPOT)
    clock.now += 200
    before.rest(SPOT)
    after.rest(SPOT)  # before what was kept is read
    after.restore(before.state())
    assert after.current() == {SPOT}
    assert rest_of(after, clock) == 360
    assert after.state()["m.large/zone-a/spot"][0] == 2


@given(
    st.recursive(
        st.none() | st.floats() | st.integers() | st.just(10**400) | st.text(max_size=8),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_what_was_kept_and_is_broken_does_no_harm(state: Any) -> None:
    clock = Time()
    resting = RestingOfferings(180, clock)
    resting.restore(state)
    resting.restore({"m.large/zone-a/spot": state})
    clock.now += LONGEST_SECONDS + 1
    assert resting.current() == frozenset()
