"""A Workload of several roles: its Jobs taken as one."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from spotkube.controllers.workloads.status import Problem
from spotkube.convert.workloads import JobEnd, JobFacts, Source


def combined(sources: Sequence[Source]) -> Source:
    """One Source that counts for all of them, each of which is a Job. It has the name, and the place in the queue, of
    the first that waits, else of the first that has not ended."""
    jobs = [source.job for source in sources if source.job is not None]
    active = [source for source in sources if source.job is not None and source.job.end is None]
    waiting = [source for source in active if source.job is not None and source.job.suspended]
    shown = [*waiting, *active, *sources][0]
    wanted, succeeded = sum(job.running_wanted for job in jobs), sum(job.succeeded for job in jobs)
    return replace(
        shown,
        replicas=sum(source.replicas for source in sources),
        job=JobFacts(
            parallelism=wanted,
            completions=succeeded + wanted,
            succeeded=succeeded,
            active=sum(job.active for job in jobs),
            suspended=bool(active) and len(waiting) == len(active),
            end=None if active else _end(jobs),
        ),
        message=next((source.message for source in sources if source.message), ""),
    )


def failure(sources: Iterable[Source]) -> Problem | None:
    """Tells of a role that failed while others still run: nobody may ever answer them."""
    for source in sources:
        if source.job is not None and source.job.end is JobEnd.FAILED:
            message = f"{source.key[1]} has failed: {source.message or 'see its events'}"
            return Problem("RoleFailed", message, holds_pods=False)
    return None


def _end(jobs: Iterable[JobFacts]) -> JobEnd:
    return JobEnd.COMPLETE if all(job.end is JobEnd.COMPLETE for job in jobs) else JobEnd.FAILED
