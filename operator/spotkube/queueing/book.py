"""The queue's memory: who waits since when and in which order, who runs, how long runs take, what was promised.

It follows the cluster: `meet` takes what is seen there and brings the virtual clock up to date, `scene` is what a cycle
decides by, `note` keeps what was decided. All of it can be written down and read again (`state`), so that neither a
restart nor a tenant changes the order.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from spotkube.queueing import casting, paying
from spotkube.queueing.budgets import Spent
from spotkube.queueing.capacity import Capacity
from spotkube.queueing.clock import VirtualClock
from spotkube.queueing.decisions import Decisions, Ending, requeued
from spotkube.queueing.dividing import Progress
from spotkube.queueing.estimates import Estimate, estimate
from spotkube.queueing.history import History
from spotkube.queueing.jobs import Amounts, Job, Running, Waiting
from spotkube.queueing.lineup import Lineup
from spotkube.queueing.outcomes import Outcomes
from spotkube.queueing.queues import Queue
from spotkube.queueing.quotas import Ledger
from spotkube.queueing.records import Record, dominant_share, lasting
from spotkube.queueing.rules import DEFAULTS, Rules
from spotkube.queueing.scene import Scene
from spotkube.queueing.seen import Phase, Seen


@dataclass
class Book:
    """Owned by whoever leads. `rules` are those of the cycles."""

    clock: VirtualClock = field(default_factory=lambda: VirtualClock(levels=2))
    history: History = field(default_factory=History)
    rules: Rules = DEFAULTS
    outcomes: Outcomes = field(default_factory=Outcomes)
    _records: dict[str, Record] = field(default_factory=dict)
    _seen: dict[str, Seen] = field(default_factory=dict)
    _weights: dict[tuple[str, ...], float] = field(default_factory=dict)
    _going: frozenset[str] = frozenset()
    _made: dict[str, tuple[Seen, Job]] = field(default_factory=dict)
    """What `_job` gave last, and of what: to make all of them anew would be most of a cycle."""
    lineup: Lineup = field(default_factory=Lineup)

    def let_go(self, jobs: Iterable[str]) -> None:
        """These are being let go at this moment, and have what they were admitted with, though they seem to wait."""
        before, self._going = self._going, frozenset(jobs)
        for uid in sorted(before ^ self._going):
            self.lineup.note(uid)

    def meet(self, now: float, queues: Mapping[str, Queue], seen: Iterable[Seen], totals: Amounts) -> None:
        """What the cluster shows at this moment (Unix time). `totals` is what a share is a share of.

        The clock goes on at the pace of what is in use: with more, its ideal would be ahead of the cluster
        (docs/queueing.md).
        """
        if self.clock.seconds is not None and now < self.clock.seconds:
            self._step_back(self.clock.seconds - now)
        self.clock.advance(now, self.clock.capacity)
        before, self._seen = self._seen, {one.job.uid: one for one in seen}
        self._weigh(queues, {one.job.queue for one in self._seen.values() if one.job.queue not in queues})
        # Most wait as they did at the last look, and nothing is to be done about them.
        news = {uid: one for uid, one in self._seen.items() if before.get(uid) is not one}
        for uid in [uid for uid in self._records if uid not in self._seen or (uid in news and self._is_over(uid))]:
            self._close(uid, now)
            self.lineup.note(uid)
        news |= {uid: self._seen[uid] for uid, record in self._records.items() if record.runs}
        there = (one for one in news.values() if not one.has_ended)
        for one in sorted(there, key=lambda one: (one.job.submitted_seconds, one.job.uid)):
            self._follow(one.job.uid, one, now, totals)
            self.lineup.note(one.job.uid)
        self.clock.advance(now, sum(r.size / r.run_seconds * r.progress.part for r in self._records.values() if r.runs))

    def scene(self, now: float, queues: Mapping[str, Queue], capacity: Capacity, spent: Mapping[str, Spent]) -> Scene:
        """All that a cycle looks at."""
        backlog = self.lineup.backlog(now, queues, self.clock, self._waiting)
        known = {uid: self._running(uid, now) for uid in self._admitted() if self._seen[uid].job.queue in queues}
        ledger, errors = Ledger.of(queues, known.values()), self.outcomes.errors
        return Scene(now, queues, backlog, known, ledger, capacity, spent, self.rules, self.clock, errors)

    def note(self, decisions: Decisions, scene: Scene) -> None:
        """Keeps what was decided. Who waits for victims to leave is `due` when they have."""
        for ending in decisions.ended:
            self._note_ending(ending, scene)
        for admission in decisions.admitted:
            record = self._records[admission.uid]
            record.nominal, record.after, record.width = admission.nominal, admission.after, admission.width
            record.admitted_seconds = scene.now_seconds
            self.lineup.note(admission.uid)
        for reservation in decisions.reservations:
            record = self._records[reservation.uid]
            if record.promised_seconds is None:
                record.promised_seconds = reservation.start_seconds
                self.lineup.note(reservation.uid)

    def admitted(self) -> list[Amounts]:
        """What all take that run, or were admitted and wait for others to leave: then in these others' stead."""
        there = (uid for uid in self._admitted() if uid in self._seen)
        return [self._seen[uid].job.amounts(casting.width(self._seen[uid], self._records[uid])) for uid in there]

    def due(self) -> tuple[str, ...]:
        """Jobs that were admitted once others had left, which they have."""
        found = []
        for uid, record in self._records.items():
            if record.after and not any(self._is_there(victim) for victim in record.after):
                found.append(uid)
        for uid in found:
            self._records[uid].after = ()
            self.lineup.note(uid)
        return tuple(found)

    def leaving(self) -> frozenset[str]:
        """Jobs that were ended and still have pods that run."""
        return frozenset(uid for uid, record in self._records.items() if record.leaving and record.runs)

    def covers(self, job: Job) -> bool:
        """Whether it asks for no more than it was admitted with."""
        record = self._records.get(job.uid)
        return record is not None and record.runs and not record.has_grown(job)

    def width_of(self, uid: str) -> int | None:
        """With how many pods it was admitted last."""
        return self._records[uid].width if uid in self._records else None

    def estimate_of(self, uid: str) -> Estimate | None:
        """What its run is taken to be, since it was submitted."""
        return self._records[uid].estimate if uid in self._records else None

    def admitted_at(self, uid: str) -> float | None:
        """When it was let go, or seen to run; None if neither was."""
        return (self._records[uid].admitted_seconds or None) if uid in self._records else None

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
            "records": {uid: record.written() for uid, record in self._records.items()},
            "history": self.history.state(),
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "Book":
        """A book that goes on where the one that gave the state was. Raises KeyError, TypeError, ValueError."""
        return cls(
            clock=VirtualClock.restored(state["clock"], levels=2),
            history=History.restored(state["history"]),
            outcomes=Outcomes.restored(state["outcomes"]) if "outcomes" in state else Outcomes(),
            _records={uid: Record.read(told) for uid, told in state["records"].items()},
            _weights={tuple(path): weight for path, weight in state["weights"]},
        )

    def _step_back(self, seconds: float) -> None:
        """The cluster's clock did: what ran goes on having run as long, and nobody is paused for longer."""
        self.lineup.forget()
        for record in self._records.values():
            record.admitted_seconds = max(0.0, record.admitted_seconds - seconds)
            record.backoff_until_seconds = max(0.0, record.backoff_until_seconds - seconds)
            record.progress = record.progress.moved(-seconds)
            if record.promised_seconds is not None:
                record.promised_seconds -= seconds

    def _weigh(self, queues: Mapping[str, Queue], unknown: Iterable[str]) -> None:
        """`unknown` are queues that jobs name and nobody made: they get no share, however many there are."""
        weights: dict[tuple[str, ...], float] = {(name,): queue.weight for name, queue in queues.items()}
        weights |= {(name,): 0.0 for name in unknown}
        for name, queue in queues.items():
            weights |= {(name, tenant): weight for tenant, weight in queue.tenant_weights.items()}
        for path in self._weights.keys() | weights.keys():
            weight = weights.get(path, 1.0)
            if self._weights.get(path, 1.0) != weight:
                self.clock.weigh(path, weight)
        self._weights = weights

    def _is_over(self, uid: str) -> bool:
        one = self._seen.get(uid)
        return one is None or one.has_ended or self._records[uid].path[0] != one.job.queue

    def _admitted(self) -> list[str]:
        """Whose victims are still leaving has its place already, in their stead."""
        there = [uid for uid, record in self._records.items() if record.runs or record.after or uid in self._going]
        left_for = {victim for uid in there for victim in self._records[uid].after}
        return [uid for uid in there if uid not in left_for]

    def _waiting(self, uid: str, key: float) -> Waiting | None:
        """How it waits; None if it does not."""
        record = self._records.get(uid)
        if record is None or record.runs or record.after or uid in self._going:
            return None
        return Waiting(self._job(uid, record), key, record.backoff_until_seconds, record.promised_seconds)

    def _is_there(self, uid: str) -> bool:
        one = self._seen.get(uid)
        return one is not None and one.phase in (Phase.RUNNING, Phase.LEAVING)

    def _close(self, uid: str, now: float) -> None:
        """It has ended, was deleted, or went to another queue. Only runs that ended well say how long runs take."""
        record, one = self._records.pop(uid), self._seen.get(uid)
        self._made.pop(uid, None)
        if not record.runs and one is not None and one.admitted_seconds is not None:  # it ran between two looks
            self._begin(record, one, now)
            self.outcomes.started(uid, record.admitted_seconds)
        if not record.runs:
            self.clock.withdraw(uid)
            self.outcomes.forget(uid)
            return
        paying.end_turn(self.clock, uid, record)
        told = one.ran_seconds(record.admitted_seconds) if one is not None else None
        ran = now - record.admitted_seconds if told is None else told
        ran *= record.progress.mean_part(record.admitted_seconds, now)
        self.clock.finish(uid, record.taken(ran))
        if one is not None and one.phase is Phase.SUCCEEDED:
            self.history = self.history.with_run(one.job_class, ran, record.estimate.seconds, now)

    def _follow(self, uid: str, one: Seen, now: float, totals: Amounts) -> None:
        record = self._records.get(uid) or self._submitted(uid, one, totals)
        if not record.runs and one.phase is Phase.WAITING and record.has_grown(one.job):
            # What it asks for now was not what its place was given for.
            self._close(uid, now)
            record = self._submitted(uid, one, totals)
        if record.path[1] != one.job.tenant:
            paying.hand_over(self.clock, uid, record, one.job.tenant, now)
        # Pods that were made before it was held are no turn: it would keep a place before all who come later.
        runs = one.phase is Phase.RUNNING or (one.phase is Phase.LEAVING and record.runs)
        if runs and not record.runs:
            self._begin(record, one, now)
            self.outcomes.started(uid, record.admitted_seconds)
        elif record.runs and not runs:
            paying.take_back(self.clock, uid, record)
        if record.runs:
            paying.go_on(self.clock, uid, record, one, now)
        record.was_ready = record.runs and (record.was_ready or one.ready)

    @staticmethod
    def _begin(record: Record, one: Seen, now: float) -> None:
        if not record.admitted_seconds:  # Nobody remembers with what it was let go.
            record.amounts = lasting(one.job)
        at = one.admitted_seconds if one.admitted_seconds is not None else now
        record.runs, record.after, record.promised_seconds = True, (), None
        record.admitted_seconds, record.has_turn = at, True
        record.progress = Progress(since_seconds=at)

    def _submitted(self, uid: str, one: Seen, totals: Amounts) -> Record:
        job = one.job
        told = estimate(one.job_class, self.history, one.declared_seconds, one.default_seconds)
        size = dominant_share(job.full, totals) * told.seconds
        record = Record((job.queue, job.tenant), size, told, job.submitted_seconds, lasting(job))
        self.clock.submit(uid, record.path, size, job.submitted_seconds)
        self._records[uid] = record
        return record

    def _job(self, uid: str, record: Record) -> Job:
        seen, (of, made) = self._seen[uid], self._made.get(uid, (None, None))
        if made is None or of is not seen or (made.preemptors, made.retries) != (record.preemptors, record.retries):
            made = casting.known_job(seen.job, record)
            self._made[uid] = seen, made
        return made

    def _running(self, uid: str, now: float) -> Running:
        record, job = self._records[uid], self._job(uid, self._records[uid])
        if uid in self._going:
            job = replace(job, preemptible=False)  # nobody can take its room before it is there
        return casting.running(job, self._seen[uid], record, self.lineup.key(uid), now)

    def _note_ending(self, ending: Ending, scene: Scene) -> None:
        running = scene.running.get(ending.uid)
        record = self._records[ending.uid]
        if running is None or record.leaving or self._seen[ending.uid].phase is Phase.LEAVING:
            return
        waits = requeued(running, ending, scene.now_seconds, self.rules)
        record.leaving = record.runs  # who was not let go yet has nothing to leave
        record.preemptors, record.retries = waits.job.preemptors, waits.job.retries
        record.backoff_until_seconds = waits.backoff_until_seconds
        record.after = ()  # what was promised to it is another's now
        self.lineup.note(ending.uid)
