"""The jobs that wait, in lines of jobs that find room all alike, so that a cycle looks at lines and not at jobs.

A queue's order is: jobs of tenants without weight last, then the higher priority, then the key, then the UID. Between
queues the keys of their first jobs decide; a job without weight (its tenant's or its queue's) comes after all others.
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from spotkube.queueing.jobs import Job, Waiting
from spotkube.queueing.queues import Queue

Order = tuple[bool, int, float, str]
_Place = tuple[bool, bool, float, str]
LineKey = tuple[str, Hashable]


@dataclass
class Line:
    """Jobs of one queue and shape, in order."""

    queue: str
    entries: list[tuple[Order, Waiting]] = field(default_factory=list)


class Backlog:
    """All jobs that wait. Adding and removing one takes the time of a search, however many there are."""

    def __init__(self, queues: Mapping[str, Queue], waiting: Iterable[Waiting] = ()) -> None:
        self._queues = dict(queues)
        self._lines: dict[str, dict[Hashable, Line]] = {name: {} for name in queues}
        self._by_uid = {one.job.uid: one for one in waiting}
        self._worth_micro_usd: dict[str, int] = {}
        for one in self._by_uid.values():
            if (line := self._line(one.job)) is not None:
                line.entries.append((self.order(one), one))
        for line in (line for lines in self._lines.values() for line in lines.values()):
            line.entries.sort(key=_place)

    def __len__(self) -> int:
        return len(self._by_uid)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._by_uid.values())

    def get(self, uid: str) -> Waiting | None:
        return self._by_uid.get(uid)

    def put(self, waiting: Waiting) -> None:
        """Adds the job; one with the same UID is replaced. A job of an unknown queue is kept, but is in no line."""
        self.remove(waiting.job.uid)
        self._by_uid[waiting.job.uid] = waiting
        if (line := self._line(waiting.job)) is not None:
            insort(line.entries, (self.order(waiting), waiting), key=_place)

    def _line(self, job: Job) -> Line | None:
        """Where the job is to be entered, counted with what it is worth; None for one of an unknown queue."""
        lines = self._lines.get(job.queue)
        if lines is None:
            return None
        self._worth_micro_usd[job.queue] = self._worth_micro_usd.get(job.queue, 0) + job.worth_micro_usd
        shape = job.shape
        line = lines.get(shape)
        if line is None:
            line = lines[shape] = Line(job.queue)
        return line

    def remove(self, uid: str) -> None:
        """Forgets the job, if it is there."""
        waiting = self._by_uid.pop(uid, None)
        if waiting is None or waiting.job.queue not in self._lines:
            return
        job = waiting.job
        lines = self._lines[job.queue]
        entries = lines[job.shape].entries
        del entries[bisect_left(entries, self.order(waiting), key=_place)]
        if not entries:
            del lines[job.shape]
        self._worth_micro_usd[job.queue] -= job.worth_micro_usd

    def worth_micro_usd(self, queue: str) -> int:
        """What all the work that waits in the queue is worth."""
        return self._worth_micro_usd.get(queue, 0)

    def lines(self, queue: str) -> Iterable[Line]:
        return self._lines[queue].values()

    def comes_last(self, waiting: Waiting) -> bool:
        return self._queues[waiting.job.queue].comes_last(waiting.job.tenant)

    def precedes(self, one: Waiting, other: Waiting) -> bool:
        """Whether both are in one queue, and the first comes before the other."""
        return one.job.queue == other.job.queue and self.order(one) < self.order(other)

    def order(self, waiting: Waiting) -> Order:
        """Its place in its queue."""
        return self.comes_last(waiting), -waiting.job.priority, waiting.key, waiting.job.uid


def _place(entry: tuple[Order, Waiting]) -> Order:
    return entry[0]


class Turn:
    """One walk through the backlog in order. Whoever walks may leave out the rest of a line, or its longer jobs."""

    def __init__(self, backlog: Backlog, lines: Iterable[tuple[Line, int]]) -> None:
        """`lines` with the place in each from which on its jobs wait."""
        self._backlog = backlog
        self._inner: dict[str, list[tuple[Order, int, Line]]] = {}
        self._outer: list[_Place] = []
        self._closed: set[int] = set()
        self._longest_seconds: dict[int, float] = {}
        self._put_off: set[str] = set()
        self._again = False
        for line, place in lines:
            self._enter(line, place)
        for queue in self._inner:
            self._push(queue)

    def __iter__(self) -> Iterator[tuple[Waiting, Line]]:
        while self._outer:
            place_of_queue = heapq.heappop(self._outer)
            queue = place_of_queue[3]
            if place_of_queue != self._place(queue):
                continue  # Another first job has come since; its queue was entered again for it.
            _, place, line = heapq.heappop(self._inner[queue])
            yield line.entries[place][1], line
            if self._again:
                self._again = False
                self._enter(line, place)
            else:
                self._advance(line, place + 1)
            self._push(queue)

    def open(self, line: Line, place: int) -> None:
        """This line, too, from that place on. It must not be in the walk."""
        self._closed.discard(id(line))
        self._enter(line, place)
        self._push(line.queue)

    def put_off(self, queue: str) -> bool:
        """Asks to have the job at hand again once all queues that are not put off are through; False if it was."""
        if queue in self._put_off:
            return False
        self._put_off.add(queue)
        self._again = True
        return True

    def is_put_off(self, queue: str) -> bool:
        return queue in self._put_off

    def close(self, line: Line) -> None:
        """No more of this line."""
        self._closed.add(id(line))

    def leave_out_longer(self, line: Line, seconds: float) -> None:
        """No more jobs of this line that run longer than this."""
        self._longest_seconds[id(line)] = min(seconds, self._longest_seconds.get(id(line), seconds))

    def _enter(self, line: Line, place: int) -> None:
        if place < len(line.entries):
            heap = self._inner.setdefault(line.queue, [])
            # Orders differ by their UIDs, so that lines are never compared.
            heapq.heappush(heap, (line.entries[place][0], place, line))

    def _advance(self, line: Line, place: int) -> None:
        if id(line) in self._closed:
            return
        entries, longest = line.entries, self._longest_seconds.get(id(line))
        if longest is not None:
            while place < len(entries) and entries[place][1].job.run_seconds > longest:
                place += 1
        self._enter(line, place)

    def _push(self, queue: str) -> None:
        if (place := self._place(queue)) is not None:
            heapq.heappush(self._outer, place)

    def _place(self, queue: str) -> _Place | None:
        heap = self._inner[queue]
        if not heap:
            return None
        _, place, line = heap[0]
        return self._place_of(line.entries[place][1])

    def _place_of(self, first: Waiting) -> _Place:
        queue = first.job.queue
        # The UID is not needed to break ties: a queue has one first job, and queues' names differ.
        return self._backlog.comes_last(first), queue in self._put_off, first.key, queue
