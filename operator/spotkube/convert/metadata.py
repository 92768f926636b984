"""Termination notices in EC2's instance metadata: three documents, each absent as long as there is no news."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from spotkube.convert.messages import REBALANCE_SECONDS
from spotkube.model.notices import Notice, NoticeKind

INSTANCE_ACTION = "spot/instance-action"
REBALANCE = "events/recommendations/rebalance"
MAINTENANCE = "events/maintenance/scheduled"
DOCUMENTS = (INSTANCE_ACTION, REBALANCE, MAINTENANCE)
"""Paths below latest/meta-data/."""


class UnreadableDocument(ValueError):  # noqa: N818 - says what it is
    """Metadata that says something else than what EC2 documents."""


def read_metadata(path: str, text: str) -> tuple[Notice, ...]:
    """The notices in one of DOCUMENTS. Raises UnreadableDocument."""
    try:
        return tuple(_READERS[path](json.loads(text)))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise UnreadableDocument(f"{path}: {error!r:.200} in {text:.200}") from error


def _instance_action(document: dict[str, Any]) -> Iterator[Notice]:
    """The time is when the instance ends; one that hibernates begins at once."""
    action = str(document["action"])
    deadline = _time(document["time"])
    yield Notice(NoticeKind.SPOT_INTERRUPTION, INSTANCE_ACTION, f"{action}/{deadline:.0f}", 0.0, deadline)


def _rebalance(document: dict[str, Any]) -> Iterator[Notice]:
    at = _time(document["noticeTime"])
    id_, deadline = f"rebalance/{at:.0f}", at + REBALANCE_SECONDS
    yield Notice(NoticeKind.REBALANCE_RECOMMENDATION, REBALANCE, id_, 0.0, deadline, ends_instance=False)


def _maintenance(document: list[dict[str, Any]]) -> Iterator[Notice]:
    for event in document:
        if event.get("State", "active") == "active":
            deadline = _time(event["NotBefore"])
            yield Notice(NoticeKind.SCHEDULED_MAINTENANCE, MAINTENANCE, str(event["EventId"]), 0.0, deadline)


_READERS: dict[str, Callable[[Any], Iterator[Notice]]] = {
    INSTANCE_ACTION: _instance_action,
    REBALANCE: _rebalance,
    MAINTENANCE: _maintenance,
}


def _time(text: str) -> float:
    """RFC 3339, or as in "21 Jan 2019 09:00:43 GMT". Raises ValueError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = parsedate_to_datetime(text)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
