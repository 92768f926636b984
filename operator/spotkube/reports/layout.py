"""What all tables for people look like."""

from rich.console import Console, JustifyMethod
from rich.table import Table

PIPE_WIDTH = 1000


def widen(console: Console) -> None:
    """Pipes are not cut to a width."""
    if not console.is_terminal:
        console.width = max(console.width, PIPE_WIDTH)


def columns(*headings: tuple[str, JustifyMethod]) -> Table:
    """The last column may wrap."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for number, (heading, justify) in enumerate(headings, start=1):
        table.add_column(heading, justify=justify, no_wrap=number < len(headings))
    return table
