"""Room for a job on three levels: its queue's own limit, what its cohort shares, and what the cluster can hold."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from spotkube.model.resources import PODS
from spotkube.queueing.jobs import USD_HOUR, Amounts, Job
from spotkube.queueing.quotas import Ledger


class Level(StrEnum):
    """Where room is missing."""

    QUEUE = "queue"
    COHORT = "cohort"
    CLUSTER = "cluster"

    @property
    def up_to(self) -> tuple["Level", ...]:
        """The levels within it, and itself."""
        return _UP_TO[self]


_UP_TO = {level: tuple(Level)[: place + 1] for place, level in enumerate(Level)}


@dataclass(frozen=True, slots=True)
class Lack:
    """What is missing first: one resource on one level."""

    level: Level
    resource: str
    needed: int
    available: int


def counted(name: str, cluster: Amounts) -> bool:
    """Whether a cluster with these amounts limits the resource: what is not named there is none of, but for pods and
    dollars, which need not be named."""
    return name in cluster or name not in (PODS, USD_HOUR)


def _anything(_queue: str, _amounts: Amounts) -> bool:
    return True


class Room:
    """What is left on all levels. Copies may be changed to try things."""

    def __init__(self, ledger: Ledger, cluster: Amounts | None) -> None:
        self.ledger = ledger
        self._cluster = None if cluster is None else dict(cluster)

    def copy(self) -> "Room":
        return Room(self.ledger.copy(), self._cluster)

    def take(self, queue: str, amounts: Amounts) -> None:
        self.ledger.add(queue, amounts)
        self._change_cluster(amounts, -1)

    def give_back(self, queue: str, amounts: Amounts) -> None:
        self.ledger.remove(queue, amounts)
        self._change_cluster(amounts, 1)

    def _change_cluster(self, amounts: Amounts, sign: int) -> None:
        if self._cluster is not None:
            for name, amount in amounts.items():
                if name in self._cluster:
                    self._cluster[name] += sign * amount

    def left(self, level: Level, queue: str, name: str) -> int | None:
        """How much more of the resource there is on one level; None is no limit."""
        if level is Level.QUEUE:
            return self.ledger.room_in_queue(queue, name)
        if level is Level.COHORT:
            return self.ledger.room_in_cohort(queue, name)
        if self._cluster is None or not counted(name, self._cluster):
            return None
        return self._cluster.get(name, 0)

    def lack(self, queue: str, amounts: Amounts, levels: tuple[Level, ...] = tuple(Level)) -> Lack | None:
        """The first level and resource that this much does not fit, from the queue outwards; None if it fits."""
        for level in levels:
            for name, amount in amounts.items():
                left = self.left(level, queue, name)
                if left is not None and amount > left:
                    return Lack(level, name, amount, max(0, left))
        return None

    def width(self, job: Job, may_have: Callable[[str, Amounts], bool] = _anything) -> int:
        """With how many pods the job fits; 0 if with fewer than it needs. What `may_have` denies of the queue and the
        amounts it is not given beyond its least width."""

        def fits(amounts: Amounts) -> bool:
            return may_have(job.queue, amounts) and self.lack(job.queue, amounts) is None

        if not job.divisible or fits(job.full):
            return job.parallelism if self.lack(job.queue, job.full) is None else 0
        least = job.least_width
        if self.lack(job.queue, job.amounts(least)) is not None:
            return 0
        low, high = least, job.parallelism
        while high - low > 1:
            middle = (low + high) // 2
            if fits(job.amounts(middle)):
                low = middle
            else:
                high = middle
        return low

    def spare(self, level: Level, queue: str, amounts: Amounts) -> dict[str, int]:
        """What is left on a level of each of these resources that is limited there."""
        left = {name: self.left(level, queue, name) for name in amounts}
        return {name: amount for name, amount in left.items() if amount is not None}
