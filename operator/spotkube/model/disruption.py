"""Nodes that could go though nothing forces them to."""

from dataclasses import dataclass
from enum import StrEnum


class DisruptionReason(StrEnum):
    """Why a node may be given back or replaced; budgets of a NodePool can name them."""

    EMPTY = "Empty"
    UNDERUTILIZED = "Underutilized"
    DRIFTED = "Drifted"
    EXPIRED = "Expired"
    UNHEALTHY = "Unhealthy"
    REBALANCE = "RebalanceRecommendation"


@dataclass(frozen=True, slots=True)
class Disruptable:
    """One claim whose node should go for `reason`; `message` says to a person why, with the figures that decided."""

    claim: str
    reason: DisruptionReason
    message: str


@dataclass(frozen=True, slots=True)
class NodeBudget:
    """How many of a pool's nodes may be on their way out at once: `count` of them, or else `percent`, rounded up.

    `reasons` () are all. It is in force for `duration_seconds` from each time that `schedule` (cron, UTC) names, and
    always where that is None.
    """

    count: int | None = None
    percent: int | None = None
    reasons: tuple[DisruptionReason, ...] = ()
    schedule: str | None = None
    duration_seconds: float = 0.0
