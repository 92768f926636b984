"""Which of the plans that were weighed is carried out."""

from dataclasses import dataclass
from enum import StrEnum


class PolicyUnsatisfiable(Exception):  # noqa: N818 - says what is the matter
    """No plan is what the policy asks for; the message names the objective that blocks, and the remedy."""


class Pick(StrEnum):
    CHEAPEST = "cheapest"
    BALANCED = "balanced"
    SAFEST = "safest"


@dataclass(frozen=True, slots=True)
class Policy:
    """How one plan of the front is picked.

    `exchange_rate_usd` is for balanced: dollars an hour that it is worth to lose one pod less together.
    `within_percent` is for safest: how much dearer than the cheapest plan it may be.
    `max_pods_lost_together` narrows the choice of any; None: no limit.
    """

    pick: Pick = Pick.CHEAPEST
    exchange_rate_usd: float = 0.001
    within_percent: float = 5.0
    max_pods_lost_together: float | None = None

    def __str__(self) -> str:
        words = {
            Pick.CHEAPEST: "cheapest",
            Pick.BALANCED: f"balanced at ${self.exchange_rate_usd:g} an hour for each pod lost together",
            Pick.SAFEST: f"safest within {self.within_percent:g} % of the cheapest",
        }[self.pick]
        if self.max_pods_lost_together is None:
            return words
        return f"{words}, at most {self.max_pods_lost_together:g} pods lost together"


CHEAPEST = Policy()
