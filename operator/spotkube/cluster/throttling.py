"""How fast we may ask, and how often we ask again."""

import logging
import random
import time
from asyncio import sleep
from collections.abc import Awaitable, Callable
from typing import TypeVar

from spotkube.cluster.errors import TooManyRequests, Unavailable

T = TypeVar("T")
logger = logging.getLogger(__name__)


class RateLimiter:
    """A token bucket: `burst` calls at once, then `qps` a second, first come first served."""

    def __init__(self, qps: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        if qps <= 0 or burst < 1:
            raise ValueError(f"qps {qps} and burst {burst} must be above 0")
        self._qps = qps
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock()

    def reserve(self) -> float:
        """Take one token, on credit if need be; the seconds to wait before the call may be made."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._qps)
        self._filled_at = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self._qps)

    async def acquire(self) -> None:
        """Wait for our turn."""
        wait_seconds = self.reserve()
        if wait_seconds > 0:
            await sleep(wait_seconds)


async def retrying(
    call: Callable[[], Awaitable[T]],
    *,
    attempts: int = 4,
    first_delay_seconds: float = 0.2,
    max_delay_seconds: float = 5.0,
) -> T:
    """Await `call()` until it answers, at most `attempts` times, waiting twice as long each time (with jitter).

    Only for calls that may be carried out twice, and only when the server could not be asked (Unavailable) or
    throttles us; a PodDisruptionBudget's refusal is an answer and is not repeated. The last error is raised.
    """
    for attempt in range(attempts - 1):
        try:
            return await call()
        except (Unavailable, TooManyRequests) as error:
            if isinstance(error, TooManyRequests) and error.disruption_budget:
                raise
            delay = min(max_delay_seconds, first_delay_seconds * 2**attempt) * random.uniform(0.5, 1.0)
            if isinstance(error, TooManyRequests) and error.retry_after_seconds is not None:
                delay = max(delay, min(error.retry_after_seconds, max_delay_seconds))
            logger.debug("attempt %d failed, next in %.1f s: %s", attempt + 1, delay, error)
        await sleep(delay)
    return await call()
