"""The queue's memory: who waits since when and in which order, who runs, how long runs take, what was promised.

It follows the cluster: `meet` takes what is seen there and brings the virtual clock up to date, `scene` is what a cycle
decides by, `note` keeps what was decided. All of it can be written down and read again (`state`), so that neither a
restart nor a tenant changes the order.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from spotkube.model.resources import PODS
from spotkube.queueing.backlog import Backlog
from spotkube.queueing.budgets import Spent
from spotkube.queueing.capacity import Capacity
from spotkube.queueing.clock import VirtualClock
from spotkube.queueing.decisions import Decisions, Ending, requeued
from spotkube.queueing.estimates import Estimate, Source, estimate
from spotkube.queueing.history import ClassRuns, History
from spotkube.queueing.jobclasses import JobClass
from spotkube.queueing.jobs import USD_HOUR, Amounts, Job, Running, Waiting
from spotkube.queueing.outcomes import Outcomes
from spotkube.queueing.queues import Queue
from spotkube.queueing.quotas import Ledger
from spotkube.queueing.rules import DEFAULTS, Rules
from spotkube.queueing.scene import Scene


class Phase(StrEnum):
    """Where a job is, as the cluster shows it. One that is LEAVING is suspended and still has pods."""

    WAITING = "Waiting"
    RUNNING = "Running"
    LEAVING = "Leaving"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True)
class Seen:
    """A job that names a queue. Of `job` its estimates are still to be filled in; `run_seconds` is how long it ran."""

    job: Job
    job_class: JobClass
    phase: Phase
    declared_seconds: float | None = None
    admitted_seconds: float | None = None
    run_seconds: float | None = None
    ready: bool = True

    @property
    def has_ended(self) -> bool:
        return self.phase in (Phase.SUCCEEDED, Phase.FAILED)


@dataclass
class _Record:
    """What is fixed at submission, and what was decided since."""

    path: tuple[str, str]
    size: float
    estimate: Estimate
    submitted: float
    amounts: dict[str, int]
    runs: bool = False
    admitted_seconds: float = 0.0
    nominal: bool = True
    after: tuple[str, ...] = ()
    promised_seconds: float | None = None
    preemptors: tuple[str, ...] = ()
    retries: int = 0
    backoff_until_seconds: float = 0.0


@dataclass
class Book:
    """Owned by whoever leads. `rules` are those of the cycles."""

    clock: VirtualClock = field(default_factory=lambda: VirtualClock(levels=2))
    history: History = field(default_factory=History)
    rules: Rules = DEFAULTS
    outcomes: Outcomes = field(default_factory=Outcomes)
    _records: dict[str, _Record] = field(default_factory=dict)
    _seen: dict[str, Seen] = field(default_factory=dict)
    _weights: dict[tuple[str, ...], float] = field(default_factory=dict)
    _made: dict[str, tuple[Seen, Job]] = field(default_factory=dict)
    """What `_job` gave last, and of what: to make all of them anew would be most of a cycle."""

    def meet(self, now: float, queues: Mapping[str, Queue], seen: Iterable[Seen], totals: Amounts) -> None:
        """What the cluster shows at this moment (Unix time). `totals` is what a share is a share of.

        The clock goes on at the pace of what is in use: with more, its ideal would be ahead of the cluster
        (docs/queueing.md).
        """
        self.clock.advance(now, self.clock.capacity)
        self._weigh(queues)
        self._seen = {one.job.uid: one for one in seen}
        for uid in [uid for uid in self._records if self._is_over(uid)]:
            self._close(uid, now)
        there = (one for one in self._seen.values() if not one.has_ended)
        for one in sorted(there, key=lambda one: (one.job.submitted_seconds, one.job.uid)):
            self._follow(one.job.uid, one, now, totals)
        self.clock.advance(now, sum(record.size / _run(record) for record in self._records.values() if record.runs))

    def scene(self, now: float, queues: Mapping[str, Queue], capacity: Capacity, spent: Mapping[str, Spent]) -> Scene:
        """All that a cycle looks at. Whose victims are still leaving has its place already, in their stead."""
        left_for = {uid for record in self._records.values() for uid in record.after}
        ranks = {uid: (float(rank),) for rank, uid in enumerate(self.clock.in_order())}
        waiting, running = [], {}
        for uid, record in self._records.items():
            job = self._job(uid, record)
            if record.runs or record.after:
                if uid not in left_for:
                    running[uid] = self._running(uid, job, record, now)
            elif uid in ranks:
                key, until = ranks[uid], record.backoff_until_seconds
                waiting.append(Waiting(job, key, key, until, record.promised_seconds))
        ledger = Ledger.of(queues, (one for one in running.values() if one.job.queue in queues))
        known = {uid: one for uid, one in running.items() if one.job.queue in queues}
        backlog, errors = Backlog(queues, waiting), self.outcomes.errors
        return Scene(now, queues, backlog, known, ledger, capacity, spent, self.rules, self.clock, errors)

    def note(self, decisions: Decisions, scene: Scene) -> None:
        """Keeps what was decided. Who waits for victims to leave is `due` when they have."""
        for ending in decisions.ended:
            self._note_ending(ending, scene)
        for admission in decisions.admitted:
            record = self._records[admission.uid]
            record.nominal, record.after = admission.nominal, admission.after
            record.admitted_seconds = scene.now_seconds
        for reservation in decisions.reservations:
            record = self._records[reservation.uid]
            if record.promised_seconds is None:
                record.promised_seconds = reservation.start_seconds

    def admitted(self) -> list[Amounts]:
        """What all take that run, or were admitted and wait for others to leave: then in these others' stead."""
        left_for = {uid for record in self._records.values() for uid in record.after}
        return [
            self._seen[uid].job.full
            for uid, record in self._records.items()
            if (record.runs or record.after) and uid not in left_for and uid in self._seen
        ]

    def due(self) -> tuple[str, ...]:
        """Jobs that were admitted once others had left, which they have."""
        found = []
        for uid, record in self._records.items():
            if record.after and not any(self._is_there(victim) for victim in record.after):
                found.append(uid)
        for uid in found:
            self._records[uid].after = ()
        return tuple(found)

    def estimate_of(self, uid: str) -> Estimate | None:
        """What its run is taken to be, since it was submitted."""
        return self._records[uid].estimate if uid in self._records else None

    @property
    def gist(self) -> Hashable:
        """Equal as long as nothing was submitted, decided or ended; time alone changes it not."""
        return frozenset(
            (uid, r.path, r.runs, r.after, r.promised_seconds, r.retries) for uid, r in self._records.items()
        )

    def state(self) -> dict[str, Any]:
        """All of it as plain numbers and names, for JSON."""
        return {
            "clock": self.clock.state(),
            "weights": [[list(path), weight] for path, weight in self._weights.items()],
            "outcomes": self.outcomes.state(),
            "records": {uid: _written(record) for uid, record in self._records.items()},
            "history": {
                tenant: {key: [runs.run_seconds, runs.ratios, runs.last_seconds] for key, runs in classes.items()}
                for tenant, classes in self.history.tenants.items()
            },
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "Book":
        """A book that goes on where the one that gave the state was. Raises KeyError, TypeError, ValueError."""
        history = {
            tenant: {key: ClassRuns(tuple(r), tuple(q), last) for key, (r, q, last) in classes.items()}
            for tenant, classes in state["history"].items()
        }
        return cls(
            clock=VirtualClock.restored(state["clock"], levels=2),
            history=History(history),
            outcomes=Outcomes.restored(state["outcomes"]) if "outcomes" in state else Outcomes(),
            _records={uid: _read(told) for uid, told in state["records"].items()},
            _weights={tuple(path): weight for path, weight in state["weights"]},
        )

    def _weigh(self, queues: Mapping[str, Queue]) -> None:
        weights: dict[tuple[str, ...], float] = {(name,): queue.weight for name, queue in queues.items()}
        for name, queue in queues.items():
            weights |= {(name, tenant): weight for tenant, weight in queue.tenant_weights.items()}
        for path in self._weights.keys() | weights.keys():
            weight = weights.get(path, 1.0)
            if self._weights.get(path, 1.0) != weight:
                self.clock.weigh(path, weight)
        self._weights = weights

    def _is_over(self, uid: str) -> bool:
        one = self._seen.get(uid)
        return one is None or one.has_ended or self._records[uid].path != (one.job.queue, one.job.tenant)

    def _is_there(self, uid: str) -> bool:
        one = self._seen.get(uid)
        return one is not None and one.phase in (Phase.RUNNING, Phase.LEAVING)

    def _close(self, uid: str, now: float) -> None:
        """It has ended, was deleted, or went to another queue. Only runs that ended well say how long runs take."""
        record, one = self._records.pop(uid), self._seen.get(uid)
        self._made.pop(uid, None)
        if not record.runs and one is not None and one.admitted_seconds is not None:  # it ran between two looks
            self.clock.dispatch(uid)
            record.runs, record.admitted_seconds = True, one.admitted_seconds
            self.outcomes.started(uid, record.admitted_seconds)
        if not record.runs:
            self.clock.withdraw(uid)
            self.outcomes.forget(uid)
            return
        ran = one.run_seconds if one is not None and one.run_seconds is not None else now - record.admitted_seconds
        self.clock.finish(uid, record.size * max(0.0, ran) / _run(record))
        if one is not None and one.phase is Phase.SUCCEEDED:
            self.history = self.history.with_run(one.job_class, ran, record.estimate.seconds, now)

    def _follow(self, uid: str, one: Seen, now: float, totals: Amounts) -> None:
        record = self._records.get(uid) or self._submitted(uid, one, totals)
        if not record.runs and one.phase is Phase.WAITING and _has_grown(record, one.job):
            # What it asks for now was not what its place was given for.
            self._close(uid, now)
            record = self._submitted(uid, one, totals)
        runs = one.phase in (Phase.RUNNING, Phase.LEAVING)
        if runs and not record.runs:
            self.clock.dispatch(uid)
            record.runs, record.after, record.promised_seconds = True, (), None
            record.admitted_seconds = one.admitted_seconds if one.admitted_seconds is not None else now
            self.outcomes.started(uid, record.admitted_seconds)
        elif record.runs and not runs:
            self.clock.requeue(uid)
            record.runs = False
        elif record.runs:
            self._charge_if_late(uid, record, now)

    def _submitted(self, uid: str, one: Seen, totals: Amounts) -> _Record:
        job = one.job
        told = estimate(one.job_class, self.history, one.declared_seconds)
        size = dominant_share(job.full, totals) * told.seconds
        amounts = {name: amount for name, amount in job.full.items() if name != USD_HOUR}
        record = _Record((job.queue, job.tenant), size, told, job.submitted_seconds, amounts)
        self.clock.submit(uid, record.path, size, job.submitted_seconds)
        self._records[uid] = record
        return record

    def _charge_if_late(self, uid: str, record: _Record, now: float) -> None:
        """What a late job takes beyond its estimate is its tenant's to pay, as soon as it is seen."""
        run, elapsed = _run(record), now - record.admitted_seconds
        if elapsed > run:
            self.clock.correct(uid, record.size * elapsed / run)

    def _job(self, uid: str, record: _Record) -> Job:
        seen, (of, made) = self._seen[uid], self._made.get(uid, (None, None))
        if made is None or of is not seen or (made.preemptors, made.retries) != (record.preemptors, record.retries):
            made = self._filled(seen.job, record)
            self._made[uid] = seen, made
        return made

    @staticmethod
    def _filled(job: Job, record: _Record) -> Job:
        return replace(
            job,
            run_seconds=record.estimate.seconds,
            error_ratio=max(1.0, record.estimate.assumed_error_ratio),
            preemptors=record.preemptors,
            retries=record.retries,
        )

    def _running(self, uid: str, job: Job, record: _Record, now: float) -> Running:
        one = self._seen[uid]
        key = (record.admitted_seconds - 1e12,)  # before all that wait
        leaving = one.phase is Phase.LEAVING
        ready = one.ready or leaving
        return Running(
            job, record.admitted_seconds or now, job.parallelism, record.nominal or leaving, None, ready, key, key
        )

    def _note_ending(self, ending: Ending, scene: Scene) -> None:
        running = scene.running.get(ending.uid)
        if running is None or self._seen[ending.uid].phase is Phase.LEAVING:
            return
        waits = requeued(running, ending, scene.now_seconds, self.rules)
        record = self._records[ending.uid]
        record.preemptors, record.retries = waits.job.preemptors, waits.job.retries
        record.backoff_until_seconds = waits.backoff_until_seconds
        record.after = ()  # what was promised to it is another's now


def dominant_share(amounts: Amounts, totals: Amounts) -> float:
    """The largest part that it is of any resource; of what no total is known, or nothing but pods, it is none."""
    shares = [amount / totals[name] for name, amount in amounts.items() if totals.get(name) and name not in _UNSHARED]
    return max(shares, default=0.0)


_UNSHARED = (PODS, USD_HOUR)


def _has_grown(record: _Record, job: Job) -> bool:
    return any(amount > record.amounts.get(name, 0) for name, amount in job.full.items() if name != USD_HOUR)


def _run(record: _Record) -> float:
    return max(1e-3, record.estimate.seconds)


def _written(record: _Record) -> dict[str, Any]:
    told = record.estimate
    return {
        **{name: value for name, value in vars(record).items() if name != "estimate"},
        "estimate": [told.seconds, told.source.value, told.runs, told.error_ratio, told.words],
    }


def _read(told: Mapping[str, Any]) -> _Record:
    seconds, source, runs, error, words = told["estimate"]
    record = _Record(**{**told, "estimate": Estimate(seconds, Source(source), runs, error, words)})
    record.path = (told["path"][0], told["path"][1])
    record.after, record.preemptors = tuple(record.after), tuple(record.preemptors)
    return record
