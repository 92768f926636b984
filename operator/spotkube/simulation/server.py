"""A cluster in virtual time that runs whole jobs, none of which is interrupted.

Jobs are let in in the policy's order. If the first does not fit, the moment at which it will is reserved for it, and
others pass that don't move it (EASY backfilling: Lifka 1995), up to a depth. All policies have the same.
"""

import heapq
from bisect import bisect_left, insort
from dataclasses import dataclass

from spotkube.simulation.estimates import Estimator
from spotkube.simulation.jobs import Job, Run, Trace
from spotkube.simulation.policies.policy import Policy

DEPTH = 100
"""How many waiting jobs are looked at behind one that does not fit."""
LEAST_SECONDS = 1e-3
"""No job is taken for shorter."""
_END, _OVERRUN = 0, 1


@dataclass(frozen=True, slots=True)
class _Reservation:
    """At `at` the first who waits has room, and so many units `spare`."""

    at: float
    spare: float

    def allows(self, width: float, expected_end: float) -> bool:
        return expected_end <= self.at or width <= self.spare


class Server:
    def __init__(self, trace: Trace, policy: Policy, estimator: Estimator) -> None:
        self._trace, self._policy, self._estimator = trace, policy, estimator
        self._slack = 1e-9 * trace.capacity
        self._free = trace.capacity
        self._taken_for: dict[str, float] = {}
        self._begun: dict[str, tuple[Job, float, float | None]] = {}
        # When each that runs is expected to end, with what it frees then; and the same by name.
        self._expected: list[tuple[float, str, float]] = []
        self._expected_end: dict[str, float] = {}
        self._events: list[tuple[float, int, str]] = []
        self._runs: list[Run] = []

    def play(self) -> list[Run]:
        """All runs, in the order in which they end."""
        coming = 0
        jobs = self._trace.jobs
        while coming < len(jobs) or self._events:
            now = min([event[0] for event in self._events[:1]] + [job.submit for job in jobs[coming : coming + 1]])
            while self._events and self._events[0][0] <= now:
                self._happen(now)
            while coming < len(jobs) and jobs[coming].submit <= now:
                self._submit(jobs[coming], now)
                coming += 1
            self._let_in(now)
        return self._runs

    def _submit(self, job: Job, now: float) -> None:
        self._taken_for[job.id] = max(self._estimator.size(job), LEAST_SECONDS * job.width)
        self._policy.submit(job, self._taken_for[job.id], now)

    def _happen(self, now: float) -> None:
        _, kind, name = heapq.heappop(self._events)
        if name not in self._begun:
            return
        job, start, deadline = self._begun[name]
        if kind == _OVERRUN:
            self._double(job, start, now)
            return
        del self._begun[name]
        self._forget_expected(job)
        del self._taken_for[name]
        self._free += job.width
        self._policy.end(job, now)
        self._estimator.ended(job)
        self._runs.append(Run(job, start, now, deadline))

    def _double(self, job: Job, start: float, now: float) -> None:
        """It ran as long as it was taken for, so it is taken for twice as long."""
        self._forget_expected(job)
        self._taken_for[job.id] *= 2
        self._policy.correct(job, self._taken_for[job.id], now)
        self._expect(job, start)

    def _let_in(self, now: float) -> None:
        order, reservation, passed = self._policy.waiting(now), None, 0
        while self._free > self._slack and passed <= DEPTH and (job := next(order, None)) is not None:
            fits = job.width <= self._free + self._slack
            expected_end = now + self._expected_seconds(job)
            if fits and (reservation is None or reservation.allows(job.width, expected_end)):
                self._begin(job, now)
                order, reservation, passed = self._policy.waiting(now), None, 0
                continue
            passed += 1
            if reservation is None:
                reservation = self._reserve(job, now)

    def _begin(self, job: Job, now: float) -> None:
        self._free -= job.width
        self._begun[job.id] = job, now, self._policy.begin(job, now)
        heapq.heappush(self._events, (now + job.run_time, _END, job.id))
        self._expect(job, now)

    def _expected_seconds(self, job: Job) -> float:
        return self._taken_for[job.id] / job.width

    def _expect(self, job: Job, start: float) -> None:
        end = self._expected_end[job.id] = start + self._expected_seconds(job)
        insort(self._expected, (end, job.id, job.width))
        if end < start + job.run_time:
            heapq.heappush(self._events, (end, _OVERRUN, job.id))

    def _forget_expected(self, job: Job) -> None:
        item = (self._expected_end.pop(job.id), job.id, job.width)
        del self._expected[bisect_left(self._expected, item)]

    def _reserve(self, job: Job, now: float) -> _Reservation:
        free = self._free
        for at, _, width in self._expected:
            free += width
            if free + self._slack >= job.width:
                return _Reservation(max(at, now), free - job.width)
        raise AssertionError(f"{job.id} is wider than the cluster, which no trace has")
