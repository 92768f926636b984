"""Reservations for jobs that do not fit, and who may pass them: EASY backfill on three levels.

The first job in order that does not fit on a level (its queue's limit, its cohort's pool, the cluster) gets a
reservation there: the time at which it fits once those that run have ended as estimated, and what is left beside it
then. A later job passes if it ends before that time, or takes no more than what is left (Mu'alem and Feitelson:
Utilization, Predictability, Workloads, and User Runtime Estimates in Scheduling the IBM SP2 with Backfilling, IEEE TPDS
12(6), 2001, section 2). Here there is one such job on each level and not one in all: a queue at its own limit holds
nobody else up.

Who borrows can't hold up the owners: a reservation of a job that would borrow does not bind jobs of other queues that
stay within their own quota. So on a level there may be two: the first in order, and the first within its own quota.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from spotkube.queueing.decisions import Reservation
from spotkube.queueing.jobs import Amounts, Job, Running, Waiting
from spotkube.queueing.room import Level, Room

_Scope = tuple[Level, str]
Leaving = tuple[float, str, Amounts]
"""What comes free: when, in which queue, and how much."""

Spare = Mapping[Level, dict[str, int]]
"""What is left beside a reservation, of each resource that is limited."""


def first_fit(
    leaving: Iterable[Leaving], room: Room, job: Job, amounts: Amounts, level: Level
) -> tuple[float | None, Spare]:
    """When this much fits on the level and those within it if nothing else is admitted, and what is left on them then.

    Args:
        leaving: earliest first.
        room: what is left now, in which it does not fit.

    Without a time nothing is left beside it.
    """
    later, cohort, start = room.copy(), room.ledger.cohort_of(job.queue), None
    levels = level.up_to
    for end, queue, freed in leaving:
        if start is not None and end > start:
            break
        if level is Level.QUEUE and queue != job.queue:
            continue
        if level is Level.COHORT and room.ledger.cohort_of(queue) != cohort:
            continue
        later.give_back(queue, freed)
        if start is None and later.lack(job.queue, amounts, levels) is None:
            start = end
    if start is None:
        return None, {}
    later.take(job.queue, amounts)
    return start, {one: later.spare(one, job.queue, amounts) for one in levels}


class Ends:
    """Those that run, by when they will end."""

    def __init__(self, running: Iterable[Running], now_seconds: float) -> None:
        self._now_seconds = now_seconds
        self._ends: list[tuple[float, str, str, Amounts]] = []
        self._new = list(running)
        self._gone: set[str] = set()

    def add(self, one: Running) -> None:
        self._new.append(one)

    def drop(self, uid: str) -> None:
        self._gone.add(uid)

    def __iter__(self) -> Iterator[Leaving]:
        if self._new:  # Most cycles reserve nothing, and need no order.
            self._ends += [
                (end, one.job.uid, one.job.queue, amounts)
                for one in self._new
                for end, amounts in one.leaving(self._now_seconds)
            ]
            self._ends.sort(key=lambda leaves: leaves[:2])
            self._new = []
        return ((end, queue, amounts) for end, uid, queue, amounts in self._ends if uid not in self._gone)

    def first(self) -> float | None:
        """When the first one ends."""
        return next((end for end, _, _ in self), None)


@dataclass(frozen=True, slots=True)
class _Held:
    reservation: Reservation
    queue: str
    spare: Spare


class Reservations:
    """Those that were made so far in this cycle."""

    def __init__(self, room: Room, now_seconds: float, aging_seconds: float) -> None:
        self._room = room
        self._now_seconds = now_seconds
        self._aging_seconds = aging_seconds
        self._held: dict[_Scope, dict[bool, _Held]] = {}  # By whether the job borrows.

    def __iter__(self) -> Iterator[Reservation]:
        return (held.reservation for pair in self._held.values() for held in pair.values())

    def holder(self, level: Level, job: Job, amounts: Amounts) -> str | None:
        """UID of the job that has the reservation which the job could have on this level."""
        held = self._held.get(self._scope(level, job.queue), {}).get(self._borrows(job.queue, amounts))
        return None if held is None else held.reservation.uid

    def make(self, waiting: Waiting, amounts: Amounts, level: Level, start_seconds: float | None, spare: Spare) -> None:
        """Reserves `amounts` on the level from then on; `spare` is what is left beside them."""
        job, promised = waiting.job, waiting.promised_seconds
        borrows = self._borrows(job.queue, amounts)
        strict = promised is not None and self._now_seconds >= promised + self._aging_seconds
        made = Reservation(job.uid, job.name, level, start_seconds, borrows, strict)
        self._held.setdefault(self._scope(level, job.queue), {})[borrows] = _Held(made, job.queue, spare)

    def drop(self, uid: str) -> None:
        """Forgets the job's reservations."""
        for pair in self._held.values():
            for borrows in [borrows for borrows, held in pair.items() if held.reservation.uid == uid]:
                del pair[borrows]

    def in_the_way(self, queue: str, amounts: Amounts, end_seconds: float) -> Reservation | None:
        """The reservation that a job would move that takes this much until then; None if it moves none."""
        for held in self._binding(queue, amounts):
            if self._moves(held, queue, amounts, end_seconds):
                return held.reservation
        return None

    def take(self, queue: str, amounts: Amounts, end_seconds: float) -> None:
        """The job passes, and has its part of what is left beside those reservations that it does not end before."""
        for held in self._binding(queue, amounts):
            if not self._ends_before(held, end_seconds):
                for spare, name, taken in self._taken(held, queue, amounts):
                    spare[name] -= taken

    def _binding(self, queue: str, amounts: Amounts) -> Iterator[_Held]:
        for level in Level:
            for of_borrower, held in self._held.get(self._scope(level, queue), {}).items():
                if not of_borrower or held.queue == queue or self._borrows(queue, amounts):
                    yield held

    def _moves(self, held: _Held, queue: str, amounts: Amounts, end_seconds: float) -> bool:
        if held.reservation.strict:
            return True
        if self._ends_before(held, end_seconds):
            return False
        if held.reservation.start_seconds is None:
            return True
        return any(taken > max(0, spare[name]) for spare, name, taken in self._taken(held, queue, amounts))

    def _ends_before(self, held: _Held, end_seconds: float) -> bool:
        start = held.reservation.start_seconds
        return start is not None and end_seconds <= start

    def _taken(self, held: _Held, queue: str, amounts: Amounts) -> Iterator[tuple[dict[str, int], str, int]]:
        """What the amounts take of each level that the reservation shares with the queue."""
        same, ledger = held.queue == queue, self._room.ledger
        for level, spare in held.spare.items():
            if level is Level.QUEUE and not same:
                continue
            if level is Level.COHORT and ledger.cohort_of(queue) != ledger.cohort_of(held.queue):
                continue
            for name in spare:
                amount = amounts.get(name, 0)
                # Of a cohort's pool another queue takes only what it does not keep for itself.
                yield spare, name, ledger.draw(queue, name, amount) if level is Level.COHORT and not same else amount

    def _borrows(self, queue: str, amounts: Amounts) -> bool:
        return self._room.ledger.would_borrow(queue, amounts)

    def _scope(self, level: Level, queue: str) -> _Scope:
        if level is Level.QUEUE:
            return level, queue
        if level is Level.COHORT:
            return level, self._room.ledger.cohort_of(queue) or ""
        return level, ""
