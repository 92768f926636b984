"""A cluster in virtual time that the queue's own engine runs: its memory, its cycles, and what they decide.

Unlike `server`, which compares policies, this is what decides in a cluster: several queues with quotas, cohorts,
budgets an hour, reclaim and estimates by history. A job runs as long as it really takes, whatever it was taken for.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from spotkube.model.resources import CPU, ResourceList
from spotkube.queueing.book import Book
from spotkube.queueing.capacity import Aggregate
from spotkube.queueing.cycle import decide
from spotkube.queueing.decisions import Decisions
from spotkube.queueing.jobclasses import JobClass
from spotkube.queueing.jobs import Job, PodSet
from spotkube.queueing.queues import Queue
from spotkube.queueing.scene import Scene
from spotkube.queueing.seen import Phase, Seen

MILLI = 1000


@dataclass(frozen=True, slots=True)
class Arrival:
    """A job that comes at `job.submitted_seconds` and runs for `takes_seconds`; `declared_seconds` is what it says."""

    job: Job
    takes_seconds: float
    declared_seconds: float | None = None
    kind: str = "job"
    """Jobs of one tenant, kind and request are runs of the same."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One cycle: what it saw and decided, and the memory that it left."""

    scene: Scene
    decisions: Decisions
    book: Book


Watch = Callable[[Moment], None]


def cpu_job(uid: str, queue: str, tenant: str, cores: float, submitted_seconds: float) -> Job:
    """A job of one pod."""
    pods = PodSet("main", 1, ResourceList({CPU: max(1, round(cores * MILLI))}))
    return Job(uid, f"Job {tenant}/{uid}", queue, tenant, (pods,), submitted_seconds)


@dataclass
class EngineCluster:
    """Queues over one cluster of `cores`; what fits the sums finds a place."""

    queues: Mapping[str, Queue]
    cores: float
    book: Book = field(default_factory=Book)
    starts: dict[str, float] = field(default_factory=dict)
    """When each job was first let go, by UID."""
    _seen: dict[str, Seen] = field(default_factory=dict)
    _takes: dict[str, float] = field(default_factory=dict)
    _ends: list[tuple[float, str]] = field(default_factory=list)
    _pauses: list[float] = field(default_factory=list)

    def play(self, arrivals: Iterable[Arrival], watch: Watch = lambda moment: None) -> None:
        """Until all have ended that ever can."""
        coming = sorted(arrivals, key=lambda one: one.job.submitted_seconds)
        coming.reverse()
        while (now := self._next(coming)) is not None:
            self._end_due(now)
            while coming and coming[-1].job.submitted_seconds <= now:
                self._submit(coming.pop())
            while self._cycle(now, watch):
                pass

    def _next(self, coming: list[Arrival]) -> float | None:
        """When something happens next; a pause that ends is something, too."""
        while self._ends and not self._will_end(*self._ends[0]):
            heapq.heappop(self._ends)
        moments = self._pauses + ([self._ends[0][0]] if self._ends else [])
        moments += [coming[-1].job.submitted_seconds] if coming else []
        return min(moments, default=None)

    def _will_end(self, end: float, uid: str) -> bool:
        """Whether it has not been taken back since."""
        one = self._seen.get(uid)
        return one is not None and one.admitted_seconds is not None and one.admitted_seconds + self._takes[uid] == end

    def _submit(self, one: Arrival) -> None:
        job = one.job
        kind = JobClass(job.tenant, one.kind, "app", (), job.pod_sets[0].requests)
        self._takes[job.uid] = one.takes_seconds
        self._seen[job.uid] = Seen(job, kind, Phase.WAITING, one.declared_seconds)

    def _end_due(self, now: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            end, uid = heapq.heappop(self._ends)
            if self._will_end(end, uid):
                self._seen[uid] = replace(self._seen[uid], phase=Phase.SUCCEEDED, run_seconds=self._takes[uid])

    def _cycle(self, now: float, watch: Watch) -> bool:
        """Whether something was decided, so that another has to follow."""
        total = {CPU: round(self.cores * MILLI)}
        self.book.meet(now, self.queues, self._seen.values(), total)
        self._seen = {uid: one for uid, one in self._seen.items() if not one.has_ended}
        used = sum(amounts.get(CPU, 0) for amounts in self.book.admitted())
        scene = self.book.scene(now, self.queues, Aggregate(total, {CPU: used}), {})
        decisions = decide(scene)
        self.book.note(decisions, scene)
        for ending in decisions.ended:
            self._seen[ending.uid] = replace(self._seen[ending.uid], phase=Phase.WAITING, admitted_seconds=None)
        going = [*self.book.due(), *(one.uid for one in decisions.admitted if not one.after)]
        self._let_go(going, now)
        self._pauses = [one.backoff_until_seconds for one in scene.backlog if one.backoff_until_seconds > now]
        watch(Moment(scene, decisions, self.book))
        return bool(decisions.ended or going)

    def _let_go(self, uids: Iterable[str], now: float) -> None:
        for uid in uids:
            self._seen[uid] = replace(self._seen[uid], phase=Phase.RUNNING, admitted_seconds=now)
            self.starts.setdefault(uid, now)
            heapq.heappush(self._ends, (now + self._takes[uid], uid))
