"""What is written to a Job of a queue. Each is one patch, and fails when the Job is no longer as it was seen."""

from datetime import UTC, datetime

from spotkube.cluster.transport import Object, Objects
from spotkube.controllers.queues import widths
from spotkube.convert.workloads import Source
from spotkube.model import labels as keys


def let_go(source: Source, now: float, width: int | None = None) -> Objects:
    """The Job makes its pods; a divisible one so many, or all where that is None."""
    at = _annotate(keys.ADMITTED_AT, _rfc3339(now))
    return [*_unchanged(source, suspended=True), *widths.divide(source, width), _suspend(False), at]


def take_back(source: Source) -> Objects:
    """The Job controller ends its pods; it waits again."""
    held = [_annotate(keys.HELD_BY_QUEUE, "true")]
    held = [] if _is_held(source) else held
    return [*_unchanged(source, suspended=False), _suspend(True), *widths.make_whole(source), *held]


def hold(source: Source) -> dict[str, object]:
    """It went past its queue: it waits from now on. Annotations may be missing altogether, so this is a merge patch."""
    metadata: Object = {"uid": source.uid, "annotations": {keys.HELD_BY_QUEUE: "true"}}
    return {"metadata": metadata, "spec": {"suspend": True}}


def _is_held(source: Source) -> bool:
    return source.job is not None and source.job.queued is not None and source.job.queued.held


def _unchanged(source: Source, *, suspended: bool) -> Objects:
    return [
        {"op": "test", "path": "/metadata/uid", "value": source.uid},
        {"op": "test", "path": "/spec/suspend", "value": suspended},
    ]


def _suspend(value: bool) -> Object:
    return {"op": "replace", "path": "/spec/suspend", "value": value}


def _annotate(key: str, value: str) -> Object:
    return {"op": "add", "path": f"/metadata/annotations/{key.replace('/', '~1')}", "value": value}


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
