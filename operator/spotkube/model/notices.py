"""Word that a node's instance will end."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

_LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


class NoticeKind(StrEnum):
    SPOT_INTERRUPTION = "SpotInterruption"
    REBALANCE_RECOMMENDATION = "RebalanceRecommendation"
    SCHEDULED_MAINTENANCE = "ScheduledMaintenance"
    INSTANCE_TERMINATION = "InstanceTermination"
    OUT_OF_SERVICE = "OutOfService"


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice, of the Node that it is a sign on, or of the `instance` that a message names.

    `deadline` is seconds since the epoch, None where a sign does not tell: then it is `lead_seconds` after the sign
    was first seen. `source` is the taint, label, condition or kind of message. `ends_instance` False is a mere warning.
    """

    kind: NoticeKind
    source: str
    id: str
    lead_seconds: float
    deadline: float | None = None
    ends_instance: bool = True
    instance: str | None = None
    """As the cloud names it, such as i-0123456789abcdef0: the last part of its provider ID."""


def storable(deadline: float) -> float:
    """The nearest moment that can be written as RFC 3339. Signs and messages come from anybody: a year of five digits
    must not keep a node from being drained."""
    return min(max(deadline, 0.0), _LATEST)
