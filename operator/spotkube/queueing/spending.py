"""What queues and tenants have spent today and this month (UTC), accounted from what really ran at its real price."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from spotkube.queueing.budgets import Spent
from spotkube.queueing.jobs import HOUR_SECONDS

Account = tuple[str, str]
"""Queue and tenant."""


@dataclass
class Spending:
    """Dollars since the day and the month began. Time that nobody accounted for, as while the operator was down, counts
    at the rates that are seen afterwards."""

    rates_usd_hour: Mapping[Account, float] = field(default_factory=dict)
    _today: dict[Account, float] = field(default_factory=dict)
    _month: dict[Account, float] = field(default_factory=dict)
    _accounted_seconds: float | None = None

    def accrue(self, now: float, rates_usd_hour: Mapping[Account, float]) -> dict[Account, float]:
        """These rates hold since the last time; what that comes to, in dollars. A clock that steps back accounts
        nothing."""
        last = self._accounted_seconds
        passed = 0.0 if last is None else max(0.0, now - last)
        if last is not None and now > last:
            self._begin_anew(now)
            for account, usd_hour in rates_usd_hour.items():
                self._add(self._today, account, usd_hour, now - max(last, _day(now)))
                self._add(self._month, account, usd_hour, now - max(last, _month(now)))
        self._accounted_seconds = now if last is None else max(now, last)
        self.rates_usd_hour = dict(rates_usd_hour)
        return {account: usd_hour * passed / HOUR_SECONDS for account, usd_hour in rates_usd_hour.items()}

    def of_queues(self) -> dict[str, Spent]:
        """By queue."""
        today, month = defaultdict[str, float](float), defaultdict[str, float](float)
        for totals, amounts in ((today, self._today), (month, self._month)):
            for (queue, _), usd in amounts.items():
                totals[queue] += usd
        return {queue: Spent(today[queue], month[queue]) for queue in today.keys() | month.keys()}

    def of(self, account: Account) -> Spent:
        return Spent(self._today.get(account, 0.0), self._month.get(account, 0.0))

    def state(self) -> dict[str, Any]:
        """As plain numbers and names, for JSON."""
        accounts = sorted(self._today.keys() | self._month.keys())
        return {
            "accounted": self._accounted_seconds,
            "accounts": [[*one, self._today.get(one, 0.0), self._month.get(one, 0.0)] for one in accounts],
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "Spending":
        """Raises KeyError, TypeError, ValueError."""
        today = {(queue, tenant): float(usd) for queue, tenant, usd, _ in state["accounts"]}
        month = {(queue, tenant): float(usd) for queue, tenant, _, usd in state["accounts"]}
        return cls(_today=today, _month=month, _accounted_seconds=state["accounted"])

    def _begin_anew(self, now: float) -> None:
        last = self._accounted_seconds or 0.0
        if _day(now) > last:
            self._today.clear()
        if _month(now) > last:
            self._month.clear()

    @staticmethod
    def _add(amounts: dict[Account, float], account: Account, usd_hour: float, seconds: float) -> None:
        amounts[account] = amounts.get(account, 0.0) + usd_hour * seconds / HOUR_SECONDS


def _day(now: float) -> float:
    return datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


def _month(now: float) -> float:
    return datetime.fromtimestamp(_day(now), UTC).replace(day=1).timestamp()
