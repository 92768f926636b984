"""The pure half of leader election: what a Lease says, what we have seen of it, and what follows.

Times in a Lease were written by the clock of whoever wrote them, and wall clocks step and differ. They are only ever
compared for equality here: a lease has run out when its record was seen unchanged for its whole duration on OUR
monotonic clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

_MICRO_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"

_UNKNOWN_DURATION_SECONDS = 15
"""Of a lease that does not say: what client-go's electors use."""


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """As in client-go: who leads stops believing it before anybody else may take over.

    `duration_seconds`: how long an unchanged lease is respected. `renew_deadline_seconds`: how long after its last
    renewal the leader still acts. `retry_seconds`: how often both look.
    """

    duration_seconds: float = 15
    renew_deadline_seconds: float = 10
    retry_seconds: float = 2

    def __post_init__(self) -> None:
        if not self.duration_seconds > self.renew_deadline_seconds > self.retry_seconds > 0:
            raise ValueError(
                f"lease duration {self.duration_seconds} s, renew deadline {self.renew_deadline_seconds} s and retry "
                f"{self.retry_seconds} s must fall in this order, and be above 0"
            )


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """The spec of a coordination.k8s.io/v1 Lease; `holder` is empty after a release."""

    holder: str
    acquire_time: str
    renew_time: str
    duration_seconds: int
    transitions: int

    @classmethod
    def from_lease(cls, lease: Mapping[str, Any]) -> Self:
        spec = lease.get("spec") or {}
        return cls(
            holder=spec.get("holderIdentity") or "",
            acquire_time=spec.get("acquireTime") or "",
            renew_time=spec.get("renewTime") or "",
            duration_seconds=spec.get("leaseDurationSeconds") or _UNKNOWN_DURATION_SECONDS,
            transitions=spec.get("leaseTransitions") or 0,
        )

    def to_spec(self) -> dict[str, Any]:
        return {
            "holderIdentity": self.holder,
            "acquireTime": self.acquire_time,
            "renewTime": self.renew_time,
            "leaseDurationSeconds": self.duration_seconds,
            "leaseTransitions": self.transitions,
        }


@dataclass(frozen=True, slots=True)
class Observation:
    """A record, and since when (our monotonic clock, seconds) we have seen it unchanged."""

    record: LeaseRecord
    since: float


class Decision(StrEnum):
    CREATE = "create"
    RENEW = "renew"
    TAKE = "take"
    WAIT = "wait"


def observe(previous: Observation | None, record: LeaseRecord | None, now: float) -> Observation | None:
    """What we know after having read `record` (None: there is no lease) at `now`."""
    if record is None:
        return None
    if previous is not None and previous.record == record:
        return previous
    return Observation(record, now)


def decide(observation: Observation | None, identity: str, now: float) -> Decision:
    """What `identity` may do about the lease."""
    if observation is None:
        return Decision.CREATE
    record = observation.record
    if record.holder == identity:
        return Decision.RENEW
    if not record.holder or now - observation.since >= record.duration_seconds:
        return Decision.TAKE
    return Decision.WAIT


def renewed(record: LeaseRecord | None, identity: str, times: LeaseTimes, wall_clock: datetime) -> LeaseRecord:
    """The record that makes or keeps `identity` the holder. Its renewTime always differs from the one before."""
    now = _micro_time(wall_clock)
    if record is not None and now == record.renew_time:
        now = _micro_time(wall_clock + timedelta(microseconds=1))
    # Whole seconds in the API, rounded up: others must wait for no less than we count on.
    duration = -int(-times.duration_seconds // 1)
    if record is not None and record.holder == identity:
        return replace(record, renew_time=now, duration_seconds=duration)
    transitions = record.transitions + 1 if record is not None else 0
    return LeaseRecord(identity, now, now, duration, transitions)


def released(record: LeaseRecord, wall_clock: datetime) -> LeaseRecord:
    """The record that lets anybody take over at once."""
    return replace(record, holder="", renew_time=_micro_time(wall_clock), duration_seconds=1)


def _micro_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(_MICRO_TIME)
