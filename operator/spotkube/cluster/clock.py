"""What time it is at the API server: deadlines, ages and timeouts are told in its time, and our own clock may be off.

Each answer has a Date: the second in which it was written, somewhere between when we asked and when it came. So each
bounds how far the clocks are apart, and all bounds together leave a narrow range (as in Marzullo's algorithm, which NTP
builds on). Bounds that exclude each other say that a clock was set: then only the newest one counts.
"""

import logging
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

TOLERANCE_SECONDS = 2.0
"""Clocks that are no further apart count as the same: the API server's own times are whole seconds, too."""
logger = logging.getLogger(__name__)


class ServerClock:
    """Call it for the time at the API server, in seconds since the epoch; our own until an answer contradicts it."""

    def __init__(self, wall: Callable[[], float] | None = None) -> None:
        """`wall` None: the machine's."""
        self.wall = wall or time.time
        self._least, self._most = float("-inf"), float("inf")
        self._told = False

    @property
    def ahead_seconds(self) -> float:
        """How far the server's clock is ahead of ours; 0 while what is known of it allows that they are the same."""
        if self._least <= TOLERANCE_SECONDS and self._most >= -TOLERANCE_SECONDS:
            return 0.0
        return (self._least + self._most) / 2

    def __call__(self) -> float:
        return self.wall() + self.ahead_seconds

    def heard(self, date: str | None, asked_at: float) -> None:
        """An answer to what was asked at `asked_at` (by `wall`) has just come, with this Date; one that can't be read
        says nothing."""
        if (second := _seconds(date)) is None:
            return
        least, most = second - self.wall(), second + 1 - asked_at
        if least > most:
            return  # our own clock was set back meanwhile
        if least > self._most or most < self._least:
            self._least, self._most = least, most
        else:
            self._least, self._most = max(least, self._least), min(most, self._most)
        self._tell()

    def _tell(self) -> None:
        """Once when they part, once when they meet again."""
        apart = self.ahead_seconds
        if bool(apart) == self._told:
            return
        self._told = bool(apart)
        if apart:
            logger.warning(
                "the clock of this machine is %.0f s %s that of the API server, which is gone by for all deadlines: "
                "have both set by NTP",
                abs(apart), "behind" if apart > 0 else "ahead of",
            )  # fmt: skip
        else:
            logger.info("the clock of this machine is that of the API server again")


def _seconds(date: str | None) -> float | None:
    if date is None:
        return None
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
