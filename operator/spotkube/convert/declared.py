"""What the owner of a Job says of its run by annotations. Nothing of it keeps the Job from its turn: what can't be used
is left out, and told in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from spotkube.api.fields import parse_duration_seconds
from spotkube.model import labels as keys
from spotkube.queueing.checkpoints import Checkpoints
from spotkube.queueing.estimates import LEAST_SECONDS, MOST_SECONDS


@dataclass(frozen=True, slots=True)
class Declared:
    """`mistakes` are for people: what was written, and the remedy."""

    run_seconds: float | None
    checkpoints: Checkpoints
    mistakes: tuple[str, ...]


def to_declared(annotations: Mapping[str, str]) -> Declared:
    """Of a Job."""
    run, run_mistake = _duration(annotations, keys.EXPECTED_RUN_TIME)
    interval, interval_mistake = _duration(annotations, keys.CHECKPOINT_INTERVAL)
    last, last_mistake = _moment(annotations, keys.LAST_CHECKPOINT)
    if interval == 0:
        interval, interval_mistake = None, f"annotation {keys.CHECKPOINT_INTERVAL}: it must be above zero; write 1s"
    mistakes = (run_mistake, *_out_of_bounds(run), interval_mistake, last_mistake)
    return Declared(run, Checkpoints(interval, last), tuple(words for words in mistakes if words))


def saved_at(annotations: Mapping[str, str]) -> float:
    """When a pod says that it saved its work last, in seconds since the epoch; 0 for what is no time."""
    return _moment(annotations, keys.LAST_CHECKPOINT)[0] or 0.0


def _duration(annotations: Mapping[str, str], key: str) -> tuple[float | None, str]:
    text = annotations.get(key)
    if text is None:
        return None, ""
    try:
        return parse_duration_seconds(text), ""
    except ValueError:
        return None, f"annotation {key}: {text!r} is no duration; write it as in 90s, 15m, 2h30m"


def _out_of_bounds(run_seconds: float | None) -> Iterator[str]:
    if run_seconds is None or LEAST_SECONDS <= run_seconds <= MOST_SECONDS:
        return
    counts_as, most_hours = min(max(run_seconds, LEAST_SECONDS), MOST_SECONDS), MOST_SECONDS / 3600
    yield (
        f"annotation {keys.EXPECTED_RUN_TIME}: {run_seconds:g} s count as {counts_as:g} s; write from "
        f"{LEAST_SECONDS:g}s to {most_hours:g}h"
    )


def _moment(annotations: Mapping[str, str], key: str) -> tuple[float | None, str]:
    text = annotations.get(key)
    if text is None:
        return None, ""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.timestamp(), ""
    except (ValueError, OverflowError):
        pass
    return None, f"annotation {key}: {text!r} is no time; write it in RFC 3339, as in 2026-11-28T14:00:00Z"
