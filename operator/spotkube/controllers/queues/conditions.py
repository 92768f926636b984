"""What is wrong or odd with queues: what their conditions say of it, and what their jobs are told."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache

from spotkube.api.common import Condition, ConditionStatus, with_condition
from spotkube.api.fairqueue import ACTIVE, INVALID, OVERLAPS, FairQueue, StopPolicy
from spotkube.controllers.queues.standing import Standing
from spotkube.convert.queues import to_queue
from spotkube.queueing.queues import Queue, Stop
from spotkube.queueing.reasons import Why

Admits = tuple[tuple[str, frozenset[str]], ...]
"""Each queue with the namespaces that it is for."""
LASTING = frozenset({Why.TOO_LARGE.value, Why.UNKNOWN_QUEUE.value, Why.QUEUE_INVALID.value, "NotAllowed"})
"""Reasons that time alone does not end."""
# So many names are told; of more it is said that there are more.
MOST_NAMED = 3


@dataclass(frozen=True)
class Troubles:
    """In words, by queue: why it can't be read, and with which others it shares namespaces."""

    invalid: Mapping[str, str] = field(default_factory=dict)
    overlaps: Mapping[str, str] = field(default_factory=dict)


def to_models(queues: Iterable[FairQueue], rejected: Mapping[str, str]) -> tuple[dict[str, Queue], dict[str, str]]:
    """The queues, and why some of them can't be read, by name. These admit nothing, and keep the weights that say how
    their jobs stand. `rejected` are those that are no FairQueues as we know them, and why."""
    models = {name: Queue(name, stop=Stop.HOLD) for name in rejected}
    invalid = dict(rejected)
    for queue in queues:
        try:
            models[queue.name] = to_queue(queue)
            invalid.pop(queue.name, None)
        except ValueError as error:
            weights = {tenant.name: tenant.weight for tenant in queue.spec.tenants}
            models[queue.name] = Queue(queue.name, queue.spec.weight, stop=Stop.HOLD, tenant_weights=weights)
            invalid[queue.name] = f"spec.resources: {error}"
    return models, invalid


@lru_cache(maxsize=1)
def overlaps(admits: Admits) -> dict[str, str]:
    """Of each queue that shares a namespace with another. That is no mistake, as jobs name their queue; but who meant
    to divide namespaces among queues reads it here."""
    queues: dict[str, list[str]] = defaultdict(list)
    for queue, namespaces in admits:
        for namespace in namespaces:
            queues[namespace].append(queue)
    others, shared = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for namespace, sharing in queues.items():
        for queue in sharing if len(sharing) > 1 else ():
            others[queue].update(sharing)
            shared[queue].add(namespace)
    return {queue: _in_words(others[queue] - {queue}, shared[queue]) for queue in others}


def conditions(queue: FairQueue, troubles: Troubles, now: float) -> tuple[Condition, ...]:
    """Those of the queue, with ours as they should be."""
    found = with_condition(queue.status.conditions, _active(queue, troubles.invalid.get(queue.name), now))
    words = troubles.overlaps.get(queue.name)
    if words is None:
        return tuple(one for one in found if one.type != OVERLAPS)
    return with_condition(found, _condition(queue, OVERLAPS, ConditionStatus.TRUE, "SharesNamespaces", words, now))


def of_invalid(words: str, now: float) -> Condition:
    """Of a queue of which nothing else is known."""
    return _condition(None, ACTIVE, ConditionStatus.FALSE, INVALID, _why_invalid(words), now)


def told(standings: Mapping[str, Standing], troubles: Troubles) -> dict[str, Standing]:
    """As they are, but for jobs of queues that can't be read."""
    return {
        uid: replace(one, reason=Why.QUEUE_INVALID.value, message=f"queue {one.queue} admits nothing: {words}")
        if (words := troubles.invalid.get(one.queue)) is not None
        else one
        for uid, one in standings.items()
    }


def _active(queue: FairQueue, invalid: str | None, now: float) -> Condition:
    if invalid is not None:
        return _condition(queue, ACTIVE, ConditionStatus.FALSE, INVALID, _why_invalid(invalid), now)
    if queue.spec.stop_policy is StopPolicy.NONE:
        return _condition(queue, ACTIVE, ConditionStatus.TRUE, "Admits", "it admits in turn", now)
    words = f"stopPolicy is {queue.spec.stop_policy.value}: nothing is admitted"
    return _condition(queue, ACTIVE, ConditionStatus.FALSE, "Stopped", words, now)


def _condition(
    queue: FairQueue | None, type_: str, status: ConditionStatus, reason: str, message: str, now: float
) -> Condition:
    return Condition(
        type=type_,
        status=status,
        observed_generation=queue.metadata.generation if queue is not None else None,
        last_transition_time=datetime.fromtimestamp(now, UTC),
        reason=reason,
        message=message,
    )


def _why_invalid(words: str) -> str:
    return f"it can't be read, so nothing is admitted and what runs goes on: {words}"


def _in_words(others: set[str], namespaces: set[str]) -> str:
    return (
        f"jobs of namespace {_named(namespaces)} may name {_named(others)} as well; to keep them to one queue, narrow "
        "namespaceSelector"
    )


def _named(names: set[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(sorted(names)[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
