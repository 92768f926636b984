"""Pods that run longer than their queue advises, and how long they have delayed others by that."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from spotkube.api.fairqueue import FairQueue, Overrun
from spotkube.api.fields import parse_duration_seconds
from spotkube.cluster.events import EventRecorder, ObjectRef
from spotkube.controllers.expected import owner_of
from spotkube.controllers.view import View
from spotkube.convert.workloads import Source, SourceKey
from spotkube.queueing.spending import Account
from spotkube.queueing.tenants import Tenants

# What the API takes.
MOST = 20


@dataclass(frozen=True, slots=True)
class Late:
    """A Job of which some pods run longer, the first of them `since` then (Unix time)."""

    source: Source
    queue: str
    pods: int
    since: float

    @property
    def overrun(self) -> Overrun:
        """As the status of its queue says it."""
        job, since = f"{self.source.namespace}/{self.source.name}", datetime.fromtimestamp(int(self.since), UTC)
        return Overrun(job=job, pods=self.pods, since=since)


class Overruns:
    """Remembers of which jobs was told; after a restart each is told of once more."""

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder
        self._told: set[str] = set()
        self._found: dict[str, list[Late]] = {}
        self._delays: dict[Account, tuple[int, float]] = {}

    def of(self, queue: str) -> tuple[Overrun, ...]:
        """Those that were found last, for the status of the queue."""
        return tuple(late.overrun for late in self._found.get(queue, ())[:MOST])

    @property
    def delays(self) -> Mapping[Account, tuple[int, float]]:
        """By queue and tenant, as they were found last: how many pods run longer, and by how many seconds at most."""
        return self._delays

    def look(self, view: View, queues: Mapping[str, FairQueue], tenants: Tenants) -> None:
        """Looks for them, and tells each job once that it has such pods."""
        advised = {
            queue.name: parse_duration_seconds(queue.spec.advisory_run_time)
            for queue in queues.values()
            if queue.spec.advisory_run_time is not None
        }
        self._found = _found(view, advised) if advised else {}
        self._delays = _delays((late for some in self._found.values() for late in some), tenants, view.now)
        there = {late.source.uid: late for some in self._found.values() for late in some[:MOST]}
        for uid, late in there.items():
            if uid not in self._told:
                about = ObjectRef("batch/v1", "Job", late.source.name, uid, late.source.namespace)
                self._recorder.record(about, "Warning", "RunsLong", _words(late, queues[late.queue]), "Queue")
        self._told = {source.uid for source in view.sources.values() if source.uid in self._told | there.keys()}


def _found(view: View, advised: Mapping[str, float]) -> dict[str, list[Late]]:
    """By queue, those that overrun for longest first."""
    since: dict[SourceKey, list[float]] = defaultdict(list)
    for pod in view.pods.values():
        source = view.sources.get(owner_of(pod)) if pod.started_at and pod.node is not None else None
        limit = advised.get(_queue(source) or "") if source is not None else None
        if limit is not None and view.now - pod.started_at > limit:
            since[owner_of(pod)].append(pod.started_at + limit)
    found: dict[str, list[Late]] = defaultdict(list)
    for key, moments in sorted(since.items(), key=lambda item: (min(item[1]), item[0])):
        source = view.sources[key]
        queue = _queue(source) or ""
        found[queue].append(Late(source, queue, len(moments), min(moments)))
    return dict(found)


def _delays(found: Iterable[Late], tenants: Tenants, now: float) -> dict[Account, tuple[int, float]]:
    delays: dict[Account, tuple[int, float]] = {}
    for late in found:
        account = late.queue, tenants.of(late.source.namespace)
        pods, seconds = delays.get(account, (0, 0.0))
        delays[account] = pods + late.pods, max(seconds, now - late.since)
    return delays


def _queue(source: Source) -> str | None:
    return source.job.queued.queue if source.job is not None and source.job.queued is not None else None


def _words(late: Late, queue: FairQueue) -> str:
    pods = "a pod of it has" if late.pods == 1 else f"{late.pods} of its pods have"
    return (
        f"{pods} run longer than the {queue.spec.advisory_run_time} that queue {queue.name} advises, and who waits for "
        "the room waits as much longer: divide its work into shorter pods"
    )
