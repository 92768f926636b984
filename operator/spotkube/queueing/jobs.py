"""A job of the queue, what it asks for, and where it stands: it waits, or it runs."""

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from spotkube.model.resources import CPU, PODS, ResourceList

MICRO = 1_000_000
HOUR_SECONDS = 3600
USD_HOUR = "spotkube.io/micro-usd-hour"
"""What a job costs an hour is counted like a resource, in micro-dollars, so that a limit on it is a quota."""
CORE_USD_HOUR = 0.04
"""What a core is worth where no price is known: about the list price of a core of general purpose with its memory."""

Amounts = Mapping[str, int]
"""How much of each resource, in the units of `ResourceList`, besides PODS and USD_HOUR."""


@dataclass(frozen=True, slots=True)
class PodSet:
    """Pods of one kind."""

    name: str
    count: int
    requests: ResourceList
    """Of one pod."""


@dataclass(frozen=True)
class Job:
    """What was submitted, and what is known about it. Raises ValueError for what no job can have.

    A job is admitted with all its pods or not at all. Only with `min_parallelism` it is divisible: it has one pod set,
    and may run with any number of these pods from `min_parallelism` to all.
    """

    uid: str
    name: str
    """For people: kind, namespace and name."""
    queue: str
    tenant: str
    pod_sets: tuple[PodSet, ...]
    submitted_seconds: float = 0.0
    priority: int = 0
    """Higher goes first, inside its queue only."""
    run_seconds: float = 600.0
    """Estimate of its run with all its pods."""
    error_ratio: float = 1.0
    """By which factor such estimates were off so far, at the median; at least 1."""
    price_usd_hour: float | None = None
    """Estimate for all its pods; None if unknown."""
    min_parallelism: int | None = None
    gang: bool = False
    """Its pods are released together, and given back if they are not all ready in time."""
    missing_pods: int = 0
    """Pods of the group that do not exist yet."""
    preemptible: bool = True
    """Whether it can be taken back at all: a pod that nobody makes anew can't."""
    preemptors: tuple[str, ...] = ()
    """UIDs of those that preempted it so far, oldest first."""
    retries: int = 0
    """How often it was given back since its pods were not ready in time."""

    def __post_init__(self) -> None:
        if self.parallelism < 1:
            raise ValueError(f"{self.name}: it has {self.parallelism} pods; queue it once it has at least one")
        for field, value in (("run_seconds", self.run_seconds), ("price_usd_hour", self.price_usd_hour or 0.0)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{self.name}: {field} {value} must be zero or more and finite; correct its estimate")
        least = self.min_parallelism
        if least is not None and (len(self.pod_sets) != 1 or not 1 <= least <= self.pod_sets[0].count):
            raise ValueError(
                f"{self.name}: min_parallelism {least} needs one pod set of at least as many pods; "
                "set it to 1 or more and at most parallelism, or leave it out"
            )

    @property
    def divisible(self) -> bool:
        return self.min_parallelism is not None

    @property
    def may_preempt(self) -> bool:
        """Whether others may be ended for it."""
        return True

    @cached_property
    def parallelism(self) -> int:
        """Pods of all its sets."""
        return sum(pod_set.count for pod_set in self.pod_sets)

    @property
    def least_width(self) -> int:
        """The fewest pods that it may run with."""
        return self.parallelism if self.min_parallelism is None else self.min_parallelism

    @cached_property
    def full(self) -> Amounts:
        """What all its pods take."""
        total: Counter[str] = Counter({PODS: self.parallelism})
        for pod_set in self.pod_sets:
            total.update({name: amount * pod_set.count for name, amount in pod_set.requests.items()})
        if self.price_usd_hour is not None:
            total[USD_HOUR] = round(self.price_usd_hour * MICRO)
        return {name: amount for name, amount in sorted(total.items()) if amount}

    def amounts(self, width: int) -> Amounts:
        """What `width` of its pods take."""
        if width == self.parallelism:
            return self.full
        return {name: -(-amount * width // self.parallelism) for name, amount in self.full.items()}

    def run_seconds_at(self, width: int) -> float:
        """With fewer pods the same work takes the longer."""
        return self.run_seconds * self.parallelism / max(1, width)

    @cached_property
    def worth_usd_hour(self) -> float:
        """What an hour of its work is worth: its price, or what its cores cost elsewhere."""
        if self.price_usd_hour is not None:
            return self.price_usd_hour
        return self.full.get(CPU, 0) / 1000 * CORE_USD_HOUR

    @cached_property
    def worth_micro_usd(self) -> int:
        """What its whole work is worth."""
        return round(self.worth_usd_hour * self.run_seconds / HOUR_SECONDS * MICRO)

    @cached_property
    def shape(self) -> Hashable:
        """Jobs of one queue with the same shape find room, or do not, all alike: by preemption, too."""
        return self.pod_sets, self.min_parallelism, self.price_usd_hour, self.preemptors


@dataclass(frozen=True)
class Waiting:
    """A job that waits."""

    job: Job
    key: float
    """Its place in the order of all: decides among the jobs of its queue and priority, and if it is the first of its
    queue, against those of other queues."""
    backoff_until_seconds: float = 0.0
    promised_seconds: float | None = None
    """The first start that it was promised by a reservation."""

    def __post_init__(self) -> None:
        # One key that compares with nothing would disturb the order of all.
        if math.isnan(self.key):
            raise ValueError(f"{self.job.name}: key {self.key} must not be NaN; give it a number")

    def promised(self, start_seconds: float) -> "Waiting":
        """With the promise, unless there was an earlier one."""
        return self if self.promised_seconds is not None else replace(self, promised_seconds=start_seconds)


@dataclass(frozen=True, slots=True)
class Division:
    """How far a divisible job is that runs."""

    unfinished: int
    """How many of its pods have still to end well, those that run among them."""
    pod_seconds: float
    """Estimate of the run of one pod."""
    worked_seconds: float
    """What it has done, as time of its run with all its pods."""
    target: int | None = None
    """The width that it is to shrink to as its pods end; None if to none."""
    shed_seconds: float = 0.0
    """When it will have shrunk, Unix time."""
    entitled: int | None = None
    """The width that is its due now; None in a queue that is stopped, which changes none."""


@dataclass(frozen=True)
class Running:
    """A job that was admitted."""

    job: Job
    admitted_seconds: float
    width: int
    nominal: bool = True
    """Whether it was admitted within its queue's own quota. Only who was not can be reclaimed from."""
    checkpoint_seconds: float | None = None
    """When its work was last saved; None if never."""
    ready: bool = True
    """Whether all its pods are."""
    key: float = 0.0
    """As in `Waiting`: what is given back keeps its place."""
    division: Division | None = None
    """Of one that can still change its width. Its `key` is the place at which it asks for more."""

    @cached_property
    def amounts(self) -> Amounts:
        return self.job.amounts(self.width)

    @cached_property
    def usd_hour(self) -> float | None:
        price = self.job.price_usd_hour
        return None if price is None else price * self.width / max(1, self.job.parallelism)

    def end_seconds(self, now_seconds: float) -> float:
        """When it will end. A job that is late is given its estimate again, doubled as often as it takes: a prediction
        that was passed has to be corrected (Tsafrir, Etsion, Feitelson: Backfilling Using System-Generated Predictions
        Rather than User Runtime Estimates, IEEE TPDS 18(6), 2007, section 3).
        """
        if self.division is None:
            elapsed = now_seconds - self.admitted_seconds
            return self.admitted_seconds + not_passed(self.job.run_seconds_at(self.width), elapsed)
        done, target = self.division.worked_seconds, self.division.target
        left = not_passed(self.job.run_seconds, done) - done
        return now_seconds + left * self.job.parallelism / max(1, self.width if target is None else target)

    def leaving(self, now_seconds: float) -> Iterator[tuple[float, Amounts]]:
        """When it gives back how much."""
        division = self.division
        if division is None or division.target is None:
            yield self.end_seconds(now_seconds), self.amounts
            return
        kept = self.job.amounts(division.target)
        yield division.shed_seconds, {name: amount - kept.get(name, 0) for name, amount in self.amounts.items()}
        yield self.end_seconds(now_seconds), kept

    def unsaved_seconds(self, now_seconds: float) -> float:
        """How much of its run would have to be done again."""
        since = self.admitted_seconds if self.checkpoint_seconds is None else self.checkpoint_seconds
        return max(0.0, now_seconds - max(since, self.admitted_seconds))


def not_passed(estimate_seconds: float, elapsed_seconds: float) -> float:
    """The estimate, doubled as often as it takes until it is above what has passed."""
    run = max(1e-3, estimate_seconds)
    while run <= elapsed_seconds:
        run *= 2
    return run
