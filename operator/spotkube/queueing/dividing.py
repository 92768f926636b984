"""What is remembered of a job whose width changes: how much of its work is done, and whether its turn is over."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Divided:
    """A divisible job that runs, as the cluster shows it."""

    width: int
    """How many of its pods may run now."""
    unfinished: int
    """How many have still to end well, those that run among them."""
    waves: int
    """How often all its pods follow one another if it runs with all of them."""

    @property
    def all_begun(self) -> bool:
        return self.unfinished <= self.width


class Progress(NamedTuple):
    """Work as time of the run with all pods: a second with half of them is half a second. `since` is in Unix time."""

    worked_seconds: float = 0.0
    part: float = 1.0
    """Of all its pods, since `since_seconds`."""
    since_seconds: float = 0.0

    def at(self, now_seconds: float) -> float:
        """How much is done by then."""
        return self.worked_seconds + self.part * max(0.0, now_seconds - self.since_seconds)

    def mean_part(self, begun_seconds: float, now_seconds: float) -> float:
        """How much of it ran since it began, on average."""
        passed = now_seconds - begun_seconds
        return self.part if passed < 1e-3 else self.at(now_seconds) / passed

    def moved(self, seconds: float) -> "Progress":
        """The same, by a clock that has leapt by so much."""
        return self._replace(since_seconds=self.since_seconds + seconds)

    def turned(self, part: float, now_seconds: float) -> "Progress":
        """From now on so much of it runs."""
        return self if part == self.part else Progress(self.at(now_seconds), part, now_seconds)
