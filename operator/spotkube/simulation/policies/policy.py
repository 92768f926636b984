"""What the simulated cluster asks a policy."""

from collections.abc import Iterator
from typing import Protocol

from spotkube.simulation.jobs import Job


class Policy(Protocol):
    """Times are in seconds and never run backwards. Sizes are those that jobs are taken for, in units times seconds."""

    def submit(self, job: Job, size: float, now: float) -> None: ...

    def waiting(self, now: float) -> Iterator[Job]:
        """Those who wait, who comes first being first. Nothing else is called while it is gone through."""

    def begin(self, job: Job, now: float) -> float | None:
        """It starts, in its turn or not; its virtual deadline, if there is such a thing."""

    def correct(self, job: Job, size: float, now: float) -> None:
        """It runs and turns out to be of another size."""

    def end(self, job: Job, now: float) -> None: ...
