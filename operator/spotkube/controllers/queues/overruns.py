"""Pods that run longer than their queue advises, and how long they have delayed others by that."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime

from spotkube.api.fairqueue import FairQueue, Overrun
from spotkube.api.fields import parse_duration_seconds
from spotkube.cluster.events import EventRecorder, ObjectRef
from spotkube.controllers.expected import owner_of
from spotkube.controllers.view import View
from spotkube.convert.workloads import Source, SourceKey

# What the API takes.
MOST = 20


class Overruns:
    """Remembers of which jobs was told; after a restart each is told of once more."""

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder
        self._told: set[str] = set()
        self._found: dict[str, list[tuple[Overrun, Source]]] = {}

    def of(self, queue: str) -> tuple[Overrun, ...]:
        """Those that were found last, for the status of the queue."""
        return tuple(overrun for overrun, _ in self._found.get(queue, ()))

    def look(self, view: View, queues: Mapping[str, FairQueue]) -> None:
        """Looks for them, and tells each job once that it has such pods."""
        advised = {
            queue.name: parse_duration_seconds(queue.spec.advisory_run_time)
            for queue in queues.values()
            if queue.spec.advisory_run_time is not None
        }
        self._found = _found(view, advised) if advised else {}
        there = {source.uid: (overrun, source) for some in self._found.values() for overrun, source in some}
        for uid, (overrun, source) in there.items():
            if uid not in self._told:
                about = ObjectRef("batch/v1", "Job", source.name, source.uid, source.namespace)
                words = _words(overrun, queues[_queue(source) or ""])
                self._recorder.record(about, "Warning", "RunsLong", words, "Queue")
        self._told = {source.uid for source in view.sources.values() if source.uid in self._told | there.keys()}


def _found(view: View, advised: Mapping[str, float]) -> dict[str, list[tuple[Overrun, Source]]]:
    """By queue, those that overrun for longest first."""
    since: dict[SourceKey, list[float]] = defaultdict(list)
    for pod in view.pods.values():
        source = view.sources.get(owner_of(pod)) if pod.started_at and pod.node is not None else None
        limit = advised.get(_queue(source) or "") if source is not None else None
        if limit is not None and view.now - pod.started_at > limit:
            since[owner_of(pod)].append(pod.started_at + limit)
    found: dict[str, list[tuple[Overrun, Source]]] = defaultdict(list)
    for key, moments in sorted(since.items(), key=lambda item: (min(item[1]), item[0])):
        source = view.sources[key]
        told = found[_queue(source) or ""]
        if len(told) < MOST:
            first = datetime.fromtimestamp(int(min(moments)), UTC)
            told.append((Overrun(job=f"{source.namespace}/{source.name}", pods=len(moments), since=first), source))
    return dict(found)


def _queue(source: Source) -> str | None:
    return source.job.queued.queue if source.job is not None and source.job.queued is not None else None


def _words(overrun: Overrun, queue: FairQueue) -> str:
    pods = "a pod of it has" if overrun.pods == 1 else f"{overrun.pods} of its pods have"
    return (
        f"{pods} run longer than the {queue.spec.advisory_run_time} that queue {queue.name} advises, and who waits for "
        "the room waits as much longer: divide its work into shorter pods"
    )
