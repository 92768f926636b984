"""What may be bought: an instance type in a zone as spot or on-demand, with its price and its risk."""

from dataclasses import dataclass
from typing import NamedTuple

from spotkube.model.resources import ResourceList

SPOT = "spot"
ON_DEMAND = "on-demand"


class OfferingKey(NamedTuple):
    instance_type: str
    zone: str
    capacity_type: str

    def __str__(self) -> str:
        return f"{self.instance_type} {self.capacity_type} in {self.zone}"


@dataclass(frozen=True, slots=True)
class Offering:
    """`labels` are the Node's, sorted; `interruption_percent` is the upper end of the monthly band, 0 on demand."""

    instance_type: str
    zone: str
    capacity_type: str
    price_micro_usd_hour: int
    arch: str
    capacity: ResourceList
    allocatable: ResourceList
    labels: tuple[tuple[str, str], ...]
    interruption_percent: int = 0

    @property
    def key(self) -> OfferingKey:
        return OfferingKey(self.instance_type, self.zone, self.capacity_type)
