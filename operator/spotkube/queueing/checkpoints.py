"""When the work of a job that runs was last saved, as far as its owner says. It decides how much of it would be lost.

Owners write what they like, so it only ever makes a job cheaper to end than one that saves nothing: what would not is
as if it was not written.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """A job saves its work at each `interval_seconds` of its run, and did so at `last_seconds` (Unix time). None: its
    owner says nothing of it."""

    interval_seconds: float | None = None
    last_seconds: float | None = None

    def saved_at(self, started_seconds: float, now_seconds: float) -> float | None:
        """Unix time of the last one; None if there is none, as before the first. A moment before the start, or yet to
        come, counts as not there."""
        found = []
        if self.interval_seconds is not None and self.interval_seconds > 0 and now_seconds > started_seconds:
            whole = (now_seconds - started_seconds) // self.interval_seconds
            found += [started_seconds + whole * self.interval_seconds] if whole else []
        if self.last_seconds is not None and started_seconds <= self.last_seconds <= now_seconds:
            found.append(self.last_seconds)
        return max(found, default=None)


NO_CHECKPOINTS = Checkpoints()
