"""What size a job is taken for while it waits."""

from collections import defaultdict, deque
from enum import StrEnum

from spotkube.simulation.jobs import Job

LAST = 5
UNKNOWN_SECONDS = 3600.0
"""For jobs that say nothing and are the first of their class."""


class Estimates(StrEnum):
    EXACT = "exact"
    LAST5 = "last5"
    REQUESTED = "requested"


class Estimator:
    """`exact`: the true size. `requested`: what the job says. `last5`: the mean of the last five jobs that ended of the
    same tenant and width. What the latter two don't know, they take from each other."""

    def __init__(self, way: Estimates) -> None:
        self._way = way
        self._ended: dict[tuple[str, float], deque[float]] = defaultdict(lambda: deque(maxlen=LAST))

    def size(self, job: Job) -> float:
        if self._way is Estimates.EXACT:
            return job.size
        seen = self._ended.get((job.tenant, job.width))
        told, learnt = job.told, sum(seen) / len(seen) if seen else None
        first, second = (told, learnt) if self._way is Estimates.REQUESTED else (learnt, told)
        known = first if first is not None else second
        return known if known is not None else UNKNOWN_SECONDS * job.width

    def ended(self, job: Job) -> None:
        self._ended[job.tenant, job.width].append(job.size)
