"""`spotkube queue simulate`: plays a file of jobs under the order of the queue and under others, without a cluster."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

from spotkube.commands.waiting import steps
from spotkube.simulation.estimates import Estimates
from spotkube.simulation.jobs import Run, Trace
from spotkube.simulation.metrics import Metrics, measure
from spotkube.simulation.play import POLICIES, REFERENCE, play
from spotkube.simulation.reading import Format, read_trace
from spotkube.simulation.report import to_document

PIPE_WIDTH = 160
MOST_TENANTS = 20
ADVISORY_SECONDS = 60.0
Played = dict[str, tuple[list[Run], Metrics]]


def simulate(
    file: Annotated[Path, typer.Argument(help="Jobs as JSON, or a log in the Standard Workload Format.")],
    policy: Annotated[
        list[str] | None,
        typer.Option(help=f"One of {', '.join(POLICIES)}; may be repeated. [default: all]", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list with an object for each policy.")] = False,
    jobs: Annotated[bool, typer.Option(help="Print each job's times too; --json always does.")] = False,
    form: Annotated[
        Format | None, typer.Option("--format", help="What FILE is. [default: what it looks like]", show_default=False)
    ] = None,
    capacity: Annotated[
        float | None, typer.Option(min=1e-9, help="Units of capacity, instead of what FILE says.")
    ] = None,
    first: Annotated[int, typer.Option(min=0, help="Play only so many jobs, those that come first; 0 for all.")] = 0,
    estimates: Annotated[
        Estimates | None,
        typer.Option(
            help="What jobs are taken for while they wait: their true size, the last five of their tenant and width, "
            "or what they say. [default: requested for JSON, exact for logs]",
            show_default=False,
        ),
    ] = None,
    advisory_seconds: Annotated[
        float, typer.Option(min=1e-3, help="How long a pod runs at most under uwfq-partitioned.")
    ] = ADVISORY_SECONDS,
) -> None:
    """Play arrivals under the order of the queue and under others: who begins and ends when, and how fair that is."""
    try:
        names = _known(policy or POLICIES)
        trace = read_trace(file, form, capacity, first)
    except ValueError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    way = estimates or (Estimates.REQUESTED if trace.told_sizes else Estimates.EXACT)
    played = _play(trace, names, way, advisory_seconds)
    if as_json:
        typer.echo(json.dumps([to_document(name, *outcome) for name, outcome in played.items()], allow_nan=False))
        return
    _print(Console(), trace, played, jobs)


def _known(names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in POLICIES:
            raise ValueError(f"policy: there is no {name!r}; the policies are {', '.join(POLICIES)}")
    return list(dict.fromkeys(names))


def _play(trace: Trace, names: Sequence[str], estimates: Estimates, advisory_seconds: float) -> Played:
    """By policy; all are measured beside the reference, which is played for that even if nobody asked for it."""
    wanted = list(dict.fromkeys([REFERENCE, *names]))
    runs: dict[str, list[Run]] = {}
    with steps("playing the jobs") as progress:
        for number, name in enumerate(wanted):
            progress(number, len(wanted))
            runs[name] = play(trace, name, estimates, advisory_seconds)
    return {name: (runs[name], measure(runs[name], runs[REFERENCE])) for name in names}


def _print(console: Console, trace: Trace, played: Played, jobs: bool) -> None:
    if not console.is_terminal:
        console.width = max(console.width, PIPE_WIDTH)
    if jobs:
        for name, (runs, _) in played.items():
            console.print(f"[bold]{name}[/bold]")
            console.print(_jobs(runs))
            console.print()
    console.print(_comparison(played))
    console.print(_slowdowns(played))
    for note in trace.notes:
        console.print(f"note: {note}", highlight=False)


def _table(*columns: tuple[str, JustifyMethod]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for heading, justify in columns:
        table.add_column(heading, justify=justify, no_wrap=True)
    return table


def _comparison(played: Played) -> Table:
    headings = ("MEAN RESPONSE", "P95", "FASTEST 80 %", "DVR", "DSR", "JAIN")
    table = _table(("POLICY", "left"), *((heading, "right") for heading in headings))
    for name, (_, it) in played.items():
        seconds = (f"{value:.1f} s" for value in (it.mean_response, it.p95_response, it.fastest_80_response))
        table.add_row(name, *seconds, f"{it.dvr:.3f}", f"{it.dsr:.3f}", f"{it.jain:.3f}")
    return table


def _slowdowns(played: Played) -> Table:
    """Of the tenants with the most jobs; all are in --json."""
    table = _table(("SLOWDOWN OF", "left"), *((name.upper(), "right") for name in played))
    tenants = Counter(run.job.tenant for runs, _ in played.values() for run in runs)
    for tenant, _ in tenants.most_common(MOST_TENANTS):
        slowdowns = (metrics.slowdown_by_tenant.get(tenant) for _, metrics in played.values())
        table.add_row(escape(tenant), *("" if value is None else f"{value:.2f}" for value in slowdowns))
    return table


def _jobs(runs: Sequence[Run]) -> Table:
    table = _table(("JOB", "left"), ("TENANT", "left"), *((h, "right") for h in ("SUBMIT", "DEADLINE", "START", "END")))
    for run in sorted(runs, key=lambda run: (run.start, run.end, run.job.id)):
        deadline = "" if run.deadline is None else f"{run.deadline:.1f}"
        times = (f"{run.job.submit:.1f}", deadline, f"{run.start:.1f}", f"{run.end:.1f}")
        table.add_row(escape(run.job.id), escape(run.job.tenant), *times)
    return table
