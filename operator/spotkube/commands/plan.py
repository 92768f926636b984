"""`spotkube plan`: the cheapest nodes for what manifests ask for, without a cluster; or a decision made again."""

import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from spotkube.catalog import load_catalog
from spotkube.commands.durations import parse_seconds
from spotkube.commands.explaining import with_advice, with_costs
from spotkube.commands.questions import DEFAULT_SECONDS, Question, of_manifests, of_snapshot
from spotkube.commands.waiting import bar
from spotkube.convert.documents import Mistakes, read_documents
from spotkube.convert.manifests import to_snapshot
from spotkube.convert.misspelt import note_misspelt
from spotkube.convert.snapshots import digest, to_bytes, to_record
from spotkube.model.cluster import Mode
from spotkube.model.policy import CHEAPEST, Pick, PolicyUnsatisfiable
from spotkube.reports.machine import to_values
from spotkube.reports.summary import Replay, Report
from spotkube.reports.tables import print_report

BAD_INPUT = 1
SOME_UNPLACEABLE = 2
ANOTHER_PLAN = 3
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
        int | None,
        typer.Option(min=0, help="Of the search. Without it 0, or the one in the snapshot."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="How long to search, such as 500ms or 1m. Without it 5s; a replay needs none.")
    ] = None,
    policy: Annotated[
        Pick | None,
        typer.Option(
            help="Which of the plans that were weighed is taken: cheapest; balanced, the least sum of cost, expected "
            "cost of interruptions and pods lost together at the exchange rate; or safest within so many percent. "
            "Without it cheapest, or the one in the snapshot."
        ),
    ] = None,
    exchange_rate_usd: Annotated[
        float | None,
        typer.Option(
            help="For balanced: dollars an hour that it is worth to lose one pod less together. "
            f"Without it {CHEAPEST.exchange_rate_usd:g}."
        ),
    ] = None,
    within_percent: Annotated[
        float | None,
        typer.Option(
            help="For safest: how many percent dearer than the cheapest plan it may be. "
            f"Without it {CHEAPEST.within_percent:g}."
        ),
    ] = None,
    max_pods_lost_together: Annotated[
        float | None, typer.Option(help="Plans that lose more pods together in the worst 5 % of cases are not taken.")
    ] = None,
    mode: Annotated[
        PoolChoice | None,
        typer.Option(help="NodePools that may buy: of this mode alone. Without it all that are not Paused."),
    ] = None,
    moves: Annotated[
        bool | None,
        typer.Option(
            "--consolidate/--no-consolidate",
            help="Whether nodes of NodeClaims may be given back or replaced where that pays for moving their pods. "
            "Without it they may.",
        ),
    ] = None,
    snapshot: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Instead of manifests: what a decision was made from, as a CapacityPlan names it in status.snapshot "
            "(kubectl get configmap NAME -o yaml), as --save-snapshot wrote it, or - for standard input. Its plan is "
            "made again bit for bit; with another --seed or policy or with --budget one is made anew.",
        ),
    ] = None,
    save_snapshot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write what the plan was made from, to make it again with --snapshot."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell also what each rule costs: one more short search for each.")
    ] = False,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="table for people, json and yaml with every node and pod.")
    ] = Output.TABLE,
) -> None:
    """Plan the cheapest nodes for what manifests ask for. No cluster is needed, and nothing is bought.

    Reads Workloads, Deployments, StatefulSets, ReplicaSets, ReplicationControllers, DaemonSets, Jobs, CronJobs (one
    run), Pods, PodDisruptionBudgets, NodePools, NodeClaims and Nodes, and the ConfigMap spotkube-interruptions with
    what a cluster has seen of spot. Nodes are filled first, and those of NodeClaims are given back or replaced where
    that pays for moving their pods. Exits with 0 when all pods have a place, with 2 when some have none (the reasons
    are told), and with 1 on bad input, or when no plan is what the policy asks for: objects that can't be used are
    named, and the rest is planned.

    A decision of the operator is made again, bit for bit, from the snapshot that its CapacityPlan names:

    kubectl get configmap -n NAMESPACE NAME -o yaml | spotkube plan --snapshot -

    A replay exits with 3 when another plan comes out, as on another kind of processor it may.
    """
    sources = [*(files or ()), *(more or ())]
    try:
        seconds = None if budget is None else _seconds(budget)
        wanted = _policy(policy, exchange_rate_usd, within_percent, max_pods_lost_together)
        if snapshot is None:
            question = _of_manifests(
                sources,
                catalog,
                mode or PoolChoice.ALL,
                seed or 0,
                seconds or DEFAULT_SECONDS,
                moves=moves is not False,
            ).with_policy(wanted)
        else:
            _refuse_beside_snapshot(
                {"-f": sources, "--catalog": catalog, "--mode": mode, "--[no-]consolidate": moves is not None}
            )
            question = of_snapshot(snapshot, seed, seconds, wanted)
    except ValueError as error:
        _complain(str(error).splitlines())
        raise typer.Exit(BAD_INPUT) from error
    try:
        report = make_report(question)
    except PolicyUnsatisfiable as error:
        _complain([str(error)])
        raise typer.Exit(BAD_INPUT) from error
    if save_snapshot is not None:
        _save(question, report, save_snapshot)
    if explain:
        report = with_costs(question.snapshot, question.mode, report)
    match output:
        case Output.TABLE:
            print_report(Console(), report)
        case Output.JSON:
            typer.echo(json.dumps(to_values(report), indent=2))
        case Output.YAML:
            typer.echo(yaml.dump(to_values(report), Dumper=yaml.CSafeDumper, sort_keys=False, width=120), nl=False)
    if report.errors:
        typer.echo("The plan is one for the rest: what the errors above name is not in it.", err=True)
        raise typer.Exit(BAD_INPUT)
    if report.replay is not None and not report.replay.same:
        typer.echo(f"error: {report.replay}", err=True)
        raise typer.Exit(ANOTHER_PLAN)
    if report.plan.unplaceable:
        raise typer.Exit(SOME_UNPLACEABLE)


def _complain(mistakes: Sequence[str]) -> None:
    for line in mistakes:
        typer.echo(f"error: {line}", err=True)


def _of_manifests(
    sources: Sequence[str], catalog: Path | None, choice: PoolChoice, seed: int, seconds: float, *, moves: bool
) -> Question:
    """Raises ValueError; exits where mistakes leave nothing to plan."""
    if not sources:
        raise ValueError("-f: no manifests given; name files, folders or patterns, or - for standard input")
    offerings, mistakes = load_catalog(catalog).offerings, Mistakes()
    documents = read_documents(sources, sys.stdin, mistakes)
    note_misspelt(documents, mistakes)
    manifests = to_snapshot(documents, offerings, mistakes)
    _complain(mistakes.lines)
    if mistakes.lines and not manifests.snapshot.pods:
        raise typer.Exit(BAD_INPUT)
    modes = (Mode.APPLY, Mode.RECOMMEND) if choice is PoolChoice.ALL else (Mode(choice.value),)
    return of_manifests(manifests, modes, seed, seconds, mistakes.lines, moves=moves)


def _refuse_beside_snapshot(options: Mapping[str, object]) -> None:
    for name, value in options.items():
        if value:
            raise ValueError(
                f"{name} can't stand beside --snapshot, which holds pods, nodes, NodePools and offerings as they were: "
                "leave one of them out"
            )


def make_report(question: Question) -> Report:
    """Plans within the time, with a bar on the terminal."""
    # Imported late: the solver and the compiler take a second, for which no other command should wait.
    from spotkube.planner.consolidation.consolidate import consolidate  # noqa: PLC0415
    from spotkube.planner.decide import decide  # noqa: PLC0415
    from spotkube.planner.problem import Budget  # noqa: PLC0415
    from spotkube.planner.warmup import warm_up  # noqa: PLC0415

    again = question.again
    with bar("compiling the planner, which takes a while once", COMPILE_SECONDS):
        warm_up()
    with bar(f"planning {question.waiting} pods", question.seconds or DEFAULT_SECONDS):
        plan_for = consolidate if question.moves else decide
        decision = plan_for(
            question.snapshot,
            question.mode,
            seed=question.seed,
            budget=Budget(seconds=question.seconds),
            repeat=again.work if again else None,
        )
    replay = Replay(again.plan, digest(decision)) if again else None
    decision = with_advice(question.snapshot, question.mode, decision)
    return Report(decision, question.pod_names, question.seed, question.notes, question.errors, replay)


def _save(question: Question, report: Report, file: Path) -> None:
    record = to_record(
        question.snapshot, question.mode, question.seed, question.seconds, report.plan, moves=question.moves
    )
    try:
        file.write_bytes(to_bytes(record))
    except OSError as error:
        _complain([f"--save-snapshot: {file}: {error.strerror or error}; name a file that can be written"])
        raise typer.Exit(BAD_INPUT) from error


def _policy(
    pick: Pick | None, exchange_rate_usd: float | None, within_percent: float | None, most: float | None
) -> dict[str, Any]:
    """The fields of Policy that were given. Raises ValueError."""
    for flag, value in (("--exchange-rate-usd", exchange_rate_usd), ("--max-pods-lost-together", most)):
        if value is not None and not 0 <= value < float("inf"):
            raise ValueError(f"{flag} is {value:g}: give a number not below 0")
    if within_percent is not None and not 0 <= within_percent < float("inf"):
        raise ValueError(
            f"--within-percent is {within_percent:g}: the objective usdPerHour blocks, since no plan costs less than "
            "the cheapest; give a number not below 0"
        )
    fields = {
        "pick": pick,
        "exchange_rate_usd": exchange_rate_usd,
        "within_percent": within_percent,
        "max_pods_lost_together": most,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _seconds(budget: str) -> float:
    try:
        return parse_seconds(budget)
    except ValueError as error:
        raise ValueError(f"--budget: {error}") from error
