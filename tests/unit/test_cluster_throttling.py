"""The pace of calls, and which failures are tried again."""

import pytest

from spotkube.cluster import throttling
from spotkube.cluster.errors import Invalid, TooManyRequests, Unavailable
from spotkube.cluster.throttling import RateLimiter, retrying


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_free_and_then_calls_queue_one_behind_the_other() -> None:
    clock = Clock()
    limiter = RateLimiter(qps=10, burst=3, clock=clock)
    waits = [limiter.reserve() for _ in range(5)]
    assert waits == pytest.approx([0, 0, 0, 0.1, 0.2])


def test_tokens_come_back_with_time_but_never_more_than_the_burst() -> None:
    clock = Clock()
    limiter = RateLimiter(qps=10, burst=2, clock=clock)
    limiter.reserve(), limiter.reserve()
    clock.now = 0.1
    assert limiter.reserve() == 0
    assert limiter.reserve() == pytest.approx(0.1)
    clock.now = 1000
    assert [limiter.reserve() for _ in range(3)] == pytest.approx([0, 0, 0.1])


@pytest.mark.parametrize(("qps", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_limit_that_lets_nothing_through_is_refused(qps: float, burst: int) -> None:
    with pytest.raises(ValueError, match="above 0"):
        RateLimiter(qps, burst)


class Flaky:
    """Raises the given errors one after the other, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Lets sleeping take no time; what was slept."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(throttling, "sleep", sleep)
    return slept


def unavailable() -> Unavailable:
    return Unavailable(503, "ServiceUnavailable", "later")


async def test_what_could_not_be_asked_is_asked_again_with_growing_pauses(pauses: list[float]) -> None:
    call = Flaky(unavailable(), unavailable(), unavailable())
    assert await retrying(call, first_delay_seconds=1) == "answer"
    assert call.calls == 4
    assert all(0.5 * 2**n <= pause <= 2**n for n, pause in enumerate(pauses))


async def test_the_last_error_is_raised(pauses: list[float]) -> None:
    call = Flaky(*(unavailable() for _ in range(5)))
    with pytest.raises(Unavailable, match="later"):
        await retrying(call, attempts=3)
    assert (call.calls, len(pauses)) == (3, 2)


async def test_a_refusal_is_not_asked_again(pauses: list[float]) -> None:
    call = Flaky(Invalid(422, "Invalid", "spec.limits: must not be negative"))
    with pytest.raises(Invalid):
        await retrying(call)
    assert (call.calls, pauses) == (1, [])


async def test_throttling_waits_as_long_as_the_server_says(pauses: list[float]) -> None:
    call = Flaky(TooManyRequests(429, "TooManyRequests", "slow down", retry_after_seconds=3))
    assert await retrying(call) == "answer"
    assert pauses == [3]


async def test_a_disruption_budget_is_an_answer(pauses: list[float]) -> None:
    call = Flaky(TooManyRequests(429, "TooManyRequests", "budget", retry_after_seconds=10, disruption_budget=True))
    with pytest.raises(TooManyRequests):
        await retrying(call)
    assert (call.calls, pauses) == (1, [])
