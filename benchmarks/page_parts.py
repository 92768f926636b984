"""What all parts of the page are made of: tables, numbers, and targets with how far they were missed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """What was to be reached, what was, and by how much it was missed; `missed` is empty where it was met."""

    name: str
    wanted: str
    reached: str
    missed: str = ""

    @property
    def verdict(self) -> str:
        return f"**missed by {self.missed}**" if self.missed else "met"


def over_bound(name: str, over: float | None, limit: float) -> Target:
    """Cost over bound that may not pass a limit."""
    wanted = f"at most {limit:.4f}"
    if over is None:
        return Target(name, wanted, "nothing proven", "all: nothing was proven")
    return Target(name, wanted, f"{over:.4f}", f"{(over - limit) * 100:.2f} points" if over > limit else "")


def at_most(name: str, reached: float | None, limit: float, unit: str, never: str = "") -> Target:
    """An amount that may not pass a limit; `never` says how far it came where there is no such amount."""
    wanted = f"at most {limit:g} {unit}"
    if reached is None:
        return Target(name, wanted, "never", never)
    return Target(name, wanted, f"{reached:.2f} {unit}", f"{reached - limit:.2f} {unit}" if reached > limit else "")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def targets_table(targets: Sequence[Target]) -> str:
    """All targets of a part."""
    rows = [[target.name, target.wanted, target.reached, target.verdict] for target in targets]
    return table(("target", "wanted", "reached", ""), rows)


def span(values: Sequence[int]) -> str:
    """From the least to the most."""
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


def seconds(value: float | None) -> str:
    """A time, or that it never came."""
    return "never" if value is None else f"{value:.2f} s"


def dollars(value: float | None) -> str:
    """Dollars an hour, or that there was no plan."""
    return "none" if value is None else f"{value:.3f}"


def checked(verdicts: Sequence[bool | None]) -> str:
    """Whether the independent checker took all plans."""
    if False in verdicts:
        return "**REFUSED**"
    return "not here" if None in verdicts else "yes"


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)
