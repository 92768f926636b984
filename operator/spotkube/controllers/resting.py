"""Offerings that failed or were interrupted are not bought for a while, and longer each time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spotkube.model.offerings import OfferingKey

LONGEST_SECONDS = 3600.0
FORGIVEN_SECONDS = 6 * 3600.0
"""After so long without trouble an offering is as good as any other."""
RETURN_SECONDS = 1800.0
"""So long after its rest no pod is moved back to it though it is cheaper: it has to hold first."""


@dataclass(frozen=True, slots=True)
class _Rest:
    """How often it failed, each time soon after the time before, and until when it rests."""

    times: int
    until: float


class RestingOfferings:
    """Kept with the history of interruptions (`state`, `restore`), so that a restart buys nothing too early."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        """`seconds` is the first rest; each further one is twice as long, up to an hour."""
        self._seconds = seconds
        self._clock = clock
        self._rests: dict[OfferingKey, _Rest] = {}

    def rest(self, offering: OfferingKey) -> None:
        """Many nodes of one offering that fail together are one failure, and rest from the last of them on."""
        now, last = self._clock(), self._rests.get(offering)
        if last is None or now - last.until >= FORGIVEN_SECONDS:
            times = 1
        else:
            times = last.times if last.until > now else last.times + 1
        self._rests[offering] = _Rest(times, now + self._length(times))

    def _length(self, times: int) -> float:
        return min(self._seconds * 2.0 ** min(times - 1, 10), max(LONGEST_SECONDS, self._seconds))

    def forget(self) -> None:
        """Another replica may lead meanwhile; what it kept is read anew."""
        self._rests.clear()

    def current(self) -> frozenset[OfferingKey]:
        now = self._clock()
        self._rests = {key: one for key, one in self._rests.items() if one.until + FORGIVEN_SECONDS > now}
        return frozenset(key for key, one in self._rests.items() if one.until > now)

    def unproven(self) -> frozenset[OfferingKey]:
        """Those that rest, or have not been left alone for long enough since."""
        now = self._clock()
        return frozenset(key for key, one in self._rests.items() if one.until + RETURN_SECONDS > now)

    def state(self) -> dict[str, list[float]]:
        """By "type/zone/capacity type": how often, and until when."""
        return {"/".join(key): [one.times, round(one.until, 1)] for key, one in sorted(self._rests.items())}

    def restore(self, state: Any) -> None:
        """What was kept; where both are known the longer rest holds. What can't be meant is passed over."""
        for key, value in state.items() if isinstance(state, Mapping) else ():
            if (read := _read(key, value, self._clock())) is not None:
                known = self._rests.get(read[0], read[1])
                self._rests[read[0]] = _Rest(max(known.times, read[1].times), max(known.until, read[1].until))


def _read(key: object, value: object, now: float) -> tuple[OfferingKey, _Rest] | None:
    parts = str(key).split("/")
    if len(parts) != 3 or not isinstance(value, list) or len(value) != 2:
        return None
    times, until = value
    # Comparing first: an integer of any length may stand there, which is no float.
    known = isinstance(times, int | float) and isinstance(until, int | float)
    if not known or not 1 <= times <= 1e6 or not 0 <= until <= 1e12:
        return None
    # A clock that was wrong must not keep an offering from being bought for years.
    return OfferingKey(*parts), _Rest(int(times), min(until, now + LONGEST_SECONDS))
