"""Command line of the demo; `make demo`, `make demo-trace` and `make demo-kind` call it."""

from __future__ import annotations

import signal
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Annotated, NoReturn

import typer

from demo.acts import play
from demo.errors import DemoError
from demo.kind import kind_stage
from demo.show import Screen
from demo.stage import Stage, local_stage, stop_kept
from demo.trace import play_trace, read_pods
from localcluster.errors import LocalClusterError
from spotkube.cluster.errors import ClusterError

FAILED, ABSENT, INTERRUPTED = 1, 2, 130


class Trace(StrEnum):
    OPENB = "openb"


def main(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End what --keep left running.")] = False,
    trace: Annotated[Trace | None, typer.Option(help="Run the CPU pods of this trace instead of examples/.")] = None,
    kind: Annotated[bool, typer.Option("--kind", help="On a new kind cluster; needs Docker and kind.")] = False,
) -> None:
    """Show SpotKube at work: nodes are bought, a spot node is taken away, nobody notices.

    Cleans up after itself, also after Ctrl-C. Exit code 0: all came true; 1: something did not, and the message says
    what; 2: the file of the trace is not there.
    """
    signal.signal(signal.SIGTERM, _end)
    screen = Screen()
    try:
        if stop:
            stop_kept(screen)
            return
        if keep and kind:
            raise DemoError("--keep and --kind don't go together: KWOK ends with the demo, and the nodes with it")
        if trace is not None:
            _require_trace()
        with _stage(screen, keep=keep, kind=kind) as stage:
            (play_trace if trace else play)(stage, screen)
            screen.say(f"done in {screen.seconds:.0f} s")
            if keep:
                _tell_how_to_look(stage, screen)
    except (DemoError, LocalClusterError, ClusterError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt as interrupt:
        typer.echo("interrupted: everything is cleaned up", err=True)
        raise typer.Exit(INTERRUPTED) from interrupt


def _stage(screen: Screen, *, keep: bool, kind: bool) -> AbstractContextManager[Stage]:
    return kind_stage(screen) if kind else local_stage(screen, keep=keep)


def _require_trace() -> None:
    try:
        read_pods()
    except DemoError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(ABSENT) from error


def _tell_how_to_look(stage: Stage, screen: Screen) -> None:
    screen.heading("It goes on running. To look around:")
    binaries = stage.cluster.binary("kubectl").parent
    for line in (
        f"export KUBECONFIG={stage.cluster.kubeconfig} PATH={binaries}:$PATH",
        "kubectl get nodepools.spotkube.io",
        "kubectl get nodeclaims.spotkube.io -o wide",
        "kubectl get capacityplans.spotkube.io",
        "kubectl get workloads.spotkube.io -A",
        "kubectl get events -A --field-selector reportingComponent=spotkube.io/operator",
        f"tail -f {stage.operator.log}",
    ):
        screen.console.print(f"  {line}", soft_wrap=True, highlight=False)
    screen.console.print("To take a spot node away:", highlight=False)
    interrupt = f"-m spotkube.providers.local interrupt NODE --endpoint {stage.cloud_url}"
    screen.console.print(f"  PYTHONPATH=operator .venv/bin/python {interrupt}", soft_wrap=True, highlight=False)
    screen.console.print("To end it:", highlight=False)
    screen.console.print("  PYTHONPATH=operator:hack .venv/bin/python -m demo --stop", highlight=False)


def _end(signal_number: int, frame: object) -> NoReturn:
    """A polite request to end is like Ctrl-C: everything is cleaned up."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    typer.run(main)
