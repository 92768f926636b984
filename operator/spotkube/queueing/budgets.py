"""Dollars a day and a month: what was spent, what running jobs will still cost in it, and what that leaves.

A job counts with what it will cost until the day or month ends, by its estimate. A limit in dollars an hour is a quota
(`queues.Queue.limits`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from spotkube.queueing.jobs import HOUR_SECONDS, Running
from spotkube.queueing.queues import Budget


@dataclass(frozen=True, slots=True)
class Spent:
    """What a queue's pods have cost so far, in dollars."""

    usd_today: float = 0.0
    usd_this_month: float = 0.0


@dataclass(frozen=True, slots=True)
class Left:
    """What may still be promised until one moment."""

    usd: float
    until_seconds: float
    """Unix time at which the day or month ends."""
    limit_usd: float
    period: str

    def cost_usd(self, now_seconds: float, end_seconds: float, usd_hour: float) -> float:
        """What a job that runs from now until `end_seconds` costs of it."""
        return usd_hour * max(0.0, min(end_seconds, self.until_seconds) - now_seconds) / HOUR_SECONDS

    def longest_seconds(self, now_seconds: float, usd_hour: float) -> float:
        """How long a job may run; for ever if what is left lasts until the period ends."""
        if usd_hour <= 0 or self.usd >= usd_hour * (self.until_seconds - now_seconds) / HOUR_SECONDS:
            return float("inf")
        return max(0.0, self.usd) / usd_hour * HOUR_SECONDS


def lefts(budget: Budget, spent: Spent, running: Iterable[Running], now_seconds: float) -> tuple[Left, ...]:
    """What the queue's day and month leave; empty if neither has a limit. Jobs without a price count as free."""
    day, month = _ends(now_seconds)
    periods = (
        (budget.usd_per_day, spent.usd_today, day, "day"),
        (budget.usd_per_month, spent.usd_this_month, month, "month"),
    )
    set_ones = [(limit, used, until, name) for limit, used, until, name in periods if limit is not None]
    if not set_ones:
        return ()
    jobs = [(one.end_seconds(now_seconds), one.usd_hour or 0.0) for one in running]
    empty = (Left(limit - used, until, limit, name) for limit, used, until, name in set_ones)
    return tuple(
        _less(left, sum(left.cost_usd(now_seconds, end, usd_hour) for end, usd_hour in jobs)) for left in empty
    )


def committed(left: tuple[Left, ...], now_seconds: float, end_seconds: float, usd_hour: float) -> tuple[Left, ...]:
    """What is left once a job is promised its cost."""
    return tuple(_less(one, one.cost_usd(now_seconds, end_seconds, usd_hour)) for one in left)


def _less(left: Left, usd: float) -> Left:
    return Left(left.usd - usd, left.until_seconds, left.limit_usd, left.period)


def _ends(now_seconds: float) -> tuple[float, float]:
    today = datetime.fromtimestamp(now_seconds, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    next_month = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    return (today + timedelta(days=1)).timestamp(), next_month.timestamp()
