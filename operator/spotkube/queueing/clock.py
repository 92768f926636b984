"""The virtual clock: in which order waiting jobs get their turn, so that each tenant has its share.

User-weighted fair queueing (arXiv 2510.15485) put on generalised processor sharing, so that its bound holds; what
differs from the published form, and why, is in docs/decisions/0016-a-place-in-the-order-only-grows.md.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from spotkube.queueing.amounts import (
    WEIGHT_UNIT,
    checked_capacity,
    checked_seconds,
    checked_size,
    checked_weight,
)
from spotkube.queueing.entries import Entry, Order
from spotkube.queueing.sharing import Sharing
from spotkube.queueing.shortest import Shortest

Path = tuple[str, ...]
Job = TypeVar("Job")


@dataclass(frozen=True, slots=True)
class Place:
    """Why a job stands where it stands: its flow's `start` in virtual time, then the sizes over the weight of the jobs
    of its flow up to and with its own, are its `deadline`. `leftover` are those of weight 0, who come after all others.

    The flow is that of one level: the queue of a clock of queues, or a tenant in its queue. Deadlines of different
    levels, or of the two kinds, don't compare.
    """

    id: str
    path: Path
    size: float
    submitted: float
    weight: float
    start: float
    deadline: float
    leftover: bool


@dataclass(frozen=True, slots=True)
class _Running:
    entry: Entry
    charged: float
    deadline: float
    leftover: bool


class VirtualClock:
    """Jobs that wait and jobs that run. With one level a path is ("tenant",), with two ("queue", "tenant"): queues
    share by their weights, tenants within their queue by theirs. Weights not given are 1.

    `advance` says what time it is and what capacity there is; everything else happens at that moment. All of it costs
    O(log n), but `place`, `places` and `state`. Errors are ValueErrors that name field, value and remedy, and change
    nothing.
    """

    def __init__(self, levels: int = 1) -> None:
        self._levels = levels
        self._shares = _shares(levels, 0)
        self._seconds: float | None = None
        self._capacity = 0.0
        self._waiting: dict[str, Entry] = {}
        self._running: dict[str, _Running] = {}

    @property
    def seconds(self) -> float | None:
        """The moment that it was told last; None if none."""
        return self._seconds

    def advance(self, now_seconds: float, capacity: float) -> None:
        """The capacity holds from now on: the units that can be used, so rather those in use where narrow jobs or gaps
        leave some idle. A time before the last one counts as no time passed."""
        now, capacity = checked_seconds(now_seconds), checked_capacity(capacity)
        passed = 0.0 if self._seconds is None else max(0.0, now - self._seconds)
        self._shares.advance(passed * self._capacity)
        self._seconds, self._capacity = now, capacity

    def submit(self, job: str, path: Path, size: float, submitted: float | None = None) -> None:
        """A job of so many units times seconds waits from now on. `submitted` decides between equal deadlines."""
        if job in self._waiting or job in self._running:
            raise ValueError(f"id: {job!r} is here already; give each job an id of its own")
        if len(path) != self._levels or not all(path):
            raise ValueError(f"path: {path!r} of job {job!r} needs {self._levels} names; give each level's")
        moment = checked_seconds(self._present if submitted is None else submitted)
        entry = Entry(job, path, checked_size(size), moment)
        self._waiting[job] = entry
        self._shares.add(entry)

    def first(self) -> str | None:
        """Who is next; None if nobody waits."""
        entry = self._shares.first()
        return None if entry is None else entry.id

    def in_order(self) -> Iterator[str]:
        """All who wait, in order; only those that are asked for cost something. Nothing may happen meanwhile."""
        return (entry.id for entry in self._shares.walk())

    def dispatch(self, job: str) -> float:
        """It begins to run, first in order or not; the virtual deadline that it has from now on."""
        entry = self._get(self._waiting, job, "wait")
        leftover = self._leftover(entry.path)
        deadline = self._shares.take_at(entry)
        del self._waiting[job]
        self._running[job] = _Running(entry, entry.size, deadline, leftover)
        return deadline

    def requeue(self, job: str) -> None:
        """It waits again and keeps its place."""
        running = self._get(self._running, job, "run")
        self.correct(job, running.entry.size)
        del self._running[job]
        self._waiting[job] = running.entry
        if running.leftover == self._leftover(running.entry.path):
            self._shares.put_back(running.entry, running.deadline)
        else:
            # Its weight has become zero, or is no longer: it has no place among those it is with now.
            self._shares.charge(running.entry.path, -running.charged)
            self._shares.add(running.entry)

    def withdraw(self, job: str) -> None:
        """It will not run."""
        entry = self._get(self._waiting, job, "wait")
        self._shares.discard(entry)
        del self._waiting[job]

    def correct(self, job: str, size: float) -> None:
        """A job that runs turns out to be of another size: its tenant is charged for the difference, or given it back
        as far as the reference has not come to it."""
        running, size = self._get(self._running, job, "run"), checked_size(size)
        self._shares.charge(running.entry.path, size - running.charged)
        self._running[job] = _Running(running.entry, size, running.deadline, running.leftover)

    def finish(self, job: str, size: float | None = None) -> None:
        """It has ended; with `size`, which was its true one."""
        self._get(self._running, job, "run")
        if size is not None:
            self.correct(job, size)
        del self._running[job]

    def weigh(self, path: Path, weight: float) -> None:
        """The weight of a tenant, ("tenant",) or ("queue", "tenant"), or of a queue, ("queue",), from now on."""
        if not 0 < len(path) <= self._levels:
            raise ValueError(f"path: {path!r} has no weight; give one to {self._levels} names or fewer")
        self._shares.weigh(path, checked_weight(weight))

    @property
    def capacity(self) -> float:
        """What `advance` was told last."""
        return self._capacity

    def runs(self, job: str) -> bool:
        """Whether it was dispatched, and neither finished nor put back."""
        return job in self._running

    def size(self, job: str) -> float:
        """Of one that waits or runs, as it was submitted."""
        running = self._running.get(job)
        return running.entry.size if running is not None else self._get(self._waiting, job, "wait or run").size

    def place(self, job: str) -> Place:
        """Why it stands where it stands. O(m log m) for the m jobs before it in its flow."""
        return self.places([job])[job][0]

    def places(self, jobs: Iterable[str]) -> dict[str, tuple[Place, ...]]:
        """`place` of each at every level, its queue's before its tenant's, at the cost of a walk through their flows.

        One whose turn the reference has passed has left the order within its queue, and has a place at the outer level
        alone.
        """
        found: dict[str, list[Place]] = {job: [] for job in jobs}
        wanted = [self._get(self._waiting, job, "wait") for job in found]
        for entry, band, flow, deadline in self._shares.standing(wanted):
            # One whose turn is overdue is no longer behind its flow's start, but before it.
            start = flow.front if flow.front < deadline else deadline - entry.size / flow.weight
            about = (entry.id, entry.path, entry.size, entry.submitted, flow.micro_weight / WEIGHT_UNIT)
            place = Place(*about, band.base + start, band.base + deadline, not flow.micro_weight)
            found[entry.id].append(place)
        return {job: tuple(places) for job, places in found.items()}

    def state(self) -> dict[str, Any]:
        """All of it as plain numbers and names, for JSON: `shares` by flow, and the jobs apart, by id."""
        return {
            "seconds": self._seconds,
            "capacity": self._capacity,
            "shares": self._shares.state(),
            "waiting": {job: _entry_state(entry) for job, entry in self._waiting.items()},
            "running": {
                job: _entry_state(run.entry)
                | {"charged": run.charged, "deadline": run.deadline, "leftover": run.leftover}
                for job, run in self._running.items()
            },
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any], levels: int = 1) -> "VirtualClock":
        """A clock that goes on where the one that gave the state was."""
        clock = cls(levels)
        clock._seconds, clock._capacity = state["seconds"], state["capacity"]
        clock._waiting = {job: _entry(job, told) for job, told in state["waiting"].items()}
        clock._running = {
            job: _Running(_entry(job, told), told["charged"], told["deadline"], told["leftover"])
            for job, told in state["running"].items()
        }
        clock._shares.restore(state["shares"], clock._waiting)
        return clock

    def copy(self) -> "VirtualClock":
        """One that goes on by itself."""
        return VirtualClock.restored(self.state(), self._levels)

    @property
    def _present(self) -> float:
        return self._seconds or 0.0

    def _leftover(self, path: Path) -> bool:
        return self._shares.is_leftover(path)

    @staticmethod
    def _get(jobs: Mapping[str, Job], job: str, what: str) -> Job:
        if job not in jobs:
            raise ValueError(f"id: {job!r} does not {what}; give the id of a job that does")
        return jobs[job]


def _shares(levels: int, level: int) -> Sharing:
    def inside() -> Order:
        return _shares(levels, level + 1) if level + 1 < levels else Shortest()

    return Sharing(level, inside)


def _entry_state(entry: Entry) -> dict[str, Any]:
    return {"path": list(entry.path), "size": entry.size, "submitted": entry.submitted}


def _entry(job: str, state: Mapping[str, Any]) -> Entry:
    return Entry(job, tuple(state["path"]), state["size"], state["submitted"])
