"""User-weighted fair queueing as published (arXiv 2510.15485), to compare with: nothing decides by it.

It differs from the clock in two ways. A tenant's start moves when its jobs are virtually done and not when they are
dispatched, so that one whose work was dispatched in time keeps its old start and gets ahead of others; and each
submission costs O(tenants + jobs of that tenant). Where the published form truncates times to integers and leaves equal
deadlines undecided, this one does not.
"""

from dataclasses import dataclass, field

GRACE_SECONDS = 3.0


@dataclass(slots=True)
class _Job:
    id: str
    size: float
    due: float
    """In the tenant's own virtual time."""


@dataclass(slots=True)
class _Tenant:
    weight: float
    start: float
    end: float = 0.0
    time: float = 0.0
    """The tenant's own virtual time, in which its jobs share evenly."""
    jobs: list[_Job] = field(default_factory=list)

    def advance(self, work: float) -> None:
        while self.jobs and work > 0:
            first = self.jobs[0]
            needed = max(0.0, first.due - self.time) * len(self.jobs)
            if needed > work:
                self.time += work / len(self.jobs)
                return
            work -= needed
            self.time = first.due
            self.start += first.size / self.weight
            del self.jobs[0]


class PublishedClock:
    """Virtual deadlines of jobs; the least one runs next. Sizes are in units of capacity times seconds."""

    def __init__(self) -> None:
        self.deadlines: dict[str, float] = {}
        """Of those who wait."""
        self._virtual = 0.0
        self._seconds = 0.0
        self._active: dict[str, _Tenant] = {}
        self._left: dict[str, _Tenant] = {}

    def submit(
        self, job: str, tenant: str, size: float, now: float, capacity: float, weight: float = 1.0, again: bool = False
    ) -> None:
        """`again` says that it continues earlier work: a tenant that only just left then goes on where it was."""
        self._advance(now, capacity)
        account = self._active.get(tenant) or self._revived(tenant, weight, capacity, again)
        self.deadlines[job] = 0.0
        account.jobs.append(_Job(job, size, account.time + size))
        account.jobs.sort(key=lambda own: (own.due, own.id))
        chained = account.start
        for own in account.jobs:
            chained += own.size / account.weight
            if own.id in self.deadlines:
                self.deadlines[own.id] = chained
        account.end = chained

    def dispatch(self, job: str) -> None:
        """It waits no more; the published form takes no other note of that."""
        del self.deadlines[job]

    def _revived(self, tenant: str, weight: float, capacity: float, again: bool) -> _Tenant:
        account = self._left.pop(tenant, None) or _Tenant(weight, self._virtual)
        if not (again and self._virtual - account.end <= GRACE_SECONDS * capacity / 2):
            account.start = self._virtual
        self._active[tenant] = account
        return account

    def _advance(self, now: float, capacity: float) -> None:
        passed = max(0.0, now - self._seconds) * capacity
        self._seconds = now
        while self._active and passed > 0:
            name, first = min(self._active.items(), key=lambda item: (item[1].end, item[0]))
            total = sum(account.weight for account in self._active.values())
            needed = max(0.0, first.end - self._virtual) * total
            step = min(passed, needed)
            passed -= step
            self._virtual += step / total
            for account in self._active.values():
                account.advance(step * account.weight / total)
            if needed <= step:
                first.jobs.clear()
                self._left[name] = self._active.pop(name)
