"""The time budget of a search, where it went, and all that the clock had to say, so that it can be said again.

A search only learns of time from its stops, each of which ends one part of it. A stop is asked after each unit of work,
in the order of the program, and once it says so the part ends. Amid a unit, on any thread, work may look whether the
stop is `near`: then the unit is given up, which saves time, and must leave no trace. As time doesn't run backwards, the
stop that is asked next ends the part. So whatever was given up, how many times each stop let the work go on is all that
the clock decided: with the same counts and no clock, everything comes out the same.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field


def _now() -> float:
    return time.perf_counter()


class Stop:
    """Says when a part of a search is over, and counts how often it was not."""

    def __init__(self, ends_at: float | None, passes: int | None) -> None:
        """`ends_at` is a time of `perf_counter`, None for never; `passes` are those recorded, None to ask the clock."""
        self._ends_at, self._recorded = ends_at, passes
        self._over = self.broken_off = False
        self.passes = 0

    def __call__(self) -> bool:
        """Whether the part ends here. To be asked after a unit of work, on the thread that all units are begun on."""
        self._over = self._over or self.near()
        self.passes += not self._over
        return self._over

    def near(self) -> bool:
        """Whether the part ends when that is asked next, so that the unit at hand need not be finished."""
        if self._recorded is not None:
            return self.passes >= self._recorded
        return self._ends_at is not None and _now() >= self._ends_at

    def finish(self) -> None:
        """What was done is enough: the part ends when it is asked next. It is counted, so a replay does the same."""
        self._over = True

    def break_off(self) -> None:
        """Somebody ended the part amid a unit: no count says where."""
        self.broken_off = True


@dataclass
class Clock:
    """Seconds since the start, and those of each phase; no limit if `seconds` is None.

    With `recorded`, the passes of each stop in the order in which they are made, time decides nothing.
    """

    seconds: float | None
    recorded: Sequence[int] | None = None
    started: float = field(default_factory=_now)
    phases: dict[str, float] = field(default_factory=dict)
    _stops: list[Stop] = field(default_factory=list)

    def stop(self, share: float = 1.0) -> Stop:
        """A new stop that ends its part when that share of the seconds is used up."""
        stop = Stop(None if self.seconds is None else self.started + share * self.seconds, self._recorded())
        self._stops.append(stop)
        return stop

    def answer(self, yes: bool) -> bool:
        """The same; but when the search is repeated the answer of then, though what it was based on is not known."""
        stop = Stop(None, self._recorded())
        self._stops.append(stop)
        if yes and self.recorded is None:
            stop.finish()
        return stop()

    def _recorded(self) -> int | None:
        """What the next stop let pass then."""
        return None if self.recorded is None else [*self.recorded[len(self._stops) :], 0][0]

    @property
    def passes(self) -> tuple[int, ...] | None:
        """What each stop let pass, in the order in which they were made; None if one was broken off."""
        return None if any(stop.broken_off for stop in self._stops) else tuple(stop.passes for stop in self._stops)

    @property
    def passed(self) -> float:
        """Seconds since the start."""
        return _now() - self.started

    def lap(self, phase: str) -> None:
        """Ends a phase, or a further part of one."""
        since = _now() - self.started - sum(self.phases.values())
        self.phases[phase] = self.phases.get(phase, 0.0) + since
