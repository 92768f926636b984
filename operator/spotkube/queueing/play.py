"""Plays the queue forward: what starts when, if all runs take as long as estimated and nothing else is submitted.

The rules are those of a cycle without preemption and without budgets of a day or month, and only the first job of a
line may pass a reservation. To be fast, only those lines are looked at again on which the end of a job has a bearing.
"""

import heapq
import math
from bisect import insort
from collections import defaultdict
from collections.abc import Iterator

from spotkube.queueing.backlog import Line, Turn
from spotkube.queueing.jobs import Amounts, Job, Waiting
from spotkube.queueing.queues import Stop
from spotkube.queueing.reservations import Leaving, Reservations, first_fit
from spotkube.queueing.room import Lack, Level, Room
from spotkube.queueing.scene import Scene


class Play:
    """Iterates over (start in Unix time, job, pods), in order of time, until so many jobs were `looks`ed at."""

    def __init__(self, scene: Scene, looks: float = math.inf) -> None:
        self._scene = scene
        self.looks = looks
        """What is left of them; above zero if the play came to its end."""
        self.now_seconds = scene.now_seconds
        cluster = scene.capacity.room()
        self._room = Room(scene.ledger.copy(), cluster)
        self._one_scope = cluster is not None
        self._reservations = Reservations(self._room, scene.now_seconds, scene.rules.aging_seconds)
        self._holders: dict[str, tuple[Line, Level]] = {}
        self._promises: list[tuple[float, str]] = []
        self._places: dict[int, int] = defaultdict(int)
        self._short: dict[str, dict[int, tuple[Line, Lack]]] = defaultdict(dict)
        self._behind: dict[str, list[Line]] = defaultdict(list)
        self._leaving: dict[str, list[tuple[float, int, str, Amounts]]] = defaultdict(list)
        self._next: list[tuple[float, int, str, Amounts]] = []
        self._count = 0
        for one in scene.running.values():
            for seconds, amounts in one.leaving(scene.now_seconds):
                self._will_leave(seconds, one.job.queue, amounts)

    def __iter__(self) -> Iterator[tuple[float, Job, int]]:
        names = [name for name, queue in self._scene.queues.items() if queue.stop is Stop.NONE]
        lines = [line for name in names for line in self._scene.backlog.lines(name)]
        while True:
            yield from self._admit(lines)
            if not self._next or self.looks <= 0:
                return
            lines = self._advance()

    def _advance(self) -> list[Line]:
        """Lets those leave that end next; the lines that have more room for it."""
        self.now_seconds = max(self.now_seconds, self._next[0][0])
        scopes = set()
        while self._next and self._next[0][0] <= self.now_seconds:
            entry = heapq.heappop(self._next)
            self._room.give_back(entry[2], entry[3])
            scope = self._scope(entry[2])
            self._leaving[scope].pop(0)  # They leave in the same order in each scope.
            scopes.add(scope)
        ready = list[Line]()
        for scope in scopes:
            short = self._short[scope]
            found = [line for line, lack in short.values() if self._may_fit(line, lack)]
            for line in found:
                del short[id(line)]
            ready += found
        return ready + self._kept_promises()

    def _kept_promises(self) -> list[Line]:
        """Ends reservations whose time has come: from now on the order decides. The lines that are free again."""
        ready = list[Line]()
        while self._promises and self._promises[0][0] <= self.now_seconds:
            ready += self._release(heapq.heappop(self._promises)[1])
        return ready

    def _release(self, uid: str) -> list[Line]:
        """Ends the job's reservation. Whoever of those that lack room comes first then has the next one."""
        held = self._holders.pop(uid, None)
        if held is None:
            return []
        self._reservations.drop(uid)
        short = self._short[self._scope(held[0].queue)]
        ready = [*self._behind.pop(uid, ()), *(one for one, _ in short.values())]
        short.clear()
        return ready

    def _may_fit(self, line: Line, lack: Lack) -> bool:
        left = self._room.left(lack.level, line.queue, lack.resource)
        return left is None or left >= lack.needed

    def _admit(self, lines: list[Line]) -> Iterator[tuple[float, Job, int]]:
        turn = Turn(self._scene.backlog, [(line, self._places[id(line)]) for line in lines])
        for waiting, line in turn:
            self.looks -= 1
            job = waiting.job
            if job.missing_pods > 0:
                self._places[id(line)] += 1
                continue
            if self._would_borrow(job) and turn.put_off(job.queue):
                continue
            width = self._room.width(job)
            if self._wait(waiting, line, width, turn):
                turn.close(line)
                continue
            self._start(job, width)
            self._places[id(line)] += 1
            yield self.now_seconds, job, width
            self._open(turn, self._release(job.uid))

    def _open(self, turn: Turn, lines: list[Line]) -> None:
        for line in lines:
            turn.open(line, self._places[id(line)])

    def _would_borrow(self, job: Job) -> bool:
        return self._room.ledger.would_borrow(job.queue, job.amounts(job.least_width))

    def _wait(self, waiting: Waiting, line: Line, width: int, turn: Turn) -> bool:
        """Whether the job has to, and notes for what."""
        job = waiting.job
        if not width:
            self._reserve(waiting, line, turn)
            return True
        end = self.now_seconds + job.run_seconds_at(width)
        while (moved := self._reservations.in_the_way(job.queue, job.amounts(width), end)) is not None:
            if not self._yields(moved.uid, waiting, turn):
                self._behind[moved.uid].append(line)
                return True
        return False

    def _reserve(self, waiting: Waiting, line: Line, turn: Turn) -> None:
        job, amounts = waiting.job, waiting.job.amounts(waiting.job.least_width)
        lack = self._room.lack(job.queue, amounts)
        assert lack is not None, f"{job.name} fits with {job.least_width} pods, and has no width"
        held = self._holders.get(job.uid)
        if held is not None and held[1] is not lack.level:
            self._open(turn, self._release(job.uid))
        if job.uid not in self._holders and self._reservable(waiting, amounts, lack.level, turn):
            start, spare = first_fit(self._ends(job.queue), self._room, job, amounts, lack.level)
            if start is not None:
                self._reservations.make(waiting, amounts, lack.level, start, spare)
                self._holders[job.uid] = line, lack.level
                heapq.heappush(self._promises, (start, job.uid))
        self._short[self._scope(job.queue)][id(line)] = line, lack

    def _reservable(self, waiting: Waiting, amounts: Amounts, level: Level, turn: Turn) -> bool:
        uid = self._reservations.holder(level, waiting.job, amounts)
        return uid is None or self._yields(uid, waiting, turn)

    def _yields(self, uid: str, waiting: Waiting, turn: Turn) -> bool:
        """Whether the reservation's holder comes after the job in their queue, and so has lost it."""
        holder = self._scene.backlog.get(uid)
        if holder is None or not self._scene.backlog.precedes(waiting, holder):
            return False
        line, _ = self._holders.pop(uid)
        self._reservations.drop(uid)
        short = self._short[self._scope(line.queue)].pop(id(line), None)
        self._open(turn, [*self._behind.pop(uid, ()), *([line] if short else [])])
        return True

    def _start(self, job: Job, width: int) -> None:
        amounts, end = job.amounts(width), self.now_seconds + max(1e-3, job.run_seconds_at(width))
        self._reservations.take(job.queue, amounts, end)
        self._room.take(job.queue, amounts)
        self._will_leave(end, job.queue, amounts)

    def _will_leave(self, end_seconds: float, queue: str, amounts: Amounts) -> None:
        self._count += 1
        entry = end_seconds, self._count, queue, amounts
        heapq.heappush(self._next, entry)
        insort(self._leaving[self._scope(queue)], entry, key=lambda one: one[:2])

    def _ends(self, queue: str) -> Iterator[Leaving]:
        return ((end, name, amounts) for end, _, name, amounts in self._leaving[self._scope(queue)])

    def _scope(self, queue: str) -> str:
        """Queues of different scopes have nothing to do with each other."""
        if self._one_scope:
            return ""
        cohort = self._room.ledger.cohort_of(queue)
        return f"queue {queue}" if cohort is None else f"cohort {cohort}"
