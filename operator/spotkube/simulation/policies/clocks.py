"""Orders by the virtual clock: that of tenants, which is ours, and one in which each job shares for itself."""

from collections.abc import Callable, Iterator

from spotkube.queueing.clock import VirtualClock
from spotkube.simulation.jobs import Job


class ByClock:
    """`flow` names who shares: a job's tenant, or the job itself.

    The clock is told the units in use as capacity: what narrow jobs and gaps leave idle, the reference must not use
    either, or it would be done with all while they wait, and who comes first would be first.
    """

    def __init__(self, flow: Callable[[Job], str]) -> None:
        self._used = 0.0
        self._flow = flow
        self._clock = VirtualClock()
        self._jobs: dict[str, Job] = {}

    def submit(self, job: Job, size: float, now: float) -> None:
        self._clock.advance(now, self._used)
        self._clock.weigh((self._flow(job),), job.weight)
        self._clock.submit(job.id, (self._flow(job),), size, job.submit)
        self._jobs[job.id] = job

    def waiting(self, now: float) -> Iterator[Job]:
        self._clock.advance(now, self._used)
        return (self._jobs[job] for job in self._clock.in_order())

    def begin(self, job: Job, now: float) -> float | None:
        self._clock.advance(now, self._used)
        deadline = self._clock.dispatch(job.id)
        self._use(job.width, now)
        return deadline

    def correct(self, job: Job, size: float, now: float) -> None:
        self._clock.advance(now, self._used)
        self._clock.correct(job.id, size)

    def end(self, job: Job, now: float) -> None:
        self._clock.advance(now, self._used)
        self._clock.finish(job.id, job.size)
        self._use(-job.width, now)
        del self._jobs[job.id]

    def _use(self, width: float, now: float) -> None:
        self._used = max(0.0, self._used + width)
        self._clock.advance(now, self._used)
