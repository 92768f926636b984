"""Offerings that failed or were interrupted are not bought for a while, and longer each time."""

import math
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
        """Many nodes of one offering that fail together are one failure."""
        now, last = self._clock(), self._rests.get(offering)
        if last is not None and last.until > now:
            return
        times = last.times + 1 if last is not None and now - last.until < FORGIVEN_SECONDS else 1
        seconds = min(self._seconds * 2.0 ** min(times - 1, 10), max(LONGEST_SECONDS, self._seconds))
        self._rests[offering] = _Rest(times, now + seconds)

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
        """What was kept, of offerings of which nothing is known yet; what can't be meant is passed over."""
        for key, value in state.items() if isinstance(state, Mapping) else ():
            if (read := _read(key, value, self._clock())) is not None:
                self._rests.setdefault(read[0], read[1])


def _read(key: object, value: object, now: float) -> tuple[OfferingKey, _Rest] | None:
    parts = str(key).split("/")
    if len(parts) != 3 or not isinstance(value, list) or len(value) != 2:
        return None
    times, until = value
    known = isinstance(times, int | float) and isinstance(until, int | float)
    if not known or not math.isfinite(times) or not math.isfinite(until) or not 1 <= times <= 1e6:
        return None
    # A clock that was wrong must not keep an offering from being bought for years.
    return OfferingKey(*parts), _Rest(int(times), min(until, now + LONGEST_SECONDS))
