"""The `spotkube` command."""

import sys
from typing import Annotated

import typer

from spotkube import __version__
from spotkube.api.crds import render_crds
from spotkube.catalog.command import catalog
from spotkube.commands.agent import agent
from spotkube.commands.plan import plan
from spotkube.commands.queue import queue
from spotkube.commands.run import run

# 2 is taken by `plan`: some pod has no place.
BAD_USAGE = 1

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"spotkube {__version__}")
        raise typer.Exit


@app.callback()
def spotkube(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The cheapest spot and on-demand nodes that surely hold your work, with proof how cheap it could be.

    Try `spotkube plan -f manifests/` first: it needs no cluster and buys nothing.
    """


app.command()(run)
app.command()(plan)
app.command()(catalog)
app.command()(agent)
app.add_typer(queue, name="queue")


@app.command()
def crds() -> None:
    """Print the CustomResourceDefinitions: spotkube crds | kubectl apply --server-side -f -"""
    typer.echo("---\n".join(render_crds().values()), nl=False)


def main() -> None:
    """Errors of usage exit with 1: 2 means that something can't be placed."""
    try:
        code = app(standalone_mode=False)
    except typer.Abort:
        sys.exit(130)
    except Exception as error:
        _exit_if_usage(error)
        raise
    sys.exit(code if isinstance(code, int) else 0)


def _exit_if_usage(error: Exception) -> None:
    show = getattr(error, "show", None)
    if show is not None:
        show()
        sys.exit(BAD_USAGE)


if __name__ == "__main__":
    main()
