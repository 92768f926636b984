"""Command line of the fake cloud: start it, look at its instances, take them back."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from kubernetes.aio.config import ConfigException
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from spotkube.catalog import CatalogFileError, load_catalog
from spotkube.providers.local.client import LocalProvider
from spotkube.providers.local.cloud import Delays
from spotkube.providers.local.nodes import format_time
from spotkube.providers.local.process import Options, log_to, serve
from spotkube.providers.local.store import StoreError
from spotkube.providers.local.wire import CapacityMessage, InstanceMessage
from spotkube.providers.port import Instance, InstanceState, ProviderError

T = TypeVar("T")
# Never shortened, as kubectl does: a narrow screen wraps lines, but names can be copied.
TABLE_COLUMNS = 300
_CAPACITY_HELP = "write TYPE/ZONE/CAPACITY=N, as in m7i.large/us-east-1a/spot=3"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


class OutputFormat(StrEnum):
    TABLE = "table"
    JSON = "json"


def parse_seconds(text: str | float) -> float:
    """Reads 500ms, 2s, 1m or a bare number of seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", str(text))
    if match is None:
        raise typer.BadParameter(f"{text!r} is no duration; write it as in 500ms, 2s, 1m")
    return float(match[1]) * {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}[match[2]]


def parse_capacity(assignments: list[str], default: int | None) -> CapacityMessage:
    """Reads TYPE/ZONE/CAPACITY=N, once for each limit."""
    limits: dict[str, int | None] = {}
    for each in assignments:
        key, _, count = each.partition("=")
        if not count.isdecimal():
            raise typer.BadParameter(f"{each!r}: {_CAPACITY_HELP}")
        limits[key] = int(count)
    try:
        return CapacityMessage(limits=limits) if default is None else CapacityMessage(default=default, limits=limits)
    except ValidationError as error:
        raise typer.BadParameter(f"{', '.join(assignments)}: {_CAPACITY_HELP}") from error


def duration_option(shown_default: str, help_text: str) -> Any:
    return typer.Option(parser=parse_seconds, metavar="DURATION", show_default=shown_default, help=help_text)


Endpoint = Annotated[
    str, typer.Option(envvar="SPOTKUBE_PROVIDER_ENDPOINT", help="Where the fake cloud listens: http://127.0.0.1:PORT")
]


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    state: Annotated[Path | None, typer.Option(help="SQLite file with the instances; made if absent.")] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The cluster that instances join.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    port_file: Annotated[Path | None, typer.Option(help="Gets the port once the cloud listens.")] = None,
    catalog: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="What is sold; default: the shipped catalog.")
    ] = None,
    registration_delay: Annotated[float, duration_option("2s", "From order to Node.")] = 2.0,
    registration_jitter: Annotated[float, duration_option("0s", "At most so much more, by chance.")] = 0.0,
    ready_delay: Annotated[
        float | None, duration_option("as the cluster has it", "From Node to Ready; KWOK counts whole seconds.")
    ] = None,
    terminate_delay: Annotated[float, duration_option("1s", "From deletion to terminated.")] = 1.0,
    capacity: Annotated[
        list[str] | None, typer.Option(metavar="TYPE/ZONE/CAPACITY=N", help="At most N alive at once; repeatable.")
    ] = None,
    default_capacity: Annotated[
        int | None, typer.Option(min=0, help="The limit of offerings without one; default: none.")
    ] = None,
    log: Annotated[Path | None, typer.Option(help="File for log lines (JSON); default: standard error.")] = None,
) -> None:
    """A cloud on this machine: instances with launch tokens, capacity, spot notices and a memory of their own,
    which appear in a cluster as Nodes that KWOK plays.

    Without a command it starts the cloud, which needs --state and --kubeconfig:

        python -m spotkube.providers.local --state /tmp/cloud.db --kubeconfig ~/.kube/config --port 8080

    Started again with the same --state it goes on where it was: deadlines keep their time. Limits given here are kept
    in the state too. Ctrl-C stops the cloud; its Nodes stay.
    """
    if context.invoked_subcommand is not None:
        return
    if state is None or kubeconfig is None:
        missing = "--state" if state is None else "--kubeconfig"
        raise typer.BadParameter(f"{missing} is missing: the cloud needs it to start; see --help", context)
    limits = parse_capacity(capacity or [], default_capacity)
    log_to(log)
    try:
        delays = Delays(registration_delay, terminate_delay, registration_jitter)
        sold = load_catalog(catalog)
        asyncio.run(serve(Options(state, kubeconfig, port, port_file, sold, limits, delays, ready_delay)))
    except (StoreError, CatalogFileError, ConfigException, OSError) as error:
        raise _failure(error) from error


@app.command()
def instances(
    endpoint: Endpoint,
    output: Annotated[OutputFormat, typer.Option("--output", "-o", help="How to print them.")] = OutputFormat.TABLE,
) -> None:
    """List the instances: all that live, and those that ended within the last hour."""
    found = _ask(endpoint, lambda provider: provider.list())
    if output is OutputFormat.JSON:
        typer.echo(json.dumps([InstanceMessage.of(each).model_dump(mode="json") for each in found], indent=2))
    else:
        Console(width=TABLE_COLUMNS).print(_table(found))


@app.command()
def interrupt(
    name: Annotated[str, typer.Argument(help="Name of the node, or ID of the instance.")],
    endpoint: Endpoint,
    notice: Annotated[float, duration_option("120s", "From the notice to the end.")] = 120.0,
) -> None:
    """Take a spot instance back: its Node gets the sign of a termination notice now, and dies when that is over."""

    async def find_and_interrupt(provider: LocalProvider) -> Instance:
        chosen = [each for each in await provider.list() if _is_called(each, name)]
        if not chosen:
            raise ProviderError(f"name: no instance that runs is called {name!r}; `instances` lists them")
        return await provider.interrupt(chosen[0].provider_id, notice)

    instance = _ask(endpoint, find_and_interrupt)
    typer.echo(f"{instance.name} ({instance.offering}) ends at {format_time(instance.termination_deadline or 0.0)}")


def _is_called(instance: Instance, name: str) -> bool:
    alive = instance.state is not InstanceState.TERMINATED
    return alive and name in (instance.name, instance.provider_id, instance.provider_id.rpartition("/")[2])


def _ask(endpoint: str, question: Callable[[LocalProvider], Awaitable[T]]) -> T:
    async def ask() -> T:
        provider = LocalProvider(endpoint)
        try:
            return await question(provider)
        finally:
            await provider.close()

    try:
        return asyncio.run(ask())
    except (ProviderError, ValueError) as error:
        raise _failure(error) from error


def _failure(error: Exception) -> typer.Exit:
    typer.echo(f"Error: {error}", err=True)
    return typer.Exit(1)


def _table(found: tuple[Instance, ...]) -> Table:
    table = Table("NODE", "TYPE", "ZONE", "CAPACITY", "STATE", "LAUNCHED", "ENDS AT", "INSTANCE", box=None)
    for each in found:
        deadline = format_time(each.termination_deadline) if each.termination_deadline else ""
        table.add_row(
            each.name,
            *each.offering,
            each.state,
            format_time(each.launched_at),
            deadline,
            each.provider_id.rpartition("/")[2],
        )
    return table


if __name__ == "__main__":
    app(prog_name="python -m spotkube.providers.local")
