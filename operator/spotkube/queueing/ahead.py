"""Plays the queue forward by its own cycles and its own clock: what is found is what would be decided.

It is exact if runs take as long as estimated and nothing else is submitted, and it costs more the more wait and run. So
it goes only as far as LOOKS allow, and `play` goes on from there, which is fast since it leaves the order as it is. The
order is not: a job that passes others moves its tenant's and its queue's next ones back.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from spotkube.queueing.backlog import Backlog
from spotkube.queueing.capacity import Capacity, Refusal
from spotkube.queueing.cycle import decide
from spotkube.queueing.decisions import Admission, Decisions, Ending, requeued, started
from spotkube.queueing.jobs import Amounts, Job, Running
from spotkube.queueing.scene import Scene

LOOKS = 5000
"""About a twentieth of a second."""
MOST_WAITING = 1000
"""With more, it would not get far enough to be worth its beginning."""
_LOOKS_A_CYCLE = 50


@dataclass(frozen=True)
class _Played:
    """The sums of a capacity, as they are when other jobs run. What it refuses is not foreseen."""

    whole: Capacity
    now: Amounts | None

    def room(self) -> Amounts | None:
        return self.now

    def most(self) -> Amounts | None:
        return self.whole.most()

    def refusals(self, placed: Sequence[tuple[Job, int]]) -> Mapping[str, Refusal]:
        return {}


class Ahead:
    """After `play`, `starts` are what began so far (Unix time), and `scene` is what the rest begins with."""

    def __init__(self, scene: Scene) -> None:
        self._begun = scene
        self._clock = None if scene.clock is None else scene.clock.copy()
        self._now = scene.now_seconds
        self._backlog = Backlog(scene.queues, scene.backlog)
        # That its pods will be ready is what an estimate begins with.
        self._running = {uid: replace(one, ready=True) for uid, one in scene.running.items()}
        self._end_of = {uid: one.end_seconds(self._now) for uid, one in self._running.items()}
        self._ends = [(end, uid) for uid, end in self._end_of.items()]
        heapq.heapify(self._ends)
        self._room = None if (room := scene.capacity.room()) is None else dict(room)
        self._ledger = scene.ledger.copy()
        # Who was admitted and waits for others to leave is let go by the next cycle.
        self._due = [one.job for uid, one in scene.running.items() if self._clock and not self._clock.runs(uid)]
        self.starts: list[tuple[float, Job, int]] = []

    @property
    def scene(self) -> Scene:
        return replace(
            self._begun,
            now_seconds=self._now,
            backlog=self._backlog,
            running=self._running,
            ledger=self._ledger,
            capacity=_Played(self._begun.capacity, self._room),
        )

    def play(self, looks: int = LOOKS) -> None:
        """Until nothing happens any more, or so many jobs were looked at."""
        goes_on = True
        while goes_on and looks > 0:
            decisions, due = decide(self.scene), bool(self._due)
            moved = self._carry_out(decisions)
            looks -= _LOOKS_A_CYCLE + len(self._running) + (len(self._backlog) if moved else 0)
            if moved:
                self._rank()
            goes_on = bool(decisions.admitted or decisions.ended or due) or self._pass_time()
        self._let_go(self._due)

    def _carry_out(self, decisions: Decisions) -> bool:
        """Whether the order has changed for it."""
        ended = [self._take_back(ending) for ending in decisions.ended]
        back = [job for job in ended if job not in self._due]
        self._due = [job for job in self._due if job not in ended]
        begun, self._due = self._due, []
        for admission in decisions.admitted:
            (self._due if admission.after else begun).append(self._start(admission))
        self._let_go(begun)
        for reservation in decisions.reservations:
            waiting = self._backlog.get(reservation.uid)
            if waiting is not None and waiting.promised_seconds is None and reservation.start_seconds is not None:
                self._backlog.put(waiting.promised(reservation.start_seconds))
        return self._tell_clock(back, begun)

    def _let_go(self, begun: Iterable[Job]) -> None:
        self.starts += [(self._now, job, self._running[job.uid].width) for job in begun]

    def _take_back(self, ending: Ending) -> Job:
        one = self._leave(ending.uid)
        self._backlog.put(requeued(one, ending, self._now, self._begun.rules))
        return one.job

    def _start(self, admission: Admission) -> Job:
        uid = admission.uid
        waiting = self._backlog.get(uid)
        assert waiting is not None, f"{uid} is admitted and does not wait"
        self._backlog.remove(uid)
        one = self._running[uid] = replace(started(waiting, admission, self._now), ready=True)
        end = self._end_of[uid] = one.end_seconds(self._now)
        heapq.heappush(self._ends, (end, uid))
        self._change(one, 1)
        return one.job

    def _tell_clock(self, back: Iterable[Job], begun: Iterable[Job]) -> bool:
        """Whether others move for it: those who were passed, by the clock. It is told in the order in which the book
        sees its jobs."""
        if self._clock is None:
            return False
        moved = False
        both = [(job, self._clock.requeue) for job in back] + [(job, self._clock.dispatch) for job in begun]
        for job, tell in sorted(both, key=lambda one: (one[0].submitted_seconds, one[0].uid)):
            moved = moved or tell == self._clock.requeue or self._clock.first() != job.uid
            tell(job.uid)
        return moved

    def _leave(self, uid: str) -> Running:
        one = self._running.pop(uid)
        del self._end_of[uid]
        self._change(one, -1)
        return one

    def _change(self, one: Running, sign: int) -> None:
        """What is left once it uses its amounts (1), or no longer (-1)."""
        (self._ledger.add if sign > 0 else self._ledger.remove)(one.job.queue, one.amounts)
        if self._room is not None:
            for name in self._room.keys() & one.amounts.keys():
                self._room[name] -= sign * one.amounts[name]

    def _rank(self) -> None:
        if self._clock is not None:
            ranks = {uid: float(rank) for rank, uid in enumerate(self._clock.in_order())}
            waiting = (replace(one, key=ranks[one.job.uid]) for one in self._backlog if one.job.uid in ranks)
            self._backlog = Backlog(self._begun.queues, waiting)

    def _pass_time(self) -> bool:
        """To the next end of a job or of a pause; whether there is one."""
        moments = [one.backoff_until_seconds for one in self._backlog if one.backoff_until_seconds > self._now]
        if (end := self._next_end()) is not None:
            moments.append(end)
        if not moments:
            return False
        begun, self._now = self._now, max(self._now, min(moments))
        if self._clock is not None:
            pace = self._pace()
            self._clock.advance(begun, pace)
            self._clock.advance(self._now, pace)
        while (end := self._next_end()) is not None and end <= self._now:
            uid = heapq.heappop(self._ends)[1]
            self._leave(uid)
            if self._clock is not None:
                self._clock.finish(uid, self._clock.size(uid))
        return True

    def _next_end(self) -> float | None:
        while self._ends and self._end_of.get(self._ends[0][1]) != self._ends[0][0]:
            heapq.heappop(self._ends)
        return self._ends[0][0] if self._ends else None

    def _pace(self) -> float:
        """What the clock goes on by, as `Book.meet` lets it."""
        assert self._clock is not None
        return sum(self._clock.size(uid) / max(1e-3, one.job.run_seconds) for uid, one in self._running.items())
