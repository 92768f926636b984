"""Termination notices in messages of AWS: the events of EventBridge, as SQS hands them over.

A message holds one event, as it is or wrapped by SNS. An event tells when it happened, so that a notice which waited in
the queue has no more time than it has: EC2 gives a spot instance two minutes from then on.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from spotkube.model.notices import Notice, NoticeKind

Json = Mapping[str, Any]

SPOT_SECONDS = 120.0
"""From the event to the end of a spot instance; one that hibernates begins at once."""
REBALANCE_SECONDS = 600.0
"""A recommendation comes 10 to 20 minutes ahead, if it does."""
LIFECYCLE_SECONDS = 120.0
"""Autoscaling waits for as long as its lifecycle hook says, which the event does not tell."""
_ENDING = frozenset({"stopping", "stopped", "shutting-down", "terminated"})
_OTHER_STATES = frozenset({"pending", "running"})


class UnreadableMessage(ValueError):  # noqa: N818 - says what it is
    """No event, or one that lacks what it must have."""


class UnknownKind(ValueError):  # noqa: N818 - says what it is
    """An event, but none that we know."""


def read_message(body: str) -> tuple[Notice, ...]:
    """The notices in a message; none where it tells of nothing that ends. Raises UnreadableMessage, UnknownKind."""
    event = _unwrapped(_object(body))
    kind = event.get("detail-type", event.get("LifecycleTransition", event.get("Event")))
    read = _KINDS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise UnknownKind(f"detail-type: {kind!r:.200} is none that is known: {', '.join(sorted(_KINDS))}")
    try:
        return tuple(read(event))
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, IndexError, RecursionError) as error:
        raise UnreadableMessage(f"{kind}: {error!r:.200}") from error


def _object(text: object) -> dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError) as error:
        raise UnreadableMessage(f"no JSON: {error}") from error
    if not isinstance(found, dict):
        raise UnreadableMessage(f"no JSON object, but {type(found).__name__}")
    return found


def _unwrapped(event: dict[str, Any]) -> dict[str, Any]:
    return _object(event["Message"]) if event.get("Type") == "Notification" and "Message" in event else event


def _interruption(event: Json) -> Iterator[Notice]:
    lead = 0.0 if event["detail"].get("instance-action") == "hibernate" else SPOT_SECONDS
    yield _notice(event, NoticeKind.SPOT_INTERRUPTION, event["detail"]["instance-id"], lead)


def _rebalance(event: Json) -> Iterator[Notice]:
    instance = event["detail"]["instance-id"]
    yield _notice(event, NoticeKind.REBALANCE_RECOMMENDATION, instance, REBALANCE_SECONDS, ends=False)


def _state_change(event: Json) -> Iterator[Notice]:
    """After the fact: what is left is to replace it."""
    state = event["detail"]["state"]
    if state in _ENDING:
        yield _notice(event, NoticeKind.INSTANCE_TERMINATION, event["detail"]["instance-id"], 0.0)
    elif state not in _OTHER_STATES:
        raise ValueError(f"state: {state!r:.50} is unknown")


def _health(event: Json) -> Iterator[Notice]:
    detail = event["detail"]
    if detail["service"] != "EC2" or detail["eventTypeCategory"] != "scheduledChange":
        return
    start = _time(detail["startTime"])
    for entity in detail["affectedEntities"]:
        id_ = f"{event['id']}/{entity['entityValue']}"
        yield _made(id_, NoticeKind.SCHEDULED_MAINTENANCE, entity["entityValue"], str(event["detail-type"]), start)


def _lifecycle(event: Json) -> Iterator[Notice]:
    yield _notice(event, NoticeKind.INSTANCE_TERMINATION, event["detail"]["EC2InstanceId"], LIFECYCLE_SECONDS)


def _lifecycle_itself(event: Json) -> Iterator[Notice]:
    """As autoscaling writes it to a queue without EventBridge."""
    id_, deadline = str(event["RequestId"]), _time(event["Time"]) + LIFECYCLE_SECONDS
    yield _made(id_, NoticeKind.INSTANCE_TERMINATION, event["EC2InstanceId"], "autoscaling", deadline)


_KINDS: dict[str, Callable[[Json], Iterator[Notice]]] = {
    "EC2 Spot Instance Interruption Warning": _interruption,
    "EC2 Instance Rebalance Recommendation": _rebalance,
    "EC2 Instance State-change Notification": _state_change,
    "AWS Health Event": _health,
    "EC2 Instance-terminate Lifecycle Action": _lifecycle,
    "autoscaling:EC2_INSTANCE_TERMINATING": _lifecycle_itself,
    "autoscaling:TEST_NOTIFICATION": lambda _: iter(()),
}


def _notice(event: Json, kind: NoticeKind, instance: str, lead_seconds: float, *, ends: bool = True) -> Notice:
    deadline = _time(event["time"]) + lead_seconds
    return _made(str(event["id"]), kind, instance, str(event["detail-type"]), deadline, ends=ends)


def _made(id_: str, kind: NoticeKind, instance: str, source: str, deadline: float, *, ends: bool = True) -> Notice:
    if not isinstance(instance, str) or not instance:
        raise ValueError(f"instance: {instance!r:.50} is no name")
    (id_ + instance).encode()  # half a surrogate pair can't be written to a claim
    return Notice(kind, source, id_, 0.0, deadline, ends, instance)


def _time(text: str) -> float:
    """EventBridge writes RFC 3339, AWS Health the time of e-mails. Raises ValueError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = parsedate_to_datetime(text)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
