"""`spotkube run`: the operator."""

import asyncio
import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from spotkube import logs
from spotkube.cluster.errors import ClusterError
from spotkube.settings import SettingsError, load_settings, misspelt_variables

logger = logging.getLogger(__name__)


def run(
    *,
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings; environment and flags override it.")
    ] = None,
    kubeconfig: Annotated[Path | None, typer.Option(help="Kubeconfig file; without it as kubectl finds it.")] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
    namespace: Annotated[str | None, typer.Option(help="Namespace of the leader election's Lease.")] = None,
    provider_url: Annotated[str | None, typer.Option(help="Where the fake cloud listens.")] = None,
    catalog: Annotated[Path | None, typer.Option(help="A catalog of your own instead of the cloud's prices.")] = None,
    mode_override: Annotated[
        str | None, typer.Option(help="Apply, Recommend or Paused for every NodePool that is not Paused.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the planner.")] = None,
    planner_budget_seconds: Annotated[float | None, typer.Option(help="How long the planner may search.")] = None,
    leader_election: Annotated[
        bool | None, typer.Option("--leader-election/--no-leader-election", help="Act only while holding the Lease.")
    ] = None,
    health_port: Annotated[int | None, typer.Option(help="Port of /healthz, /readyz and /metrics; 0: any.")] = None,
    log_format: Annotated[str | None, typer.Option(help="json or human.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Run the operator: watch the cluster, plan nodes, buy and give back, drain on termination.

    Every setting can also stand in the --config file or in a SPOTKUBE_* variable; docs/reference/configuration.md
    lists all of them. Exit code 1: a setting is wrong or the cluster can't be reached; the message says what to do.
    """
    flags = {
        "kubeconfig": kubeconfig,
        "context": context,
        "namespace": namespace,
        "provider_url": provider_url,
        "catalog_file": catalog,
        "mode_override": mode_override,
        "seed": seed,
        "planner_budget_seconds": planner_budget_seconds,
        "leader_election": leader_election,
        "health_port": health_port,
        "log_format": log_format,
        "log_level": log_level,
    }
    # Imported late: --help and errors in settings need neither the planner nor the cluster's client.
    from spotkube import assemble  # noqa: PLC0415

    try:
        settings = load_settings(config, flags)
        logs.configure(settings.log_format, settings.log_level)
        for variable, likely in misspelt_variables(os.environ).items():
            logger.warning("%s is no setting and is ignored: did you mean %s?", variable, likely)
        asyncio.run(assemble.run(settings))
    except (SettingsError, ClusterError, ValueError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
