"""Pods that come together are planned together: one plan for all is cheaper than several for parts."""

import math

# A stream of pods of which nobody knows how long it goes on is cut after this part of the longest time: each pod more
# saves less by company, and all that are there wait for it.
STREAM_SHARE = 1 / 3


class Batch:
    """Decides when a set of waiting pods has stopped growing, or has been waited for long enough. Times are seconds of
    one clock."""

    def __init__(self, idle_seconds: float, max_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._max_seconds = max_seconds
        self._size = 0
        self._began_at: float | None = None
        self._grown_at = 0.0
        self.due_at = math.inf
        """When time alone completes it."""
        self.flows = False
        """Whether more came lately, or are known to come."""

    def is_complete(self, waiting: int, now: float, *, growing: bool = False, search_seconds: float = 0.0) -> bool:
        """Whether so many `waiting` pods have not become more for the idle time, or have been waited for long enough.
        `growing`: more are known to come. `search_seconds` is how long a plan for these will be searched for: whoever
        comes only then has to wait for its end, so that company is worth waiting for as long.

        Never where nobody waits: whoever comes next begins a batch, and does not end one that began long ago.
        """
        if not waiting:
            self.close()
            return False
        if self._began_at is None:
            self._began_at = self._grown_at = now
        elif growing or waiting > self._size:
            self._grown_at = now
        self._size = waiting
        stream = max(self._idle_seconds, STREAM_SHARE * self._max_seconds, min(search_seconds, self._max_seconds))
        longest = self._max_seconds if growing else stream
        self.due_at = min(self._grown_at + self._idle_seconds, self._began_at + longest)
        self.flows = now < self._grown_at + self._idle_seconds
        return now >= self.due_at

    @property
    def is_open(self) -> bool:
        """Whether pods wait for company, so that time alone may complete it."""
        return self._began_at is not None

    def close(self) -> None:
        """The next pod begins a new batch."""
        self._size, self._began_at, self.due_at = 0, None, math.inf
