"""`spotkube queue`: who waits for what and why, and what another order would have meant."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from spotkube.cluster.errors import ClusterError
from spotkube.commands.queue_reading import Cluster, read, read_job
from spotkube.commands.simulate import simulate
from spotkube.reports.queue_report import QueueReport, find, select
from spotkube.reports.queue_values import queue_values
from spotkube.reports.queue_why import explain, print_why, why_values
from spotkube.reports.queues import print_queues

OPERATOR_NAMESPACE = "spotkube-system"


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"


queue = typer.Typer(rich_markup_mode=None)
queue.command()(simulate)

Kubeconfig = Annotated[Path | None, typer.Option(help="Kubeconfig file; without it as kubectl finds it.")]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig.")]
OperatorNamespace = Annotated[str, typer.Option(help="Where the operator runs.")]
As = Annotated[Output, typer.Option("--output", "-o", help="table for people, json with every number.")]


@queue.callback(invoke_without_command=True)
def show(
    ctx: typer.Context,
    *,
    name: Annotated[str | None, typer.Option("--queue", metavar="NAME", help="Only this queue.")] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Only tenants and jobs of this namespace.")
    ] = None,
    every_job: Annotated[bool, typer.Option("--all", help="All that wait, not only the first 20.")] = False,
    output: As = Output.TABLE,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    operator_namespace: OperatorNamespace = OPERATOR_NAMESPACE,
) -> None:
    """The fair queue: who waits where and why, and what queues and tenants use and spend.

    Without a command it shows all queues, what their tenants have of what they are entitled to, and who waits, with
    the position, the likely start and the reason. Nothing is changed.

    \b
    spotkube queue                          all queues, tenants, and the first 20 that wait
    spotkube queue --queue batch --all      all that wait in queue batch
    spotkube queue -n shop                  what concerns namespace shop
    spotkube queue -o json | jq '.waiting[] | {job, position, estimatedStart}'
    spotkube queue why shop/report          why that job is not the next one
    spotkube queue simulate log.swf.gz      what a job log would have come to, without a cluster

    Positions and numbers are kept by the operator where only its administrators read them. To others it shows what
    their own Workloads say. Exit code 1: the cluster can't be reached, or there is no such queue.
    """
    if ctx.invoked_subcommand is not None:
        _refuse_options_before(ctx)
        return
    cluster = Cluster(kubeconfig, context, operator_namespace, namespace)
    report = _read(cluster)
    try:
        report = select(report, name, namespace)
    except ValueError as error:
        raise _complaint(str(error)) from error
    if output is Output.JSON:
        _print_json(queue_values(report))
    else:
        print_queues(Console(), report, every_job=every_job)


@queue.command()
def why(
    name: Annotated[str, typer.Argument(metavar="WORKLOAD|JOB", help="NAME or NAMESPACE/NAME.")],
    *,
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", help="Its namespace.")] = None,
    output: As = Output.TABLE,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    operator_namespace: OperatorNamespace = OPERATOR_NAMESPACE,
) -> None:
    """Why a job stands where it stands: its size and estimate, its tenant's turn, who is before it, when it starts.

    \b
    spotkube queue why shop/report
    spotkube queue why report -n shop -o json

    Exit code 1: no such job waits (the nearest names are told), or the cluster can't be reached.
    """
    cluster = Cluster(kubeconfig, context, operator_namespace, namespace)
    report = _read(cluster)
    try:
        explanation = explain(report, find(report.places.jobs, name, namespace))
    except ValueError as error:
        raise _complaint(_elsewhere(cluster, name) or str(error), *report.notes) from error
    if output is Output.JSON:
        _print_json(why_values(explanation))
    else:
        print_why(Console(), explanation)


def _read(cluster: Cluster) -> QueueReport:
    try:
        return read(cluster)
    except (ClusterError, ValueError) as error:
        raise _complaint(str(error)) from error


def _elsewhere(cluster: Cluster, name: str) -> str:
    """Of a Job that waits in no queue."""
    try:
        return read_job(cluster, name)
    except ClusterError:
        return ""


def _refuse_options_before(ctx: typer.Context) -> None:
    """They would say nothing to the command that follows them."""
    for parameter in ctx.params:
        source = ctx.get_parameter_source(parameter)
        if source is not None and source.name == "COMMANDLINE":
            command = ctx.invoked_subcommand
            raise _complaint(f"options stand after the command: spotkube queue {command} ... and not before {command}")


def _complaint(message: str, *notes: str) -> typer.Exit:
    typer.echo(f"error: {message}", err=True)
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    return typer.Exit(1)


def _print_json(values: dict[str, Any]) -> None:
    typer.echo(json.dumps(values, indent=2, allow_nan=False))
