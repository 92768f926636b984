"""How long a job will run: as its owner says, else as the last runs of its class did, else a default."""

import math
from dataclasses import dataclass
from enum import StrEnum

from spotkube.queueing.history import History
from spotkube.queueing.jobclasses import JobClass

DEFAULT_SECONDS = 600.0
DEFAULT_ERROR_RATIO = 3.0
"""What is assumed before anything is known: half of such runs take between a third and thrice as long."""
LEAST_SECONDS = 1.0
MOST_SECONDS = 30 * 24 * 3600.0


class Source(StrEnum):
    """Where an estimate comes from."""

    DECLARED = "Declared"
    HISTORY = "History"
    DEFAULT = "Default"


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of a whole run."""

    seconds: float
    source: Source
    runs: int
    """How many runs it is the mean of."""
    error_ratio: float | None
    """By which factor estimates of this class were off so far, at the median; None if none has ended."""
    words: str

    @property
    def assumed_error_ratio(self) -> float:
        """The error so far, or what is assumed without one."""
        return DEFAULT_ERROR_RATIO if self.error_ratio is None else self.error_ratio


def estimate(
    job_class: JobClass, history: History, declared_seconds: float | None, default_seconds: float = DEFAULT_SECONDS
) -> Estimate:
    """The estimate of a job that is submitted now. What is declared and is no length of time counts as not declared."""
    runs = history.of(job_class)
    error = runs.error_ratio if runs is not None else None
    if declared_seconds is not None and not math.isnan(declared_seconds):
        seconds, said = _within_bounds(declared_seconds)
        return Estimate(seconds, Source.DECLARED, 0, error, f"its owner says {declared_seconds:g} s{said}")
    note = "" if declared_seconds is None else "; what its owner says is no number"
    if runs is not None:
        seconds, said = _within_bounds(runs.mean_seconds)
        count = len(runs.run_seconds)
        words = f"mean of the last {count} runs of {job_class}{said}{note}"
        return Estimate(seconds, Source.HISTORY, count, error, words)
    return Estimate(default_seconds, Source.DEFAULT, 0, None, f"nothing is known of {job_class}{note}")


def _within_bounds(seconds: float) -> tuple[float, str]:
    bounded = min(MOST_SECONDS, max(LEAST_SECONDS, seconds))
    return bounded, "" if bounded == seconds else f", which counts as {bounded:g} s"
