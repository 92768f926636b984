"""The informer cache without any I/O: a store for each kind, and who waits for changes of any."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from spotkube.cluster.resources import Resource
from spotkube.cluster.store import Store

T = TypeVar("T")


class Cache:
    """All stores, one counter of changes, and a way to sleep until something changes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.generation = 0
        """Grows with each change of any value; equal generations mean equal contents."""
        self._clock = clock
        self._stores: dict[Resource, Store[Any]] = {}
        self._changed = asyncio.Event()

    def add(self, resource: Resource, convert: Callable[[dict[str, Any]], T | None]) -> Store[T]:
        """Keep objects of this kind as `convert(raw)`; None leaves one out (a finished pod).

        A value must hold all that matters and nothing more: only when it differs from the last one (`!=`)
        does the cache count as changed.
        """
        if resource in self._stores:
            raise ValueError(f"{resource.name} is in the cache already")
        store = Store(resource, convert, self.wake)
        self._stores[resource] = store
        return store

    @property
    def resources(self) -> tuple[Resource, ...]:
        return tuple(self._stores)

    @property
    def stores(self) -> Mapping[Resource, Store[Any]]:
        return self._stores

    @property
    def synced(self) -> bool:
        """Whether each kind has been listed once; before that nothing may be decided."""
        return all(store.synced for store in self._stores.values())

    def feed(self, resource: Resource, event_type: str | None, raw: dict[str, Any]) -> None:
        """See `Store.feed`. Feed the answers of own writes too, so that the next cycle sees what this one did."""
        self._stores[resource].feed(event_type, raw)

    def relist(self, resource: Resource, items: Iterable[dict[str, Any]], resource_version: str = "") -> None:
        """See `Store.relist`."""
        self._stores[resource].relist(items, resource_version)

    def wake(self) -> None:
        """Count a change and wake all who wait for one."""
        self.generation += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        """Sleeps until something changes."""
        await self._changed.wait()

    async def wait_synced(self) -> None:
        while not self.synced:
            await self.changed()

    async def next_batch(
        self, after: int, *, idle_seconds: float, max_seconds: float, timeout_seconds: float | None = None
    ) -> int:
        """Sleep until the generation is above `after` and changes pause; the generation then.

        After the first change it waits until none came for `idle_seconds`, at most `max_seconds`: a Deployment
        scaled to 100 makes one batch. Returns after `timeout_seconds` also when nothing changed.
        """
        if not await self._grown(after, timeout_seconds):
            return self.generation
        deadline = self._clock() + max_seconds
        while (left := deadline - self._clock()) > 0:
            if not await self._grown(self.generation, min(idle_seconds, left)):
                break
        return self.generation

    async def _grown(self, after: int, timeout_seconds: float | None) -> bool:
        if self.generation > after:
            return True
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True
