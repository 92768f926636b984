"""What `spotkube queue` shows, as values: queues, what each tenant has of what it is entitled to, and who waits."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from spotkube.api.fairqueue import FairQueue, TenantStatus
from spotkube.convert.places import Origin, Places, WaitingJob
from spotkube.queueing.fairness import entitlements
from spotkube.reports.times import span

# The operator keeps places at least every 30 s as long as any job waits or runs.
OLD_SECONDS = 120.0
MOST_NEAREST = 3
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class TenantShare:
    """`share` is the tenant's part of the queue's dollars an hour, None while the queue spends nothing; `entitled` its
    part by weights among tenants with work."""

    queue: str
    tenant: TenantStatus
    share: float | None
    entitled: float


@dataclass(frozen=True, slots=True)
class QueueReport:
    """`now` is a Unix time. `notes` say what could not be read."""

    queues: tuple[FairQueue, ...]
    shares: tuple[TenantShare, ...]
    places: Places
    now: float
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, queues: Iterable[FairQueue], places: Places, now: float, notes: Iterable[str] = ()) -> "QueueReport":
        ordered = tuple(sorted(queues, key=lambda queue: (queue.spec.cohort or "", queue.name)))
        shares = tuple(share for queue in ordered for share in tenant_shares(queue))
        places = _of_tenants(places, ordered)
        return cls(ordered, shares, places, now, (*notes, *_of_places(places, now), *_further_back(ordered, places)))

    def pending(self, queue: str) -> int:
        """How many wait there: of those far back the operator keeps no place."""
        told = next((one.status.pending_workloads for one in self.queues if one.name == queue), None)
        return max(told or 0, len(self.places.of_queue(queue)))


def tenant_shares(queue: FairQueue) -> Iterator[TenantShare]:
    """Of those with jobs that wait or run."""
    tenants = [one for one in queue.status.tenants if one.pending or one.admitted]
    usd_per_hour = sum(one.usd_per_hour for one in queue.status.tenants)
    entitled = entitlements({one.name: one.weight for one in tenants})
    for one in tenants:
        share = one.usd_per_hour / usd_per_hour if usd_per_hour > 0 else None
        yield TenantShare(queue.name, one, share, entitled[one.name])


def _of_tenants(places: Places, queues: Iterable[FairQueue]) -> Places:
    """Workloads don't know which tenant their namespace belongs to, queues do."""
    if places.origin is not Origin.WORKLOADS:
        return places
    owners = {(queue.name, ns): one.name for queue in queues for one in queue.status.tenants for ns in one.namespaces}
    jobs = (replace(job, tenant=owners.get((job.queue, job.namespace), job.tenant)) for job in places.jobs)
    return replace(places, jobs=tuple(jobs))


def select(report: QueueReport, queue: str | None, namespace: str | None) -> QueueReport:
    """Of one queue, and of one namespace. Raises ValueError for a queue that there is not."""
    queues, shares, jobs = report.queues, report.shares, report.places.jobs
    if queue is not None:
        names = {one.name for one in queues} | {job.queue for job in jobs}
        if queue not in names:
            near = get_close_matches(queue, names, MOST_NEAREST)
            raise ValueError(f"--queue: there is no queue {queue!r}: {_hint(near, sorted(names))}")
        queues = tuple(one for one in queues if one.name == queue)
        shares = tuple(one for one in shares if one.queue == queue)
        jobs = tuple(job for job in jobs if job.queue == queue)
    if namespace is not None:
        jobs = tuple(job for job in jobs if job.namespace == namespace)
        tenants = {namespace, *(job.tenant for job in jobs)}
        shares = tuple(one for one in shares if one.tenant.name in tenants or namespace in one.tenant.namespaces)
    return replace(report, queues=queues, shares=shares, places=replace(report.places, jobs=jobs))


def find(jobs: Sequence[WaitingJob], name: str, namespace: str | None) -> WaitingJob:
    """The job of that name, NAME or NAMESPACE/NAME. Raises ValueError for none and for several."""
    wanted = f"{namespace}/{name}" if namespace is not None and "/" not in name else name
    found = [job for job in jobs if wanted == job.key or wanted == _alone(job.key)]
    if not found:
        keys = sorted({job.key for job in jobs})
        near = get_close_matches(_alone(wanted), {_alone(key) for key in keys})
        meant = [key for key in keys if _alone(key) in near][:MOST_NEAREST]
        raise ValueError(f"no job {wanted!r} waits in a queue: {_hint(meant, keys)}")
    if len(found) > 1:
        raise ValueError(f"{name!r} may be {' or '.join(job.key for job in found)}: say which, as NAMESPACE/NAME")
    return found[0]


def _alone(key: str) -> str:
    """The name in namespace/name."""
    return key.rpartition("/")[2]


def _hint(meant: Sequence[str], known: Sequence[str]) -> str:
    if meant:
        return f"did you mean {' or '.join(meant)}?"
    more = " and more" if len(known) > MOST_NAMED else ""
    return f"there are {', '.join(known[:MOST_NAMED])}{more}" if known else "there is none"


def _of_places(places: Places, now: float) -> Iterator[str]:
    if places.origin is Origin.NOTHING:
        yield "no operator has kept anything of who waits yet: does it run, and is --operator-namespace where it does?"
    if places.jobs and places.as_of is not None and now - places.as_of > OLD_SECONDS:
        yield f"the operator kept who waits {span(now - places.as_of)} ago: does it run?"


def _further_back(queues: Iterable[FairQueue], places: Places) -> Iterator[str]:
    """Of long queues only the first places are kept."""
    for queue in queues if places.origin is Origin.OPERATOR else ():
        more = (queue.status.pending_workloads or 0) - len(places.of_queue(queue.name))
        if more > 0:
            yield f"of queue {queue.name} {more} more wait, further back than what is kept"
