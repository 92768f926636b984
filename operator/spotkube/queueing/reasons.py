"""Why a job waits, as a value with its numbers, and in words."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from spotkube.model.resources import CPU, EPHEMERAL_STORAGE, MEMORY
from spotkube.queueing.budgets import Left
from spotkube.queueing.jobs import MICRO, USD_HOUR
from spotkube.queueing.room import Lack, Level


class Why(StrEnum):
    """The kinds of reasons."""

    UNKNOWN_QUEUE = "UnknownQueue"
    QUEUE_INVALID = "QueueInvalid"
    """What its owner wrote can't be meant."""
    QUEUE_HELD = "QueueHeld"
    GANG_INCOMPLETE = "GangIncomplete"
    BACKOFF = "Backoff"
    TOO_LARGE = "TooLarge"
    """For ever: larger than the quota, the budget, or anything that could be there."""
    QUOTA = "Quota"
    BUDGET = "Budget"
    NO_CAPACITY = "NoCapacity"
    """Not at any price, as things stand."""
    RESERVATION = "Reservation"
    """It would push back a job ahead of it."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Amounts are in the units of `ResourceList`, dollars in micro-dollars."""

    why: Why
    words: str
    resource: str = ""
    needed: int = 0
    available: int = 0
    until_seconds: float | None = None
    """When it is worth another look, where that is known."""
    behind: str = ""
    """UID of the job whose reservation it would move."""


def written(name: str, amount: int) -> str:
    """An amount as people read it."""
    if name == USD_HOUR:
        return f"${amount / MICRO:.2f} an hour"
    if name == CPU:
        return f"{amount / 1000:g} cpu"
    if name in (MEMORY, EPHEMERAL_STORAGE):
        return f"{amount / 2**30:.3g} GiB {name}"
    return f"{amount} {name}"


def utc(seconds: float) -> str:
    """A moment, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def of_lack(lack: Lack, queue: str, cohort: str | None) -> Reason:
    """What is missing now and may come."""
    needed, available = written(lack.resource, lack.needed), written(lack.resource, lack.available)
    if lack.resource == USD_HOUR and lack.level is not Level.CLUSTER:
        why, place = Why.BUDGET, f"the budget of queue {queue}"
    elif lack.level is Level.QUEUE:
        why, place = Why.QUOTA, f"the quota of queue {queue}"
    elif lack.level is Level.COHORT:
        why, place = Why.QUOTA, f"cohort {cohort}"
    else:
        why, place = Why.NO_CAPACITY, "the cluster with all that may be bought"
    words = f"it needs {needed}, and of {place} {available} are left"
    return Reason(why, words, lack.resource, lack.needed, lack.available)


def over_budget(left: Left, queue: str, cost_usd: float) -> Reason:
    """The day or month does not pay for it."""
    words = (
        f"it costs ${cost_usd:.2f} until the {left.period} ends, and of queue {queue}'s ${left.limit_usd:.2f} a "
        f"{left.period} ${max(0.0, left.usd):.2f} are left; the next begins at {utc(left.until_seconds)}"
    )
    needed, available = round(cost_usd * MICRO), round(max(0.0, left.usd) * MICRO)
    return Reason(Why.BUDGET, words, f"usd-per-{left.period}", needed, available, left.until_seconds)


def too_large(name: str, needed: int, most: int, whose: str) -> Reason:
    """It never fits."""
    words = f"it needs {written(name, needed)}, and {whose} never has more than {written(name, most)}"
    return Reason(Why.TOO_LARGE, f"{words}: ask for less, or raise that", name, needed, most)


def backoff(until_seconds: float) -> Reason:
    return Reason(Why.BACKOFF, f"it is tried again at {utc(until_seconds)}", until_seconds=until_seconds)


def gang_incomplete(there: int, all_pods: int) -> Reason:
    words = f"of its {all_pods} pods {there} exist; it starts with all or none"
    return Reason(Why.GANG_INCOMPLETE, words, "pods", all_pods, there)


def held(queue: str) -> Reason:
    return Reason(Why.QUEUE_HELD, f"queue {queue} admits nothing: its stopPolicy says so")


def unknown(queue: str) -> Reason:
    return Reason(Why.UNKNOWN_QUEUE, f"there is no queue {queue}: create it, or name another")


def behind(uid: str, name: str, start_seconds: float | None) -> Reason:
    when = "as soon as there is room" if start_seconds is None else f"at {utc(start_seconds)}"
    words = f"{name} is ahead and has room reserved, {when}; this one would push that back"
    return Reason(Why.RESERVATION, words, until_seconds=start_seconds, behind=uid)
