"""First come, first served."""

from collections.abc import Iterator

from spotkube.simulation.jobs import Job


class Fifo:
    def __init__(self) -> None:
        self._waiting: dict[str, Job] = {}

    def submit(self, job: Job, size: float, now: float) -> None:
        self._waiting[job.id] = job

    def waiting(self, now: float) -> Iterator[Job]:
        return iter(self._waiting.values())

    def begin(self, job: Job, now: float) -> float | None:
        del self._waiting[job.id]
        return None

    def correct(self, job: Job, size: float, now: float) -> None:
        """Sizes don't matter."""

    def end(self, job: Job, now: float) -> None:
        """Nor does what runs."""
