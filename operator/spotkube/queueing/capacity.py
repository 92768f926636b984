"""What the cluster could give: asked of whoever knows its nodes and what may be bought."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from spotkube.queueing.jobs import Amounts, Job


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a job finds no place."""

    words: str
    for_ever: bool = False
    """Whether no node could hold it even if nothing else ran."""


class Capacity(Protocol):
    """What is there and what the plan may buy within the limits of the pools."""

    def room(self) -> Amounts | None:
        """The most that could be given besides what runs: what is free, and what may be bought. None: no limit.
        A resource that is not named there is none of."""

    def most(self) -> Amounts | None:
        """The most that could be there if nothing ran. None: no limit."""

    def refusals(self, placed: Sequence[tuple[Job, int]]) -> Mapping[str, Refusal]:
        """Which of these jobs (by UID), each with so many of its pods, find no place if all are placed in this order
        besides what runs, and why. The last of jobs that are alike should be refused before the first."""


@dataclass(frozen=True)
class Aggregate:
    """Capacity as one sum: whatever fits the sum finds a place."""

    total: Amounts | None = None
    """All that could be there; None is no limit."""
    in_use: Amounts | None = None

    def room(self) -> Amounts | None:
        if self.total is None or self.in_use is None:
            return self.total
        return {name: amount - self.in_use.get(name, 0) for name, amount in self.total.items()}

    def most(self) -> Amounts | None:
        return self.total

    def refusals(self, placed: Sequence[tuple[Job, int]]) -> Mapping[str, Refusal]:
        return {}


NO_LIMIT = Aggregate()
