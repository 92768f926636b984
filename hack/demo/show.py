"""What the audience sees. On a terminal one line is kept up to date; elsewhere a line is printed when it changed."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from demo.scene import FINISHED, RUNNING, Scene
from spotkube.api.capacityplan import Addition

NARROW_COLUMNS = 110
"""Where output goes to a file: wide enough for our tables, narrow enough to read."""
TOP_NODES = 8
# Prices have micro-dollars; sums of them as floats have dust.
SAME_USD = 1e-5
QUIET_SECONDS = 2.0
"""Between two lines where there is no terminal."""
_ORDER = ("Pending", "Launched", "Registered", "Ready", "Draining", "Terminated")


class Screen:
    """Prints with the seconds since the start, whose clock is `started` (monotonic)."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        if not self.console.is_terminal:
            self.console.width = max(self.console.width, NARROW_COLUMNS)
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def say(self, text: str) -> None:
        self.console.print(Text(f"{self.seconds:6.1f} s  {text}"), soft_wrap=not self.console.is_terminal)

    def heading(self, text: str) -> None:
        self.console.print()
        self.console.print(Text(text, style="bold"))

    def show(self, table: Table) -> None:
        self.console.print(table)

    @contextlib.contextmanager
    def step(self, text: str, *, slow: bool = False) -> Iterator[None]:
        """Says what is being done, and how long it took when it is done. On paper a `slow` one is announced too."""
        began = time.monotonic()
        if slow and not self.console.is_terminal:
            self.say(f"{text} …")
        with self.console.status(Text(text)):
            yield
        self.say(f"{text} ({time.monotonic() - began:.1f} s)")

    @contextlib.contextmanager
    def progress(self) -> Iterator[Progress]:
        """The state of the cluster, kept up to date while the context lasts."""
        if not self.console.is_terminal:
            yield Progress(self, None)
            return
        with Live(console=self.console, transient=True, refresh_per_second=4) as live:
            yield Progress(self, live)


class Progress:
    def __init__(self, screen: Screen, live: Live | None) -> None:
        self._screen = screen
        self._live = live
        self._last = ""
        self._said_at = float("-inf")

    def update(self, scene: Scene) -> None:
        """Shows the scene, or on paper says it if it differs from what was said last."""
        line = scene_line(scene)
        if self._live is not None:
            self._live.update(Text(f"{self._screen.seconds:6.1f} s  {line}", style="cyan"))
            self._last = line
        elif line != self._last and scene.at - self._said_at >= QUIET_SECONDS:
            self._screen.say(line)
            self._last, self._said_at = line, scene.at

    def say(self, text: str) -> None:
        """An event, above the line that is kept up to date."""
        self._screen.say(text)


def scene_line(scene: Scene) -> str:
    """The cluster in one line."""
    phases, work = scene.phases, scene.work
    finished = sum(phases[phase] for phase in FINISHED)
    parts = [f"pods {phases[RUNNING]} running of {len(work)}" + (f", {finished} finished" if finished else "")]
    counts = scene.claim_phases
    nodes = ", ".join(f"{counts[phase]} {phase}" for phase in _ORDER if counts[phase])
    parts.append(f"nodes {nodes or 'none yet'}")
    parts.append(f"${scene.usd_per_hour:.3f}/h")
    if plan := scene.plan:
        status = plan.status
        bound, gap = status.lower_bound_usd_per_hour, status.gap_percent
        # The bound is for the pods of that plan: once other nodes run, it says nothing of what they cost.
        in_force = abs(scene.usd_per_hour - (status.cost_after_usd_per_hour or 0.0)) < SAME_USD
        if bound is not None and gap is not None and in_force:
            parts.append(f"bound ${bound:.3f}/h, gap {gap:.1f}%")
    return " · ".join(parts)


def additions_table(additions: Sequence[Addition], top: int = TOP_NODES) -> Table:
    """The nodes that a plan buys, dearest first: the first `top` with their reasons, the others as one row."""
    table = Table(box=None, header_style="dim", padding=(0, 1), expand=True)
    table.add_column("$/H", justify="right", no_wrap=True)
    for name in ("TYPE", "ZONE", "CAPACITY"):
        table.add_column(name, no_wrap=True)
    table.add_column("PODS", justify="right", no_wrap=True)
    table.add_column("WHY", ratio=1, no_wrap=True, overflow="ellipsis")
    ordered = sorted(additions, key=lambda node: (-node.price_usd_per_hour, node.instance_type, node.zone))
    for node in ordered[:top]:
        capacity = Text(str(node.capacity_type), style="yellow" if node.capacity_type == "spot" else "blue")
        table.add_row(
            f"{node.price_usd_per_hour:.4f}", node.instance_type, node.zone, capacity, str(node.pods), node.reason
        )
    if rest := ordered[top:]:
        kinds = Counter(str(node.capacity_type) for node in rest)
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        table.add_row(
            f"{sum(node.price_usd_per_hour for node in rest):.4f}", f"{len(rest)} more", "", "",
            str(sum(node.pods for node in rest)), counts,
        )  # fmt: skip
    return table
