"""The backlog, kept from cycle to cycle: to put all that wait in order takes longer than everything else in a cycle."""

import math
from collections.abc import Callable, Mapping

from spotkube.queueing.backlog import Backlog
from spotkube.queueing.clock import VirtualClock
from spotkube.queueing.jobs import Waiting
from spotkube.queueing.queues import Queue

FRESH_JOBS = 1_000
"""So many are put in order anew by each cycle."""
ORDERED_A_SECOND = 5_000
"""Of more, so many in a second: about a twentieth of the time goes into it."""
NOT_IN_ORDER = math.inf


class Lineup:
    """`note` says of whom something has changed; only these are looked at again.

    Where so many wait that they are not put in order each time, those who come are behind all others of their priority
    until they are, for a second or two. Nobody else moves meanwhile: who is let go leaves the order of the rest as it
    is, as far as they are let go in order.
    """

    def __init__(self, fresh_jobs: int = FRESH_JOBS, ordered_a_second: float = ORDERED_A_SECOND) -> None:
        self._fresh_jobs = fresh_jobs
        self._ordered_a_second = ordered_a_second
        self._backlog = Backlog({})
        self._keys: dict[str, float] = {}
        # In the order in which they were noted, so that the same story gives the same order.
        self._changed: dict[str, None] = {}
        self._queues: Mapping[str, Queue] = {}
        self._ordered_seconds = -math.inf

    def note(self, job: str) -> None:
        """It has come or gone, or is not what it was."""
        self._changed[job] = None

    def forget(self) -> None:
        """All of them may have changed."""
        self._ordered_seconds = -math.inf

    def key(self, job: str) -> float:
        """Its place in the order of all, if it had one when they were put in order last."""
        return self._keys.get(job, NOT_IN_ORDER)

    def backlog(
        self,
        now_seconds: float,
        queues: Mapping[str, Queue],
        clock: VirtualClock,
        waiting: Callable[[str, float], Waiting | None],
    ) -> Backlog:
        """Of this moment. `waiting` says of a job, with its key, how it waits; None if it doesn't."""
        passed = now_seconds - self._ordered_seconds
        if queues != self._queues or not 0 <= passed < self._lasts_seconds():
            self._put_in_order(queues, clock, waiting)
            self._ordered_seconds = now_seconds
        else:
            self._follow(waiting)
        self._changed.clear()
        return self._backlog

    def _lasts_seconds(self) -> float:
        jobs = len(self._backlog) + len(self._changed)
        return 0.0 if jobs <= self._fresh_jobs else jobs / self._ordered_a_second

    def _put_in_order(
        self, queues: Mapping[str, Queue], clock: VirtualClock, waiting: Callable[[str, float], Waiting | None]
    ) -> None:
        self._keys = {job: float(rank) for rank, job in enumerate(clock.in_order())}
        found = (waiting(job, key) for job, key in self._keys.items())
        self._queues, self._backlog = queues, Backlog(queues, (one for one in found if one is not None))

    def _follow(self, waiting: Callable[[str, float], Waiting | None]) -> None:
        for job in self._changed:
            self._backlog.remove(job)
            if (one := waiting(job, self._keys.setdefault(job, float(len(self._keys))))) is not None:
                self._backlog.put(one)
