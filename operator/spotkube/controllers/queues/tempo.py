"""How fast the queue goes on, and how often it says how those who wait stand."""

import math

# Few are told in each cycle how they stand. Many are not, since that takes longer than to decide: it is let be for so
# many times as long as it took, at most a minute. A restart may forget as much of the order as came since.
TOLD_EACH_CYCLE = 500
TOLD_PART, TOLD_SECONDS = 20, 60.0
# Who was let go ends within the run time of a short job, and others can have the room.
MOVING_SECONDS = 2.0


class Tempo:
    """Times are seconds since the epoch."""

    def __init__(self) -> None:
        self._let_go_at = -math.inf
        self._told_at = -math.inf
        self._telling_took = 0.0

    def let_go(self, now: float, jobs: int) -> None:
        """So many were."""
        self._let_go_at = now if jobs else self._let_go_at

    def moves_on(self, now: float) -> bool:
        """Whether somebody was let go lately."""
        return 0 <= now - self._let_go_at < MOVING_SECONDS

    def has_to_tell(self, now: float, waiting: int) -> bool:
        """Whether it is time to tell so many how they stand, and to keep it."""
        rest = min(TOLD_SECONDS, TOLD_PART * self._telling_took)
        return waiting <= TOLD_EACH_CYCLE or not 0 <= now - self._told_at < rest

    def told(self, now: float, took_seconds: float) -> None:
        self._told_at, self._telling_took = now, took_seconds
