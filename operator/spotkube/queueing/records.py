"""What the queue remembers of one job."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spotkube.model.resources import PODS
from spotkube.queueing.dividing import Progress
from spotkube.queueing.estimates import Estimate, Source
from spotkube.queueing.jobs import USD_HOUR, Amounts, Job

_UNSHARED = (PODS, USD_HOUR)


@dataclass
class Record:
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
    leaving: bool = False
    """It was ended, and has not left yet."""
    was_ready: bool = False
    """All its pods were ready once since it was admitted."""
    paid_by_others: float = 0.0
    width: int | None = None
    """With how many pods it was admitted."""
    has_turn: bool = False
    """It runs, and waits in the clock all the same: pods of it are to begin in their turn."""
    progress: Progress = field(default_factory=Progress)

    @property
    def run_seconds(self) -> float:
        """What its run is taken to be; above zero."""
        return max(1e-3, self.estimate.seconds)

    def taken(self, ran_seconds: float) -> float:
        """What it has taken in so much time, as its size is counted, that its tenant pays."""
        return max(0.0, self.size * max(0.0, ran_seconds) / self.run_seconds - self.paid_by_others)

    def has_grown(self, job: Job) -> bool:
        """Whether it asks for more now than what its place was given for."""
        return any(amount > self.amounts.get(name, 0) for name, amount in lasting(job).items())

    def written(self) -> dict[str, Any]:
        """As plain numbers and names, for JSON."""
        told = self.estimate
        return {
            **{name: value for name, value in vars(self).items() if name != "estimate"},
            "estimate": [told.seconds, told.source.value, told.runs, told.error_ratio, told.words],
        }

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> "Record":
        """What gave `written`. Raises KeyError, TypeError, ValueError."""
        seconds, source, runs, error, words = told["estimate"]
        record = cls(**{**told, "estimate": Estimate(seconds, Source(source), runs, error, words)})
        record.path = (told["path"][0], told["path"][1])
        record.after, record.preemptors = tuple(record.after), tuple(record.preemptors)
        record.progress = Progress(*told.get("progress", (0.0, 1.0, record.admitted_seconds)))
        return record


def lasting(job: Job) -> dict[str, int]:
    """What it takes, without its price, which changes by itself."""
    return {name: amount for name, amount in job.full.items() if name != USD_HOUR}


def dominant_share(amounts: Amounts, totals: Amounts) -> float:
    """The largest part that it is of any resource; of what no total is known, or nothing but pods, it is none."""
    shares = [amount / totals[name] for name, amount in amounts.items() if totals.get(name) and name not in _UNSHARED]
    return max(shares, default=0.0)
