"""A bar with the time left while something is computed, on a terminal only."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

TICK_SECONDS = 0.1


@contextmanager
def bar(text: str, seconds: float) -> Iterator[None]:
    """Shows on stderr how much of `seconds` is left; nothing where stderr is no terminal. It is gone at the end."""
    if not sys.stderr.isatty():
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    done = threading.Event()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(text, total=seconds)
        start = time.monotonic()

        def tick() -> None:
            while not done.wait(TICK_SECONDS):
                progress.update(task, completed=min(time.monotonic() - start, seconds))

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield
        finally:
            done.set()
            ticker.join()


@contextmanager
def steps(text: str) -> Iterator[Callable[[int, int], None]]:
    """Shows on stderr how many steps are done, told as (done, of how many); nothing where it is no terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(text, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
