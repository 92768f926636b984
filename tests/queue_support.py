"""Builders of jobs and queues, and a small world in which what the queue decides is carried out at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from spotkube.model.resources import ResourceList
from spotkube.queueing.backlog import Backlog
from spotkube.queueing.budgets import Spent
from spotkube.queueing.capacity import Aggregate, Capacity
from spotkube.queueing.cycle import decide
from spotkube.queueing.decisions import Decisions, requeued, started
from spotkube.queueing.jobs import Job, PodSet, Running, Waiting
from spotkube.queueing.queues import Budget, Queue, Quota
from spotkube.queueing.quotas import Ledger
from spotkube.queueing.reasons import Reason
from spotkube.queueing.rules import Rules
from spotkube.queueing.scene import Scene

NOON = 1_800_014_400.0
"""2027-01-15 12:00 UTC."""
_numbers = itertools.count(1)


def make_job(cpu: int = 1, *, pods: int = 1, run: float = 600, uid: str = "", **more: Any) -> Job:
    """A job of `pods` pods with `cpu` cores each."""
    uid = uid or f"job-{next(_numbers):05d}"
    sets = (PodSet("main", pods, ResourceList({"cpu": 1000 * cpu})),)
    given = {"queue": "a", "tenant": "t", "name": f"Job ns/{uid}", **more}
    return Job(uid, pod_sets=sets, run_seconds=run, **given)


def make_queue(
    name: str = "a",
    cpu: int | None = 10,
    *,
    borrow: int | None = None,
    lend: int | None = None,
    budget: Budget | None = None,
    **more: Any,
) -> Queue:
    """A queue with a quota of `cpu` cores, or none; limits in cores, too."""
    quotas = {}
    if cpu is not None:
        quotas["cpu"] = Quota(1000 * cpu, _cores(borrow), _cores(lend))
    return Queue(name, quotas=quotas, budget=budget or Budget(), **more)


def _cores(count: int | None) -> int | None:
    return None if count is None else 1000 * count


def cluster(cpu: int) -> Aggregate:
    """A cluster with that many cores in all; `World` fills in what of it is used."""
    return Aggregate({"cpu": 1000 * cpu})


class World:
    """Queues with jobs. Keys are the order of submission unless given. Time only passes when told to."""

    def __init__(
        self,
        *queues: Queue,
        capacity: Capacity | None = None,
        rules: Rules | None = None,
        spent: Mapping[str, Spent] | None = None,
    ) -> None:
        self.queues = {queue.name: queue for queue in queues}
        self.capacity: Capacity = capacity or Aggregate()
        self.rules = rules or Rules()
        self.spent = spent or {}
        self.now = NOON
        self.backlog = Backlog(self.queues)
        self.running: dict[str, Running] = {}
        self.ledger = Ledger(self.queues)
        self.decided: list[Decisions] = []
        self._places = itertools.count(1)

    def submit(self, *jobs: Job, key: float | None = None) -> None:
        for job in jobs:
            self.backlog.put(Waiting(job, float(next(self._places)) if key is None else key))

    def scene(self) -> Scene:
        capacity = self.capacity
        if isinstance(capacity, Aggregate) and capacity.total is not None:
            used = {name: sum(r.amounts.get(name, 0) for r in self.running.values()) for name in capacity.total}
            capacity = replace(capacity, in_use=used)
        return Scene(self.now, self.queues, self.backlog, self.running, self.ledger, capacity, self.spent, self.rules)

    def cycle(self) -> Decisions:
        """Decides, and carries it out."""
        decisions = decide(self.scene())
        for ending in decisions.ended:
            one = self._leave(ending.uid)
            self.backlog.put(requeued(one, ending, self.now, self.rules))
        for admission in decisions.admitted:
            waiting = self.backlog.get(admission.uid)
            assert waiting is not None, f"{admission.uid} is admitted and does not wait"
            self.backlog.remove(admission.uid)
            one = self.running[admission.uid] = started(waiting, admission, self.now)
            self.ledger.add(one.job.queue, one.amounts)
        for reservation in decisions.reservations:
            waiting = self.backlog.get(reservation.uid)
            if waiting is not None and reservation.start_seconds is not None:
                self.backlog.put(waiting.promised(reservation.start_seconds))
        self.decided.append(decisions)
        return decisions

    def _leave(self, uid: str) -> Running:
        one = self.running.pop(uid)
        self.ledger.remove(one.job.queue, one.amounts)
        return one

    def finish(self, *uids: str) -> None:
        for uid in uids:
            self._leave(uid)

    def finish_due(self) -> None:
        """Ends what has run as long as was estimated."""
        self.finish(*[uid for uid, one in self.running.items() if _due(one) <= self.now])

    def next_end(self) -> float | None:
        return min((_due(one) for one in self.running.values()), default=None)

    def settle(self, most: int = 200) -> int:
        """Cycles until nothing changes; how many changed something."""
        for count in range(most):
            decisions = self.cycle()
            if not decisions.admitted and not decisions.ended:
                return count
        raise AssertionError(f"no rest after {most} cycles")

    def play(self, until: float) -> dict[str, float]:
        """Runs everything as estimated; when each job was last started."""
        starts: dict[str, float] = {}
        while True:
            for admission in self.cycle().admitted:
                starts[admission.uid] = self.now
            following = self.next_end()
            if following is None or following > until:
                return starts
            self.now = following
            self.finish_due()

    def why(self, uid: str) -> Reason:
        """Why it waits, by the last decisions."""
        waiting = self.backlog.get(uid)
        assert waiting is not None, f"{uid} does not wait"
        reason = self.decided[-1].reason(waiting)
        assert reason is not None, f"{uid} waits without a reason"
        return reason

    def cores(self, queue: str) -> float:
        """Cores that the queue uses."""
        return sum(one.amounts.get("cpu", 0) for one in self.running.values() if one.job.queue == queue) / 1000


def _due(one: Running) -> float:
    return one.admitted_seconds + one.job.run_seconds_at(one.width)


def uids(things: Iterable[Any]) -> list[str]:
    return [thing.uid for thing in things]
