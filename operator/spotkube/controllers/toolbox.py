"""What every controller works with: the clients, the clock, and who may act."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from spotkube.api.common import KubeObject
from spotkube.cluster.cache import Cache
from spotkube.cluster.client import KubeClient, PatchKind
from spotkube.cluster.errors import Conflict, Invalid, NotFound
from spotkube.cluster.events import EventRecorder, EventType, ObjectRef
from spotkube.cluster.resources import Resource
from spotkube.cluster.transport import Object, Objects
from spotkube.controllers.displaced import DisplacedPods
from spotkube.controllers.inbox import Inbox
from spotkube.controllers.resting import RestingOfferings
from spotkube.controllers.upkeep.brake import PurchaseBrake
from spotkube.metrics import Metrics
from spotkube.providers.port import CloudProvider

T = TypeVar("T")
# Enough to keep the API server's answer time from adding up, few enough not to crowd others out.
CONCURRENT_CALLS = 32


class NotLeading(Exception):  # noqa: N818 - it is a state, not a fault
    """We no longer hold the lease: nothing more may be bought or destroyed."""


@dataclass(frozen=True)
class Toolbox:
    client: KubeClient
    cache: Cache
    provider: CloudProvider
    recorder: EventRecorder
    metrics: Metrics
    resting: RestingOfferings
    is_leader: Callable[[], bool]
    clock: Callable[[], float]
    notice_margin_seconds: float
    inbox: Inbox
    balancer_seconds: float = 0.0
    brake: PurchaseBrake = field(default_factory=PurchaseBrake)
    displaced: DisplacedPods = field(default_factory=DisplacedPods)

    def require_leader(self) -> None:
        """To be called right before each call that changes anything. Raises NotLeading."""
        if not self.is_leader():
            raise NotLeading

    async def patched(self, resource: Resource, namespace: str | None, name: str, change: Object | Objects) -> bool:
        """Writes a merge patch, or a JSON patch with tests; False if the object is gone or not as it was seen, so that
        it is to be looked at again. Raises NotLeading, and ApiError for all else."""
        self.require_leader()
        kind: PatchKind = "merge" if isinstance(change, dict) else "json"
        try:
            raw = await self.client.patch(resource, name, change, namespace=namespace, kind=kind)
        except (NotFound, Conflict, Invalid):
            return False
        self.cache.feed(resource, "MODIFIED", raw)
        return True

    def event(self, about: KubeObject, reason: str, message: str, action: str, type_: EventType = "Normal") -> None:
        meta = about.metadata
        ref = ObjectRef(about.api_version, about.resource.kind, meta.name, meta.uid or "", meta.namespace)
        self.recorder.record(ref, type_, reason, message, action)


async def each(
    items: Iterable[T],
    work: Callable[[T], Awaitable[None]],
    *,
    is_over: Callable[[], bool] = lambda: False,
    at_once: int = CONCURRENT_CALLS,
) -> None:
    """Works on all items, a few at a time, begun in their order, until it `is_over`.

    The first error is raised once all are done, so that none holds up the others; NotLeading before any other.
    """
    gate = asyncio.Semaphore(at_once)

    async def one(item: T) -> None:
        async with gate:
            if not is_over():
                await work(item)

    results = await asyncio.gather(*(one(item) for item in items), return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    if errors:
        raise next((error for error in errors if isinstance(error, NotLeading)), errors[0])
