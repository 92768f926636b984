"""A queue: its weight, its quotas within a cohort, its budget, and whether it admits at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from spotkube.queueing.jobs import MICRO, USD_HOUR


class Stop(StrEnum):
    """Whether work is admitted; and whether what runs is ended."""

    NONE = "None"
    HOLD = "Hold"
    HOLD_AND_DRAIN = "HoldAndDrain"


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of one resource a queue may use, in the units of `ResourceList`."""

    nominal: int
    borrowing_limit: int | None = None
    """How much above nominal; None is no limit."""
    lending_limit: int | None = None
    """How much of nominal others may use while it is idle; None is all."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Dollars; each that is set holds. Days and months are those of UTC."""

    usd_per_hour: float | None = None
    usd_per_day: float | None = None
    usd_per_month: float | None = None

    @property
    def limited(self) -> bool:
        """Whether anything is set."""
        return (self.usd_per_hour, self.usd_per_day, self.usd_per_month) != (None, None, None)


@dataclass(frozen=True)
class Queue:
    """What the queue's owner set. A resource without a quota has no limit."""

    name: str
    weight: float = 1.0
    cohort: str | None = None
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    budget: Budget = Budget()
    stop: Stop = Stop.NONE
    tenant_weights: Mapping[str, float] = field(default_factory=dict)
    """Tenants that are not listed have weight 1."""

    def comes_last(self, tenant: str) -> bool:
        """Whether the tenant's jobs get only what nobody else wants."""
        return self.weight <= 0 or self.tenant_weights.get(tenant, 1.0) <= 0

    @cached_property
    def limits(self) -> Mapping[str, Quota]:
        """Its quotas, and its dollars an hour as one more."""
        if self.budget.usd_per_hour is None:
            return self.quotas
        dollars = Quota(round(self.budget.usd_per_hour * MICRO), borrowing_limit=0, lending_limit=0)
        return {**self.quotas, USD_HOUR: dollars}
