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


@dataclass(frozen=True, slots=True)
class Disruptable:
    """One claim whose node should go for `reason`; `message` says to a person why, with the figures that decided."""

    claim: str
    reason: DisruptionReason
    message: str
