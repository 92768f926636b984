"""What a decision tells while it is being made: each plan that is better than those before, and each better bound."""

import time
from collections.abc import Callable

from spotkube.planner.clock import Clock
from spotkube.planner.problem import Enough

# (seconds since the start, cost and bound in micro-dollars an hour)
Progress = Callable[[float, int, int], None]


class Watch:
    """Tells of plans that place all pods that have a place anywhere; until there is one, of nothing."""

    def __init__(self, tell: Progress | None, clock: Clock, unplaceable: int) -> None:
        """`unplaceable` is the weight of the pods that no plan can place."""
        self._tell, self._clock, self._unplaceable = tell, clock, unplaceable
        self._cost: int | None = None
        self._bound = 0

    def plan(self, missing: int, cost: float) -> None:
        """A plan was found: the weight of its pods without a place, and what its nodes cost."""
        if missing <= self._unplaceable and (self._cost is None or round(cost) < self._cost):
            self._cost = round(cost)
            self._report()

    def bound(self, value: int) -> None:
        """It was proven that no plan that places them all costs less."""
        if value > self._bound:
            self._bound = value
            self._report()

    def is_settled(self, enough: Enough | None) -> bool:
        """Whether all pods that can be placed are, at a cost of which no more than `enough` could still be saved."""
        return enough is not None and self._cost is not None and self._cost - self._bound <= enough.of(self._cost)

    def _report(self) -> None:
        if self._tell is not None and self._cost is not None:
            self._tell(time.perf_counter() - self._clock.started, self._cost, self._bound)
