"""What came out of a policy, in numbers, beside ideal sharing between tenants."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spotkube.queueing.fairness import jain
from spotkube.simulation.jobs import Run

FASTEST = 0.8


@dataclass(frozen=True, slots=True)
class Metrics:
    """Times in seconds. A response is from submission to end; `fastest_80_response` the mean of the 80 % of jobs with
    the least. A slowdown is response over run time at full width, the mean of the tenant's jobs that take any time.

    For each job r = (end - end in the reference) / (duration in the reference): `dvr` is the mean of r > 0, how
    much later those are that are later, and `dsr` that of the others; 0 where there are none (arXiv 2510.15485). `jain`
    is Jain's index of what each tenant got of its due: reference duration over its own, all of its jobs together, at
    most 1. Every tenant counts that asked for anything.
    """

    jobs: int
    mean_response: float
    p95_response: float
    fastest_80_response: float
    slowdown_by_tenant: dict[str, float]
    response_by_tenant: dict[str, float]
    dvr: float
    dsr: float
    jain: float


def measure(runs: Sequence[Run], reference: Sequence[Run]) -> Metrics:
    """Of one policy's runs, beside those of processor sharing between tenants on the same trace, which is not empty."""
    ideal = {run.job.id: run for run in reference}
    responses = sorted(run.response for run in runs)
    fastest = responses[: max(1, int(FASTEST * len(responses)))]
    relative = [_relative(run, ideal[run.job.id]) for run in runs if ideal[run.job.id].response > 0]
    return Metrics(
        jobs=len(runs),
        mean_response=statistics.fmean(responses),
        p95_response=responses[min(len(responses) - 1, int(0.95 * len(responses)))],
        fastest_80_response=statistics.fmean(fastest),
        slowdown_by_tenant=_mean_by_tenant((r.job.tenant, r.response / r.job.run_time) for r in runs if r.job.run_time),
        response_by_tenant=_mean_by_tenant((run.job.tenant, run.response) for run in runs),
        dvr=statistics.fmean([r for r in relative if r > 0] or [0.0]),
        dsr=statistics.fmean([r for r in relative if r <= 0] or [0.0]),
        jain=jain(_dues(runs, reference)),
    )


def _relative(run: Run, ideal: Run) -> float:
    late = run.end - ideal.end
    # What is less than that is rounding.
    return 0.0 if abs(late) <= 1e-9 * max(1.0, ideal.end) else late / ideal.response


def _mean_by_tenant(values: Iterable[tuple[str, float]]) -> dict[str, float]:
    by_tenant: dict[str, list[float]] = defaultdict(list)
    for tenant, value in values:
        by_tenant[tenant].append(value)
    return {tenant: statistics.fmean(own) for tenant, own in sorted(by_tenant.items())}


def _dues(runs: Sequence[Run], reference: Sequence[Run]) -> list[float]:
    took = _mean_by_tenant((run.job.tenant, run.response) for run in runs)
    due = _mean_by_tenant((run.job.tenant, run.response) for run in reference)
    return [min(1.0, due[name] / took[name]) if took.get(name) else float(name in took) for name in due]
