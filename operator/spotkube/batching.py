"""Pods that come together are planned together: one plan for all is cheaper than several for parts."""


class Batch:
    """Decides when a set of waiting pods has stopped growing. Times are seconds of one clock."""

    def __init__(self, idle_seconds: float, max_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._max_seconds = max_seconds
        self._seen: frozenset[str] = frozenset()
        self._began_at: float | None = None
        self._grown_at = 0.0

    def is_complete(self, waiting: frozenset[str], now: float) -> bool:
        """Whether `waiting` (uids) has not grown for the idle time, or has been waited for long enough.

        Never where nobody waits: whoever comes next begins a batch, and does not end one that began long ago.
        """
        if not waiting:
            self.close()
            return False
        if self._began_at is None:
            self._began_at = self._grown_at = now
        elif not waiting <= self._seen:
            self._grown_at = now
        self._seen = waiting
        return now - self._grown_at >= self._idle_seconds or now - self._began_at >= self._max_seconds

    def close(self) -> None:
        """The next pod begins a new batch."""
        self._seen, self._began_at = frozenset(), None
