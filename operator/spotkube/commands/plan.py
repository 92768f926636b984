"""`spotkube plan`: the cheapest nodes for what manifests ask for, without a cluster."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console

from spotkube.catalog import load_catalog
from spotkube.commands.durations import parse_seconds
from spotkube.commands.waiting import bar
from spotkube.convert.documents import Mistakes, read_documents
from spotkube.convert.manifests import Manifests, to_snapshot
from spotkube.convert.misspelt import note_misspelt
from spotkube.model.cluster import Mode, Snapshot
from spotkube.reports.machine import to_values
from spotkube.reports.summary import Report
from spotkube.reports.tables import print_report

BAD_INPUT = 1
SOME_UNPLACEABLE = 2
# About, where nothing was kept on disk; else a second.
COMPILE_SECONDS = 120.0


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class PoolChoice(StrEnum):
    """Which NodePools may buy in the plan."""

    ALL = "all"
    APPLY = "Apply"
    RECOMMEND = "Recommend"


def plan(
    *,
    files: Annotated[
        list[str] | None,
        typer.Option(
            "--filename", "-f", help="Manifests: a file, a folder, a pattern, or - for standard input; may be repeated."
        ),
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="[FILES]...", help="More of them.")] = None,
    catalog: Annotated[Path | None, typer.Option(help="A catalog of your own instead of the shipped one.")] = None,
    seed: Annotated[
        int,
        typer.Option(min=0, help="Of the search. The same seed gives the same plan where time does not cut it off."),
    ] = 0,
    budget: Annotated[str, typer.Option(help="How long to search, such as 500ms, 5s or 1m.")] = "5s",
    mode: Annotated[
        PoolChoice, typer.Option(help="NodePools that may buy: of this mode alone, or all that are not Paused.")
    ] = PoolChoice.ALL,
    moves: Annotated[
        bool,
        typer.Option(
            "--consolidate/--no-consolidate",
            help="Whether nodes of NodeClaims may be given back or replaced where that pays for moving their pods.",
        ),
    ] = True,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="table for people, json and yaml with every node and pod.")
    ] = Output.TABLE,
) -> None:
    """Plan the cheapest nodes for what manifests ask for. No cluster is needed, and nothing is bought.

    Reads Workloads, Deployments, StatefulSets, ReplicaSets, ReplicationControllers, DaemonSets, Jobs, CronJobs (one
    run), Pods, PodDisruptionBudgets, NodePools, NodeClaims and Nodes. Nodes are filled first, and those of NodeClaims
    are given back or replaced where that pays for moving their pods. Exits with 0 when all pods have a place, with 2
    when some have none (the reasons are told), and with 1 on bad input: objects that can't be used are named, and the
    rest is planned.
    """
    mistakes = Mistakes()
    try:
        seconds = _seconds(budget)
        sources = [*(files or ()), *(more or ())]
        if not sources:
            raise ValueError("-f: no manifests given; name files, folders or patterns, or - for standard input")
        offerings = load_catalog(catalog).offerings
    except ValueError as error:
        _complain(str(error).splitlines())
        raise typer.Exit(BAD_INPUT) from error
    documents = read_documents(sources, sys.stdin, mistakes)
    note_misspelt(documents, mistakes)
    manifests = to_snapshot(documents, offerings, mistakes)
    _complain(mistakes.lines)
    if mistakes.lines and not manifests.snapshot.pods:
        raise typer.Exit(BAD_INPUT)
    report = make_report(manifests, mode, seed=seed, seconds=seconds, moves=moves, mistakes=mistakes.lines)
    match output:
        case Output.TABLE:
            print_report(Console(), report)
        case Output.JSON:
            typer.echo(json.dumps(to_values(report), indent=2))
        case Output.YAML:
            typer.echo(yaml.dump(to_values(report), Dumper=yaml.CSafeDumper, sort_keys=False, width=120), nl=False)
    if mistakes.lines:
        typer.echo("The plan is one for the rest: what the errors above name is not in it.", err=True)
        raise typer.Exit(BAD_INPUT)
    if report.plan.unplaceable:
        raise typer.Exit(SOME_UNPLACEABLE)


def _complain(mistakes: Sequence[str]) -> None:
    for line in mistakes:
        typer.echo(f"error: {line}", err=True)


def make_report(
    manifests: Manifests,
    choice: PoolChoice,
    *,
    seed: int,
    seconds: float,
    moves: bool = True,
    mistakes: Sequence[str] = (),
) -> Report:
    """Plans within the time, with a bar on the terminal."""
    # Imported late: the solver and the compiler take a second, for which no other command should wait.
    from spotkube.planner.decide import decide  # noqa: PLC0415
    from spotkube.planner.moves import consolidate  # noqa: PLC0415
    from spotkube.planner.problem import Budget  # noqa: PLC0415
    from spotkube.planner.warmup import warm_up  # noqa: PLC0415

    snapshot = _recommending(manifests.snapshot, choice)
    with bar("compiling the planner, which takes a while once", COMPILE_SECONDS):
        warm_up()
    with bar(f"planning {sum(1 for pod in snapshot.pods if pod.node is None)} pods", seconds):
        plan_for = consolidate if moves else decide
        decision = plan_for(snapshot, Mode.RECOMMEND, seed=seed, budget=Budget(seconds=seconds))
    return Report(decision, manifests.pod_names, seed, manifests.notes, mistakes)


def _recommending(snapshot: Snapshot, choice: PoolChoice) -> Snapshot:
    """The pools that may buy in mode Recommend, since nothing is carried out, and the others Paused."""
    chosen = (Mode.APPLY, Mode.RECOMMEND) if choice is PoolChoice.ALL else (Mode(choice.value),)
    pools = [replace(p, mode=Mode.RECOMMEND if p.mode in chosen else Mode.PAUSED) for p in snapshot.pools]
    return replace(snapshot, pools=tuple(pools))


def _seconds(budget: str) -> float:
    try:
        return parse_seconds(budget)
    except ValueError as error:
        raise ValueError(f"--budget: {error}") from error
