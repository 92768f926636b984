"""A Workload of several roles: its Jobs taken as one, which has failed as soon as one of them has."""

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
    shown, failed = [*waiting, *active, *sources][0], failed_of(sources)
    wanted, succeeded = sum(job.running_wanted for job in jobs), sum(job.succeeded for job in jobs)
    goes_on = still_to_end(sources) if failed is not None else active
    return replace(
        shown,
        replicas=sum(source.replicas for source in sources),
        job=JobFacts(
            parallelism=wanted,
            completions=succeeded + wanted,
            succeeded=succeeded,
            active=sum(job.active for job in jobs),
            suspended=bool(active) and len(waiting) == len(active),
            end=None if goes_on else _end(jobs),
        ),
        message=_words(failed) if failed else next((source.message for source in sources if source.message), ""),
    )


def failed_of(sources: Iterable[Source]) -> Source | None:
    """The first that failed for good: whoever waits for its answer would wait for ever."""
    return next((source for source in sources if source.job is not None and source.job.end is JobEnd.FAILED), None)


def still_to_end(sources: Iterable[Source]) -> list[Source]:
    """Of roles of which one has failed, those that run or may still be let go by their queue."""
    return [source for source in sources if source.job is not None and source.job.end is None and _may_run(source.job)]


def failure(sources: Iterable[Source]) -> Problem | None:
    """Tells of a role that failed."""
    failed = failed_of(sources)
    return None if failed is None else Problem("RoleFailed", _words(failed), holds_pods=False)


def _may_run(job: JobFacts) -> bool:
    return not job.suspended or (job.queued is not None and job.queued.held)


def _words(failed: Source) -> str:
    role = failed.name.removeprefix(f"{failed.workload}-")
    return f"role {role} has failed, so the others are ended: {failed.key[1]}: {failed.message or 'see its events'}"


def _end(jobs: Iterable[JobFacts]) -> JobEnd:
    return JobEnd.COMPLETE if all(job.end is JobEnd.COMPLETE for job in jobs) else JobEnd.FAILED
