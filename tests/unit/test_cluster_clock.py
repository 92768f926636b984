"""The time at the API server, learnt from what its answers say."""

from __future__ import annotations

import logging
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotkube.cluster.clock import TOLERANCE_SECONDS, ServerClock

START = 1_800_000_000.0


class Machine:
    """Our own clock, and a server whose clock is `ahead` of it."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.now, self.ahead = START, ahead
        self.clock = ServerClock(lambda: self.now)

    def ask(self, there: float = 0.01, back: float = 0.01, apart: float = 0.3) -> None:
        """One answer, which takes so long each way, and so long until the next question."""
        asked_at = self.now
        self.now += there
        date = formatdate(self.now + self.ahead, usegmt=True)
        self.now += back
        self.clock.heard(date, asked_at)
        self.now += apart


def test_before_any_answer_and_with_clocks_alike_it_is_our_own_time() -> None:
    machine = Machine(ahead=0.4)

    assert machine.clock() == machine.now
    for _ in range(20):
        machine.ask()
    assert machine.clock() == machine.now


@pytest.mark.parametrize("ahead", [300.0, -300.0, 3.5, -3.5])
def test_clocks_that_are_apart_are_told_by_the_servers(ahead: float, caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(ahead)
    machine.ask()
    assert machine.clock() == pytest.approx(machine.now + ahead, abs=0.6)

    for _ in range(20):
        machine.ask()

    assert machine.clock() == pytest.approx(machine.now + ahead, abs=0.15)
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert ("behind" if ahead > 0 else "ahead of") in warning.getMessage()


def test_a_clock_that_is_set_is_followed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    machine = Machine()
    for _ in range(5):
        machine.ask()

    machine.now -= 3600  # ours, by hand
    machine.ahead += 3600
    machine.ask()
    assert machine.clock() == pytest.approx(machine.now + 3600, abs=0.6)

    machine.now += 3600
    machine.ahead -= 3600
    machine.ask()
    assert machine.clock() == machine.now
    assert "again" in caplog.records[-1].getMessage()


def test_an_answer_during_which_our_clock_is_set_back_says_nothing() -> None:
    machine = Machine()
    machine.clock.heard(formatdate(START, usegmt=True), START + 3600)

    assert machine.clock() == machine.now


@pytest.mark.parametrize("date", [None, "", "soon", "Sun, 99 Nov 2026 10:00:00 GMT"])
def test_a_date_that_cannot_be_read_says_nothing(date: str | None) -> None:
    machine = Machine()
    machine.clock.heard(date, machine.now)

    assert machine.clock() == machine.now


SECONDS = st.floats(0, 5, allow_nan=False)


@given(st.floats(-1e6, 1e6), st.lists(st.tuples(SECONDS, SECONDS, SECONDS), min_size=1, max_size=30))
def test_however_slow_the_answers_it_is_no_further_off_than_the_quickest_allows(
    ahead: float, answers: list[tuple[float, float, float]]
) -> None:
    machine = Machine(ahead)
    for answer in answers:
        machine.ask(*answer)

    bound = min(there + back for there, back, _ in answers) + 1
    assert abs(machine.clock() - (machine.now + ahead)) <= TOLERANCE_SECONDS + bound + 1e-3
