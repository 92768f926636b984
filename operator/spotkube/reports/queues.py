"""Queues, their tenants and who waits, as tables for people."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spotkube.api.common import ConditionStatus, find_condition
from spotkube.api.fairqueue import ACTIVE, FairQueue
from spotkube.convert.places import WaitingJob
from spotkube.reports.layout import columns, widen
from spotkube.reports.queue_report import QueueReport
from spotkube.reports.times import from_now, moment, span

FIRST_JOBS = 20
# Narrower terminals break the lines themselves, which reads better than columns of three letters.
LEAST_WIDTH = 130


def print_queues(console: Console, report: QueueReport, *, every_job: bool) -> None:
    """Those who wait are the first 20 unless `every_job`."""
    widen(console)
    console.width = max(console.width, LEAST_WIDTH)
    jobs = report.places.jobs if every_job else report.places.jobs[:FIRST_JOBS]
    sections = {
        "Queues": _queues(report),
        "Tenants": _tenants(report),
        _waiting_title(report, len(jobs)): _waiting(jobs, report.now),
    }
    if any(queue.status.overruns for queue in report.queues):
        sections["Pods that run longer than the queue advises"] = _overruns(report)
    for title, table in sections.items():
        console.print(f"[bold]{title}[/bold]", highlight=False)
        console.print(table if table.row_count else "none")
        console.print()
    for note in report.notes:
        console.print(f"note: {escape(note)}", highlight=False)


def active(queue: FairQueue) -> str:
    """Whether it admits, and why not."""
    condition = find_condition(queue.status.conditions, ACTIVE)
    if condition is None:
        return "not seen yet"
    return "yes" if condition.status is ConditionStatus.TRUE else f"no: {condition.reason}"


def _queues(report: QueueReport) -> Table:
    table = columns(
        ("QUEUE", "left"), ("COHORT", "left"), ("WEIGHT", "right"), ("ACTIVE", "left"), ("PENDING", "right"),
        ("ADMITTED", "right"), ("$/H", "right"), ("$ TODAY", "right"), ("$ THIS MONTH", "right"),
        ("USED OF QUOTA", "left"),
    )  # fmt: skip
    for queue in report.queues:
        spec, status = queue.spec, queue.status
        table.add_row(
            escape(queue.name),
            escape(spec.cohort or "-"),
            f"{spec.weight:g}",
            active(queue),
            _count(status.pending_workloads),
            _count(status.admitted_workloads),
            _spent(status.spend.usd_per_hour, spec.budget.usd_per_hour),
            _spent(status.spend.usd_today, spec.budget.usd_per_day),
            _spent(status.spend.usd_this_month, spec.budget.usd_per_month),
            _usage(queue),
        )
    return table


def _usage(queue: FairQueue) -> str:
    used = {one.name: one for one in queue.status.usage}
    words = []
    for quota in queue.spec.resources:
        one = used.get(quota.name)
        borrowed = f" ({one.borrowed} borrowed)" if one is not None and one.borrowed != "0" else ""
        words.append(escape(f"{quota.name} {one.used if one is not None else '?'}/{quota.nominal_quota}{borrowed}"))
    return ", ".join(words) or "no quota"


def _tenants(report: QueueReport) -> Table:
    table = columns(
        ("QUEUE", "left"), ("TENANT", "left"), ("WEIGHT", "right"), ("PENDING", "right"), ("ADMITTED", "right"),
        ("$/H", "right"), ("$ THIS MONTH", "right"), ("SHARE OF $/H", "right"), ("ENTITLED", "right"),
    )  # fmt: skip
    for one in report.shares:
        tenant = one.tenant
        table.add_row(
            escape(one.queue),
            escape(tenant.name),
            f"{tenant.weight:g}",
            str(tenant.pending),
            str(tenant.admitted),
            f"{tenant.usd_per_hour:.2f}",
            f"{tenant.usd_this_month:.2f}",
            "-" if one.share is None else f"{one.share:.0%}",
            f"{one.entitled:.0%}",
        )
    return table


def _waiting_title(report: QueueReport, shown: int) -> str:
    number = len(report.places.jobs)
    of_them = f", the first {shown} of {number} (--all shows all)" if shown < number else ""
    as_of = report.places.as_of
    ago = "" if as_of is None else f", as of {span(max(0.0, report.now - as_of))} ago"
    return f"Waiting{of_them}{ago}"


def _waiting(jobs: tuple[WaitingJob, ...], now: float) -> Table:
    table = columns(
        ("POS", "right"), ("OVERALL", "right"), ("JOB", "left"), ("QUEUE", "left"), ("TENANT", "left"),
        ("START (UTC)", "left"), ("", "left"), ("4 OF 5 BETWEEN", "left"), ("WHY IT WAITS", "left"),
    )  # fmt: skip
    for job in jobs:
        start, low, high = job.estimated_start, job.earliest_start, job.latest_start
        table.add_row(
            _count(job.position),
            _count(job.overall),
            escape(job.name),
            escape(job.queue),
            escape(job.tenant),
            "not known" if start is None else moment(start, now),
            "" if start is None else from_now(start, now),
            "" if low is None or high is None else f"{moment(low, now)} and {moment(high, now)}",
            escape(f"{job.reason}: {job.message}" if job.message else job.reason),
        )
    return table


def _overruns(report: QueueReport) -> Table:
    table = columns(("JOB", "left"), ("QUEUE", "left"), ("ADVISED", "right"), ("PODS", "right"), ("LONGER BY", "right"))
    for queue in report.queues:
        for one in queue.status.overruns:
            longer = span(max(0.0, report.now - one.since.timestamp()))
            table.add_row(
                escape(one.job), escape(queue.name), queue.spec.advisory_run_time or "-", str(one.pods), longer
            )
    return table


def _count(number: int | None) -> str:
    return "-" if number is None else str(number)


def _spent(usd: float, budget_usd: float | None) -> str:
    return f"{usd:.2f}" if budget_usd is None else f"{usd:.2f}/{budget_usd:.2f}"
