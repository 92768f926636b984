"""`spotkube agent`: what runs on each node."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated, Literal

import aiohttp
import typer

from spotkube import logs
from spotkube.agent.metadata import ADDRESS, TIMEOUT_SECONDS, MetadataService
from spotkube.agent.telling import Agent
from spotkube.cluster.client import KubeClient
from spotkube.cluster.errors import ClusterError

LogFormat = Literal["json", "human"]
LogLevel = Literal["debug", "info", "warning", "error"]


def agent(
    *,
    node_name: Annotated[
        str, typer.Option(envvar="NODE_NAME", help="The Node that it runs on; in a pod from spec.nodeName.")
    ],
    metadata_url: Annotated[str, typer.Option(help="Where the metadata service listens.")] = ADDRESS,
    every_seconds: Annotated[float, typer.Option(min=0.1, max=60, help="Pause between two looks.")] = 2.0,
    kubeconfig: Annotated[Path | None, typer.Option(help="Kubeconfig file; without it as kubectl finds it.")] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
    log_format: Annotated[LogFormat, typer.Option(help="json or human.")] = "json",
    log_level: Annotated[LogLevel, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Tell the operator what the instance's metadata says of its end (EC2, IMDSv2).

    It runs on each node, as the chart's DaemonSet does (agent.enabled), and looks for spot interruptions, rebalance
    recommendations and scheduled maintenance. What it finds it writes onto its own Node, as the annotations
    spotkube.io/termination-notice and spotkube.io/termination-deadline, and takes them back when the notice is.

    \b
    spotkube agent --node-name ip-10-0-1-7.ec2.internal
    spotkube agent --node-name n1 --metadata-url http://127.0.0.1:1338 --log-format human

    Exit code 1: an option is wrong or the cluster can't be reached; the message says what to do.
    """
    logs.configure(log_format, log_level)
    try:
        asyncio.run(_run(node_name, metadata_url, every_seconds, kubeconfig, context))
    except (ClusterError, ValueError) as error:
        raise _complaint(str(error)) from error


async def _run(
    node: str, metadata_url: str, every_seconds: float, kubeconfig: Path | None, context: str | None
) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    # The service is on this machine: a proxy would ask another one's.
    async with (
        await KubeClient.connect(kubeconfig, context) as client,
        aiohttp.ClientSession(timeout=timeout) as session,
    ):
        await Agent(MetadataService(session, metadata_url), client, node).run(every_seconds, stopping)


def _complaint(message: str) -> typer.Exit:
    typer.echo(f"error: {message}", err=True)
    return typer.Exit(1)
