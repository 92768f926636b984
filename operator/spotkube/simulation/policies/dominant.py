"""Dominant-resource fairness as Kueue does it between queues: of the heads of all tenants that one is first with which
its tenant's share, over its weight, is least; what was used before does not count, and nothing is interrupted.

With the one resource that is played here, the dominant share is the share of the capacity in use.
"""

import math
from collections import defaultdict
from collections.abc import Iterator

from spotkube.simulation.jobs import Job
from spotkube.simulation.policies.tenants import TenantLines


class DominantShare:
    def __init__(self) -> None:
        self._waiting = TenantLines()
        self._used: dict[str, float] = defaultdict(float)

    def submit(self, job: Job, size: float, now: float) -> None:
        self._waiting.add(job)

    def waiting(self, now: float) -> Iterator[Job]:
        return self._waiting.heads_first(lambda job: (self._share_with(job), job.submit, job.id))

    def begin(self, job: Job, now: float) -> float | None:
        self._waiting.remove(job)
        self._used[job.tenant] += job.width
        return None

    def correct(self, job: Job, size: float, now: float) -> None:
        """Sizes don't matter."""

    def end(self, job: Job, now: float) -> None:
        self._used[job.tenant] -= job.width

    def _share_with(self, job: Job) -> float:
        return (self._used[job.tenant] + job.width) / job.weight if job.weight else math.inf
