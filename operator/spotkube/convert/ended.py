"""Pods that have finished, as far as anybody asks for them: a queue does, where nothing else says that they ran."""

from collections.abc import Mapping
from typing import Any

from spotkube.convert.pods import as_it_was, has_finished, to_pod, to_timestamp
from spotkube.convert.queued import to_queued_pod
from spotkube.model.pods import EndedPod, Pod

Json = Mapping[str, Any]


def to_live_or_ended(raw: Json) -> Pod | EndedPod | None:
    """None for one that has finished and was no queue's, or whose owner tells how it ended or makes it anew. Raises
    ValueError for requests that are no quantities."""
    if not has_finished(raw):
        return to_pod(raw)
    if to_queued_pod(raw) is None:
        return None
    pod = as_it_was(raw)
    return None if pod.made_anew else EndedPod(pod, raw["status"]["phase"] == "Succeeded", _ended_at(raw["status"]))


def _ended_at(status: Json) -> float:
    """When its last container did."""
    states = ((one.get("state") or {}).get("terminated") or {} for one in status.get("containerStatuses") or ())
    return max((to_timestamp(state.get("finishedAt")) for state in states), default=0.0)
