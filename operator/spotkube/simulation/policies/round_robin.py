"""Round robin between tenants, a job a turn: what runs is not interrupted."""

from collections.abc import Iterator

from spotkube.simulation.jobs import Job
from spotkube.simulation.policies.tenants import TenantLines


class RoundRobin:
    def __init__(self) -> None:
        self._waiting = TenantLines()
        self._last_turn: dict[str, int] = {}
        self._turns = 0

    def submit(self, job: Job, size: float, now: float) -> None:
        self._waiting.add(job)

    def waiting(self, now: float) -> Iterator[Job]:
        """Whose last turn is longest ago is first."""
        return self._waiting.heads_first(lambda job: (self._last_turn.get(job.tenant, 0), job.submit, job.id))

    def begin(self, job: Job, now: float) -> float | None:
        self._waiting.remove(job)
        self._turns += 1
        self._last_turn[job.tenant] = self._turns
        return None

    def correct(self, job: Job, size: float, now: float) -> None:
        """Sizes don't matter."""

    def end(self, job: Job, now: float) -> None:
        """Nor does what runs."""
