"""Kubernetes Events on the objects that they concern: what `kubectl describe` shows about our decisions.

A level-triggered loop comes to the same conclusion each cycle. The same event is therefore posted once, and then
only counted as a series, as client-go does. Nothing here may hold up or break the loop: `record` only queues.
"""

import asyncio
import logging
import time
import uuid
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, Self

from spotkube.cluster.errors import ClusterError, Forbidden, NotFound
from spotkube.cluster.resources import EVENTS, Resource
from spotkube.cluster.throttling import RateLimiter

EventType = Literal["Normal", "Warning"]

REPORTING_CONTROLLER = "spotkube.io/operator"
NOTE_BYTES = 1024
"""The API server refuses longer notes."""
SERIES_SECONDS = 300.0
"""How often a recurring event's count is brought up to date."""
FORGET_SECONDS = 900.0
"""An event that did not recur for so long is a new one when it does."""
MAX_SERIES = 4096
MAX_QUEUED = 1024
NORMAL_A_SECOND, NORMAL_AT_ONCE = 20.0, 200
"""Events that warn of nothing: each costs the API server as much as what it tells of, a thousandth time too."""
MAX_NOTES = 10
"""Different notes posted for one object and reason within FORGET_SECONDS: a note with a number in it is no series."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """The object that an event is about."""

    api_version: str
    kind: str
    name: str
    uid: str
    namespace: str | None = None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Self:
        """Of an object as the API server gave it."""
        metadata = raw["metadata"]
        return cls(raw["apiVersion"], raw["kind"], metadata["name"], metadata["uid"], metadata.get("namespace"))

    def to_reference(self) -> dict[str, str]:
        """As core/v1 ObjectReference."""
        reference = {"apiVersion": self.api_version, "kind": self.kind, "name": self.name, "uid": self.uid}
        return {**reference, "namespace": self.namespace} if self.namespace else reference


class EventClient(Protocol):
    """What the recorder needs of `KubeClient`."""

    async def create(
        self, resource: Resource, body: dict[str, Any], namespace: str | None = None
    ) -> dict[str, Any]: ...

    async def patch(
        self, resource: Resource, name: str, body: dict[str, Any], *, namespace: str | None = None
    ) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class _Key:
    ref: ObjectRef
    type: EventType
    reason: str
    action: str
    note: str


@dataclass(slots=True)
class _Series:
    """One event and its recurrences; times are monotonic seconds."""

    name: str
    namespace: str
    last_seen: float
    last_written: float
    count: int = 1
    queued: bool = True
    posted: bool = False


@dataclass
class EventRecorder:
    """`record()` from anywhere; `run()` in a task posts what was recorded. `dropped` counts what was not."""

    client: EventClient
    instance: str
    """Which replica reports: the pod's name."""
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    dropped: int = 0
    _series: OrderedDict[_Key, _Series] = field(default_factory=OrderedDict)
    _notes: Counter[tuple[ObjectRef, str]] = field(default_factory=Counter)
    _queues: dict[EventType, deque[_Key]] = field(default_factory=lambda: {"Warning": deque(), "Normal": deque()})
    _pace: RateLimiter = field(default_factory=lambda: RateLimiter(NORMAL_A_SECOND, NORMAL_AT_ONCE))
    _filled: asyncio.Event = field(default_factory=asyncio.Event)

    def record(self, ref: ObjectRef, type: EventType, reason: str, message: str, action: str) -> None:
        """Say what happened to an object.

        `reason` is one CamelCase word for machines, `message` a sentence for people without numbers that change each
        cycle, `action` what we did or tried (CamelCase).
        """
        now = self.clock()
        self._forget(now)
        key = _Key(ref, type, reason, action, _cut(message))
        series = self._series.get(key)
        if series is None:
            self._begin(key, now)
            return
        series.count += 1
        series.last_seen = now
        self._series.move_to_end(key)
        if not series.queued and now - series.last_written >= SERIES_SECONDS:
            series.queued = self._enqueue(key)

    def _begin(self, key: _Key, now: float) -> None:
        if self._notes[key.ref, key.reason] >= MAX_NOTES or not self._enqueue(key):
            self.dropped += 1
            return
        self._notes[key.ref, key.reason] += 1
        name = f"{key.ref.name[:200]}.{uuid.uuid4().hex[:16]}"
        self._series[key] = _Series(name, key.ref.namespace or "default", now, now)

    def _enqueue(self, key: _Key) -> bool:
        if len(self._queues[key.type]) >= MAX_QUEUED:
            return False
        self._queues[key.type].append(key)
        self._filled.set()
        return True

    def _forget(self, now: float) -> None:
        """Drop what did not recur for long; the order is that of last recurrence."""
        while self._series:
            key, series = next(iter(self._series.items()))
            if len(self._series) <= MAX_SERIES and now - series.last_seen < FORGET_SECONDS:
                return
            del self._series[key]
            self._notes[key.ref, key.reason] -= 1
            if not self._notes[key.ref, key.reason]:
                del self._notes[key.ref, key.reason]

    async def run(self) -> None:
        """Post until cancelled, warnings first."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while any(self._queues.values()):
                if not self._queues["Warning"]:
                    await self._pace.acquire()
                await self._post_next()

    async def flush(self) -> None:
        """Post all that is queued, at once. Failures are logged and counted, not raised."""
        while any(self._queues.values()):
            await self._post_next()

    async def _post_next(self) -> None:
        key = (self._queues["Warning"] or self._queues["Normal"]).popleft()
        series = self._series.get(key)
        if series is None:
            return
        series.queued = False
        series.last_written = self.clock()
        try:
            await self._post(key, series)
        except ClusterError as error:
            self.dropped += 1
            level = logging.ERROR if isinstance(error, Forbidden) else logging.WARNING
            logger.log(level, "event %s on %s %s is lost: %s", key.reason, key.ref.kind, key.ref.name, error)

    async def _post(self, key: _Key, series: _Series) -> None:
        if series.posted:
            body = {"series": {"count": series.count, "lastObservedTime": self._now()}}
            try:
                await self.client.patch(EVENTS, series.name, body, namespace=series.namespace)
            except NotFound:  # events live an hour
                series.posted = False
            else:
                return
        await self.client.create(EVENTS, self._body(key, series), series.namespace)
        series.posted = True

    def _body(self, key: _Key, series: _Series) -> dict[str, Any]:
        return {
            "metadata": {"name": series.name, "namespace": series.namespace},
            "eventTime": self._now(),
            "reportingController": REPORTING_CONTROLLER,
            "reportingInstance": self.instance[:128],
            "regarding": key.ref.to_reference(),
            "type": key.type,
            "reason": key.reason,
            "action": key.action,
            "note": key.note,
        }

    def _now(self) -> str:
        return self.wall_clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _cut(note: str) -> str:
    """The note within the API server's limit, never ending within a character."""
    raw = note.encode()
    if len(raw) <= NOTE_BYTES:
        return note
    return raw[: NOTE_BYTES - 3].decode(errors="ignore") + "…"
