"""What each queue may still use: its own quota, and what others in its cohort leave idle.

Of its nominal quota N a queue lends at most L to its cohort and keeps g = N - L for itself. What the queues of a
cohort lend is one pool of P = sum(L). A queue that uses U draws max(0, U - g) of the pool, so that all holds if

    U <= N + borrowing limit    for each queue, and
    sum(max(0, U - g)) <= P     for each cohort.

Hence a cohort never uses more than sum(N). And if a queue finds its own N taken, then others use more than their N by
at least what it lacks: with U <= N for it, the others draw more than the sum of their L only where some U > g + L = N.
Cohorts have one level. Every question takes the same time, however many queues or jobs there are.
"""

from collections.abc import Iterable, Mapping

from spotkube.queueing.jobs import Amounts, Running
from spotkube.queueing.queues import Queue, Quota

_Key = tuple[str, str]


class Ledger:
    """What the queues use, kept up as jobs come and go. A queue's resource without a quota is not counted."""

    def __init__(self, queues: Mapping[str, Queue]) -> None:
        self._quota: dict[_Key, Quota] = {}
        self._kept: dict[_Key, int] = {}
        self._pool: dict[_Key, int] = {}
        self._cohort = {name: queue.cohort for name, queue in queues.items()}
        self._used: dict[_Key, int] = {}
        self._drawn: dict[_Key, int] = {}
        for queue in queues.values():
            for name, quota in queue.limits.items():
                self._enter(queue, name, quota)

    def _enter(self, queue: Queue, name: str, quota: Quota) -> None:
        lent = 0
        if queue.cohort is not None:
            lent = quota.nominal if quota.lending_limit is None else min(quota.nominal, quota.lending_limit)
            pool = queue.cohort, name
            self._pool[pool] = self._pool.get(pool, 0) + lent
            self._drawn.setdefault(pool, 0)
        self._quota[queue.name, name] = quota
        self._kept[queue.name, name] = quota.nominal - lent
        self._used[queue.name, name] = 0

    @classmethod
    def of(cls, queues: Mapping[str, Queue], running: Iterable[Running]) -> "Ledger":
        """With what these jobs use."""
        ledger = cls(queues)
        for one in running:
            ledger.add(one.job.queue, one.amounts)
        return ledger

    def copy(self) -> "Ledger":
        """To try things on. What does not change is shared."""
        copied = object.__new__(Ledger)
        copied.__dict__.update(self.__dict__)
        copied._used = self._used.copy()
        copied._drawn = self._drawn.copy()
        return copied

    def add(self, queue: str, amounts: Amounts) -> None:
        """The queue uses this besides."""
        self._change(queue, amounts, 1)

    def remove(self, queue: str, amounts: Amounts) -> None:
        """The queue uses it no longer."""
        self._change(queue, amounts, -1)

    def _change(self, queue: str, amounts: Amounts, sign: int) -> None:
        cohort = self._cohort.get(queue)
        for name, amount in amounts.items():
            key = queue, name
            before = self._used.get(key)
            if before is None:
                continue
            after = self._used[key] = before + sign * amount
            if cohort is not None:
                kept = self._kept[key]
                self._drawn[cohort, name] += max(0, after - kept) - max(0, before - kept)

    def cohort_of(self, queue: str) -> str | None:
        return self._cohort.get(queue)

    def used(self, queue: str, name: str) -> int:
        """What the queue uses of a resource that it has a quota of."""
        return self._used.get((queue, name), 0)

    def room_in_queue(self, queue: str, name: str) -> int | None:
        """How much more the queue's own limit allows, whatever others use; None is no limit."""
        quota = self._quota.get((queue, name))
        if quota is None:
            return None
        if self._cohort[queue] is None:
            return quota.nominal - self._used[queue, name]
        if quota.borrowing_limit is None:
            return None
        return quota.nominal + quota.borrowing_limit - self._used[queue, name]

    def room_in_cohort(self, queue: str, name: str) -> int | None:
        """How much more there is for the queue of what it keeps and what its cohort lends; None is no limit."""
        cohort, key = self._cohort.get(queue), (queue, name)
        if cohort is None or key not in self._quota:
            return None
        own = max(0, self._kept[key] - self._used[key])
        return own + self._pool[cohort, name] - self._drawn[cohort, name]

    def draw(self, queue: str, name: str, amount: int) -> int:
        """How much of the cohort's pool it would take to use `amount` more."""
        key = queue, name
        if self._cohort.get(queue) is None or key not in self._quota:
            return 0
        over = self._used[key] - self._kept[key]
        return max(0, over + amount) - max(0, over)

    def most(self, queue: str, name: str) -> int | None:
        """What the queue could use if nobody else used anything; None is no limit."""
        quota, cohort = self._quota.get((queue, name)), self._cohort.get(queue)
        if quota is None:
            return None
        if cohort is None:
            return quota.nominal
        shared = self._kept[queue, name] + self._pool[cohort, name]
        return shared if quota.borrowing_limit is None else min(shared, quota.nominal + quota.borrowing_limit)

    def borrowed(self, queue: str, name: str) -> int:
        """How much the queue uses above its own quota."""
        quota = self._quota.get((queue, name))
        return 0 if quota is None else max(0, self._used[queue, name] - quota.nominal)

    def would_borrow(self, queue: str, amounts: Amounts) -> bool:
        """Whether the queue, with this besides, uses what others of its cohort lend."""
        return self._cohort.get(queue) is not None and not self.within_nominal(queue, amounts)

    def within_nominal(self, queue: str, amounts: Amounts) -> bool:
        """Whether the queue, with this besides, uses no more than its own quota of what the amounts are of."""
        for name, amount in amounts.items():
            quota = self._quota.get((queue, name))
            if quota is not None and self._used[queue, name] + amount > quota.nominal:
                return False
        return True
