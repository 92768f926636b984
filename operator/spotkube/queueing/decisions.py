"""What a cycle decides: who is admitted, who is ended for it, what is reserved, and why the others wait."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

from spotkube.queueing import reasons
from spotkube.queueing.backlog import LineKey
from spotkube.queueing.jobs import Running, Waiting
from spotkube.queueing.reasons import Reason
from spotkube.queueing.room import Level
from spotkube.queueing.rules import Rules


class Cause(StrEnum):
    """Why a job that runs is ended."""

    RECLAIMED = "Reclaimed"
    """It ran on borrowed quota, which its owner needs."""
    PRIORITY = "Priority"
    """For one of higher priority in its queue."""
    NOT_READY = "NotReady"
    """Its gang was not ready in time."""
    DRAINED = "Drained"
    """Its queue is stopped with HoldAndDrain."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The job runs with `width` of its pods. Its place is its own from now on, but it is let go only when the jobs in
    `after` (UIDs) have left."""

    uid: str
    width: int
    nominal: bool
    """Within its queue's own quota."""
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """The job is ended and waits again, at its old place."""

    uid: str
    cause: Cause
    by: str = ""
    """UID of the job that it is preempted for."""
    loss_usd: float = 0.0
    """What is destroyed."""
    gain_usd: float = 0.0
    """What all victims of the same job are ended for."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room on one level that others may not use up."""

    uid: str
    name: str
    level: Level
    start_seconds: float | None
    """As far as estimates go; None if nothing that runs leads to it."""
    borrows: bool
    """It binds nobody in other queues who stays within his own quota."""
    strict: bool
    """Nobody may pass, whatever the estimates."""


@dataclass(frozen=True)
class Decisions:
    """Admissions are in order. `ended` are to be carried out first."""

    now_seconds: float
    admitted: tuple[Admission, ...] = ()
    ended: tuple[Ending, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    lines: Mapping[LineKey, Reason] = field(default_factory=dict)
    """Why the rest of a queue's jobs of one shape waits."""
    queues: Mapping[str, Reason | None] = field(default_factory=dict)
    """Why nothing of a queue is admitted, if that is so."""

    @cached_property
    def _admitted_uids(self) -> frozenset[str]:
        return frozenset(one.uid for one in self.admitted)

    def reason(self, waiting: Waiting) -> Reason | None:
        """Why this one waits; None if it doesn't any more."""
        job = waiting.job
        if job.queue not in self.queues:
            return reasons.unknown(job.queue)
        if job.uid in self._admitted_uids:
            return None
        own = self.queues[job.queue] or own_reason(waiting, self.now_seconds)
        return own or self.lines.get((job.queue, job.shape))


def own_reason(waiting: Waiting, now_seconds: float) -> Reason | None:
    """What keeps this job back whatever room there is."""
    job = waiting.job
    if job.missing_pods > 0:
        return reasons.gang_incomplete(job.parallelism - job.missing_pods, job.parallelism)
    if waiting.backoff_until_seconds > now_seconds:
        return reasons.backoff(waiting.backoff_until_seconds)
    return None


def started(waiting: Waiting, admission: Admission, now_seconds: float) -> Running:
    """The job once it is admitted. A gang is not ready yet."""
    job = waiting.job
    return Running(
        job,
        now_seconds,
        admission.width,
        admission.nominal,
        ready=not job.gang,
        key=waiting.key,
    )


def requeued(running: Running, ending: Ending, now_seconds: float, rules: Rules) -> Waiting:
    """The job once it is ended: at its old place, after a pause that doubles each time. Draining costs no pause."""
    job, pause = running.job, 0.0
    if ending.by:
        job = replace(job, preemptors=(*job.preemptors, ending.by))
        pause = rules.backoff(len(job.preemptors))
    elif ending.cause is Cause.NOT_READY:
        job = replace(job, retries=job.retries + 1)
        pause = rules.backoff(job.retries)
    return Waiting(job, running.key, backoff_until_seconds=now_seconds + pause)
