"""Offerings that failed or were interrupted are not bought for a while."""

from collections.abc import Callable

from spotkube.model.offerings import OfferingKey


class RestingOfferings:
    """Lives in memory: after a restart an offering may be tried once too often, which harms nobody."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._until: dict[OfferingKey, float] = {}

    def rest(self, offering: OfferingKey) -> None:
        self._until[offering] = self._clock() + self._seconds

    def current(self) -> frozenset[OfferingKey]:
        now = self._clock()
        self._until = {offering: until for offering, until in self._until.items() if until > now}
        return frozenset(self._until)
