"""What this cluster has seen of spot: how long machines ran, and how many of them were taken back."""

from dataclasses import dataclass
from typing import NamedTuple

HOURS_A_MONTH = 730.0


class SpotPool(NamedTuple):
    """Machines that the cloud takes back from one stock, and so often together."""

    instance_type: str
    zone: str

    def __str__(self) -> str:
        return f"{self.instance_type} {self.zone}"


@dataclass(frozen=True, slots=True)
class SpotRecord:
    """Of one spot pool: `hours` that its nodes ran in all, how many `nodes` there were, how often one was taken."""

    pool: SpotPool
    hours: float
    nodes: int
    interruptions: int

    def __add__(self, other: "SpotRecord") -> "SpotRecord":
        """Of the same pool."""
        return SpotRecord(
            self.pool, self.hours + other.hours, self.nodes + other.nodes, self.interruptions + other.interruptions
        )
