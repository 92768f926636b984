"""What is played, and what comes out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """`width` is how many units of capacity it takes, for `run_time` seconds; `told` is the size that it says to have,
    in units times seconds, which may be wrong; None if it says nothing."""

    id: str
    tenant: str
    submit: float
    width: float
    run_time: float
    told: float | None = None
    weight: float = 1.0

    @property
    def size(self) -> float:
        """What it takes in truth."""
        return self.width * self.run_time


@dataclass(frozen=True, slots=True)
class Trace:
    """Jobs in the order in which they come. None is wider than the capacity, in units."""

    capacity: float
    jobs: tuple[Job, ...]
    notes: tuple[str, ...] = ()
    """What was left out, in words."""
    told_sizes: bool = False
    """Whether the sizes that jobs say to have are meant to be gone by, unless somebody asks for others."""


@dataclass(frozen=True, slots=True)
class Run:
    """When a job began and ended, in seconds. `deadline` is in virtual time; None where the policy knows none."""

    job: Job
    start: float
    end: float
    deadline: float | None = None

    @property
    def response(self) -> float:
        return self.end - self.job.submit
