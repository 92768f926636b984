"""A job of a queue as the cluster shows it at one moment."""

from dataclasses import dataclass
from enum import StrEnum

from spotkube.queueing.checkpoints import NO_CHECKPOINTS, Saved
from spotkube.queueing.dividing import Divided
from spotkube.queueing.estimates import DEFAULT_SECONDS
from spotkube.queueing.jobclasses import JobClass
from spotkube.queueing.jobs import Job


class Phase(StrEnum):
    """Where a job is, as the cluster shows it. One that is LEAVING is suspended and still has pods."""

    WAITING = "Waiting"
    RUNNING = "Running"
    LEAVING = "Leaving"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True)
class Seen:
    """A job that names a queue. Of `job` its estimates are still to be filled in; `run_seconds` is how long it ran,
    `ended_seconds` when it ended (Unix time), `default_seconds` what is assumed where nothing else is known."""

    job: Job
    job_class: JobClass
    phase: Phase
    declared_seconds: float | None = None
    admitted_seconds: float | None = None
    run_seconds: float | None = None
    ended_seconds: float | None = None
    checkpoints: Saved = NO_CHECKPOINTS
    ready: bool = True
    default_seconds: float = DEFAULT_SECONDS
    divided: Divided | None = None
    """Of a divisible one that runs."""

    @property
    def width(self) -> int:
        """With how many pods it runs."""
        return self.job.parallelism if self.divided is None else self.divided.width

    @property
    def has_ended(self) -> bool:
        return self.phase is Phase.SUCCEEDED or self.phase is Phase.FAILED

    def ran_seconds(self, admitted_seconds: float) -> float | None:
        """How long it ran, if it was let go at that moment; None if nothing says when it ended."""
        if self.run_seconds is not None:
            return self.run_seconds
        return None if self.ended_seconds is None else max(0.0, self.ended_seconds - admitted_seconds)
