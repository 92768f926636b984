"""What a cycle is told of a job: what the cluster shows of it, with what the queue remembers."""

from dataclasses import replace

from spotkube.queueing.jobs import Division, Job, Running
from spotkube.queueing.records import Record
from spotkube.queueing.seen import Phase, Seen


def known_job(job: Job, record: Record) -> Job:
    """With its estimate, and what became of it so far."""
    return replace(
        job,
        run_seconds=record.estimate.seconds,
        error_ratio=max(1.0, record.estimate.assumed_error_ratio),
        preemptors=record.preemptors,
        retries=record.retries,
    )


def running(job: Job, one: Seen, record: Record, turn: float, now: float) -> Running:
    """`turn` is the place in the order at which it asks for more, if it can be divided."""
    division, key = None, record.admitted_seconds - 1e12  # before all that wait
    leaving = one.phase is Phase.LEAVING or record.leaving
    ready, nominal = record.was_ready or leaving, record.nominal or leaving
    if one.divided is not None and not leaving:
        key, pod_seconds = turn, job.run_seconds / one.divided.waves
        division = Division(one.divided.unfinished, pod_seconds, record.progress.at(now))
    since = record.admitted_seconds or now
    saved = one.checkpoints.saved_at(since, now)
    return Running(job, since, width(one, record), nominal, saved, ready, key, division)


def width(one: Seen, record: Record) -> int:
    """With how many pods it runs, or was admitted."""
    return one.width if record.runs or record.width is None else min(record.width, one.width)
