"""How long the last runs of each class took, and how far their estimates were off. Frozen, and bounded in size."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

from spotkube.queueing.jobclasses import JobClass

RUNS_KEPT = 5
"""As the authors of User-Weighted Fair Queueing estimate: the mean of the last five."""
ERRORS_KEPT = 20
CLASSES_KEPT = 200
"""For each tenant; then that goes whose last run is longest ago. Nobody can crowd out another tenant's."""
TENANTS_KEPT = 2000


@dataclass(frozen=True, slots=True)
class ClassRuns:
    """The last runs of one class, the oldest first."""

    run_seconds: tuple[float, ...] = ()
    ratios: tuple[float, ...] = ()
    """By which factor each estimate was off: actual to estimated or the reverse, whichever is larger."""
    last_seconds: float = 0.0
    """Unix time at which the last one ended."""

    @property
    def mean_seconds(self) -> float:
        return fmean(self.run_seconds)

    @property
    def error_ratio(self) -> float | None:
        """Half of the estimates were off by no more than this factor; None if there were none."""
        return median(self.ratios) if self.ratios else None

    def with_run(self, run_seconds: float, estimated_seconds: float, now_seconds: float) -> "ClassRuns":
        ratio = max(run_seconds / estimated_seconds, estimated_seconds / run_seconds)
        return ClassRuns(
            (*self.run_seconds, run_seconds)[-RUNS_KEPT:], (*self.ratios, ratio)[-ERRORS_KEPT:], now_seconds
        )


@dataclass(frozen=True)
class History:
    """By tenant, and by the key of the class."""

    tenants: Mapping[str, Mapping[str, ClassRuns]] = field(default_factory=dict)

    def of(self, job_class: JobClass) -> ClassRuns | None:
        return self.tenants.get(job_class.tenant, {}).get(job_class.key)

    def with_run(
        self, job_class: JobClass, run_seconds: float, estimated_seconds: float, now_seconds: float
    ) -> "History":
        """With a run that has ended well. One without a length in seconds is left out, as when a clock stepped back."""
        if not (math.isfinite(run_seconds) and run_seconds > 0 and estimated_seconds > 0):
            return self
        classes = dict(self.tenants.get(job_class.tenant, {}))
        runs = classes.get(job_class.key, ClassRuns()).with_run(run_seconds, estimated_seconds, now_seconds)
        classes[job_class.key] = runs
        if len(classes) > CLASSES_KEPT:
            del classes[min(classes, key=lambda key: (classes[key].last_seconds, key))]
        tenants = {**self.tenants, job_class.tenant: classes}
        if len(tenants) > TENANTS_KEPT:
            del tenants[min(tenants, key=lambda name: (_last(tenants[name]), name))]
        return History(tenants)

    def state(self) -> dict[str, Any]:
        """As plain numbers and names, for JSON."""
        return {
            tenant: {key: [runs.run_seconds, runs.ratios, runs.last_seconds] for key, runs in classes.items()}
            for tenant, classes in self.tenants.items()
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "History":
        """What gave the state. Raises TypeError, ValueError."""
        return cls(
            {
                tenant: {key: ClassRuns(tuple(runs), tuple(ratios), last) for key, (runs, ratios, last) in told.items()}
                for tenant, told in state.items()
            }
        )


def _last(classes: Mapping[str, ClassRuns]) -> float:
    return max(runs.last_seconds for runs in classes.values())
