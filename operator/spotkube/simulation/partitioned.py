"""A cluster in virtual time whose jobs are divisible into pods: runtime partitioning (arXiv 2510.15485, section 4).

Each unit of capacity that comes free goes to the first job in the order that can use one more, for a pod of at most the
advisory run time. So a job grows to its full width when nobody is before it, and shrinks as its pods end when somebody
comes who is: nobody is interrupted, and who comes waits for pods and not for jobs. A job keeps its turn in the
virtual clock until its last pod has begun; a shorter one of its tenant may pass it until then.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from spotkube.queueing.clock import VirtualClock
from spotkube.simulation.estimates import Estimator
from spotkube.simulation.jobs import Job, Run, Trace


@dataclass(slots=True)
class _Divided:
    job: Job
    left: float
    """Work that no pod was begun for, in units times seconds."""
    width: float = 0.0
    start: float | None = None
    deadline: float | None = None

    @property
    def wanted(self) -> float:
        """How many units more it could use."""
        return self.job.width - self.width


class PartitionedServer:
    """`advisory_seconds` is how long a pod runs at most."""

    def __init__(self, trace: Trace, estimator: Estimator, advisory_seconds: float) -> None:
        self._trace, self._estimator, self._advisory = trace, estimator, advisory_seconds
        self._slack = 1e-9 * trace.capacity
        self._free = trace.capacity
        self._clock = VirtualClock()
        self._divided: dict[str, _Divided] = {}
        # Those that have pods left and are not at their full width.
        self._growing: dict[str, _Divided] = {}
        self._pods: list[tuple[float, str, float]] = []
        self._runs: list[Run] = []

    def play(self) -> list[Run]:
        """All runs, in the order in which they end."""
        jobs, coming = self._trace.jobs, 0
        while coming < len(jobs) or self._pods:
            moments = [self._pods[0][0]] if self._pods else []
            now = min(moments + [job.submit for job in jobs[coming : coming + 1]])
            self._clock.advance(now, 0.0)
            while self._pods and self._pods[0][0] <= now:
                self._end_pods(now)
            while coming < len(jobs) and jobs[coming].submit <= now:
                self._submit(jobs[coming])
                coming += 1
            self._begin_pods(now)
            # What is idle, the reference must not use either.
            self._clock.advance(now, self._trace.capacity - self._free)
        return self._runs

    def _submit(self, job: Job) -> None:
        self._clock.weigh((job.tenant,), job.weight)
        self._clock.submit(job.id, (job.tenant,), self._estimator.size(job), job.submit)
        self._divided[job.id] = self._growing[job.id] = _Divided(job, job.size)

    def _end_pods(self, now: float) -> None:
        _, name, width = heapq.heappop(self._pods)
        divided = self._divided[name]
        self._free += width
        divided.width -= width
        if divided.left > 0:
            self._growing[name] = divided
        if divided.left <= 0 and divided.width <= self._slack and divided.start is not None:
            self._clock.finish(name, divided.job.size)
            self._estimator.ended(divided.job)
            self._runs.append(Run(divided.job, divided.start, now, divided.deadline))
            del self._divided[name]

    def _begin_pods(self, now: float) -> None:
        all_begun = []
        for divided in self._next_to_grow():
            self._begin(divided, min(self._free, divided.wanted), now)
            if divided.left <= 0:
                all_begun.append(divided)
        for divided in all_begun:
            self._growing.pop(divided.job.id, None)
            divided.deadline = self._clock.dispatch(divided.job.id)

    def _next_to_grow(self) -> Iterator[_Divided]:
        """Those that could use one more unit, while there is one; in order, unless there is enough for all."""
        if sum(divided.wanted for divided in self._growing.values()) <= self._free + self._slack:
            yield from list(self._growing.values())
            return
        for name in self._clock.in_order():
            if self._free <= self._slack:
                return
            if name in self._growing:
                yield self._growing[name]

    def _begin(self, divided: _Divided, width: float, now: float) -> None:
        seconds = min(self._advisory, divided.left / width)
        divided.left = divided.left - seconds * width if seconds == self._advisory else 0.0
        divided.width += width
        if divided.start is None:
            divided.start = now
        if divided.wanted <= self._slack:
            self._growing.pop(divided.job.id, None)
        self._free -= width
        heapq.heappush(self._pods, (now + seconds, divided.job.id, width))
