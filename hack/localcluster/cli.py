"""Command line of the local cluster."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from localcluster.build import ensure_binaries, is_built
from localcluster.cluster import LocalCluster, running, stop_running
from localcluster.errors import LocalClusterError
from localcluster.folders import ClusterFolder, sweep
from localcluster.groups import CLUSTER_BINARIES, GROUPS
from localcluster.parts import kwok_arguments, write_stages

DEFAULT_NAME = "default"
CHECK_SECONDS = 0.5

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
Name = Annotated[str, typer.Option(help="Which cluster, when several run side by side.")]


@app.callback()
def main() -> None:
    """A real Kubernetes control plane on this machine, without containers; KWOK plays the nodes.

    `up` starts one and `down` ends it. The first `up` builds Kubernetes from source, about 8 minutes on 2 cores.
    """


@app.command()
def build(
    tools: Annotated[
        list[str] | None, typer.Argument(help="Which tools, such as `helm`; default: all a cluster needs.")
    ] = None,
) -> None:
    """Build the binaries into the user's cache; does nothing if they are there. Prints their paths."""
    with _reported():
        for path in ensure_binaries(tuple(tools or CLUSTER_BINARIES)).values():
            typer.echo(path)


@app.command()
def up(
    name: Name = DEFAULT_NAME,
    detach: Annotated[
        bool, typer.Option("--detach", "--keep", help="Return at once; `down` ends the cluster.")
    ] = False,
) -> None:
    """Start a cluster, print how to reach it, and run it until Ctrl-C."""
    with _reported():
        if any(_name_of(folder) == name for folder in running()):
            raise LocalClusterError(f"cluster {name!r} runs already: end it with `down`, or choose another --name")
        ensure_binaries()
        started = time.monotonic()
        with LocalCluster.start(name=name) as cluster:
            seconds = time.monotonic() - started
            typer.echo(f"Cluster {name!r} is ready after {seconds:.1f} s. Its files: {cluster.directory}", err=True)
            typer.echo(f"export KUBECONFIG={cluster.kubeconfig}")
            typer.echo(f"export PATH={cluster.binary('kubectl').parent}:$PATH")
            sys.stdout.flush()
            if detach:
                cluster.detach()
            else:
                _until_interrupted(cluster)


@app.command()
def down(
    name: Name = DEFAULT_NAME, every: Annotated[bool, typer.Option("--all", help="All clusters of yours.")] = False
) -> None:
    """End a cluster that `up` started, and remove its files."""
    with _reported():
        chosen = [folder for folder in running() if every or _name_of(folder) == name]
        for folder in chosen:
            ended = _name_of(folder)
            stop_running(folder)
            typer.echo(f"Cluster {ended!r} has ended.", err=True)
        swept = sweep(Path(tempfile.gettempdir()))
        if not chosen and not swept:
            typer.echo("No such cluster runs.", err=True)


@app.command()
def status() -> None:
    """List the clusters that run, and say whether the binaries are built."""
    for folder in running():
        state = "ready" if folder.ready.exists() else "starting"
        description = folder.read("cluster.json") or {}
        typer.echo(f"{_name_of(folder)}\t{state}\t{description.get('server', '')}\t{folder.kubeconfig}")
    for group in GROUPS:
        typer.echo(f"{group.name} {group.version}: {group.bin_dir() if is_built(group) else 'not built'}", err=True)


@app.command()
def kwok(
    kubeconfig: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The cluster, such as kind's.")],
) -> None:
    """Run KWOK with our Stages against a cluster that has none, such as kind, until Ctrl-C."""
    with _reported(), tempfile.TemporaryDirectory(prefix="spotkube-kwok-") as scratch:
        command = [str(ensure_binaries(("kwok",))["kwok"]), *kwok_arguments(kubeconfig, write_stages(Path(scratch)))]
        with contextlib.suppress(KeyboardInterrupt):
            subprocess.run(command, check=True)


def _until_interrupted(cluster: LocalCluster) -> None:
    typer.echo("Ctrl-C ends it.", err=True)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            cluster.check()
            time.sleep(CHECK_SECONDS)


def _name_of(folder: ClusterFolder) -> str:
    return str((folder.read("cluster.json") or {}).get("name", folder.path.name))


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    """Turns what went wrong into a message and exit code 1, without a traceback."""
    try:
        yield
    except LocalClusterError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
