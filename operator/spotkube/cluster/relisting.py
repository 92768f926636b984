"""Takes the whole truth now and then: lists every kind of the cache at the start and each few minutes.

Watches may go silent or lose an event; what they missed is repaired here. A watch that begins anew surely misses some:
what is deleted after our list and before its own is in neither. So a list of ours follows each of its own.
"""

import asyncio
import logging
import math
import random
from collections.abc import Callable
from typing import Any

from spotkube.cluster.cache import Cache
from spotkube.cluster.client import PAGE_SIZE, KubeClient
from spotkube.cluster.errors import ClusterError, Expired, HistoryRewritten
from spotkube.cluster.resources import Resource
from spotkube.cluster.store import Store

JITTER = 0.1
"""Part of the period by which each pause differs, so that the lists of the kinds spread over time."""
FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 5.0
"""Before the second list: by then the first watches have begun, also those that found nothing to tell of."""
STALE_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""An answer that is older than the last one is most likely that of an API server, or of a cache before it, that lags
behind: so often it is asked again, before etcd is taken to have been restored."""
WATCH_BEGINS_SECONDS = 1.0
"""What a watch may take from the first object of its own list to the last."""

Report = Callable[[Resource, bool], None]
"""Told after each relist whether it succeeded."""

logger = logging.getLogger(__name__)


async def relist(client: KubeClient, cache: Cache, resource: Resource) -> None:
    """Bring one kind up to date, page by page so that the raw objects are never all in memory.

    Raises the client's errors, the cache then keeps all that it had; and HistoryRewritten where list after list is
    older than what is known.
    """
    for pause in STALE_PAUSES_SECONDS:
        try:
            await _relist_once(client, cache, resource)
        except HistoryRewritten as error:
            logger.warning("%s is listed again in %.1f s: %s", resource.name, pause, error)
            await asyncio.sleep(pause)
        else:
            return
    await _relist_once(client, cache, resource)


async def _relist_once(client: KubeClient, cache: Cache, resource: Resource) -> None:
    try:
        await _take_over(client, cache, resource, PAGE_SIZE)
    except Expired:  # the list grew too old between two pages: take it in one piece
        await _take_over(client, cache, resource, 0)


async def _take_over(client: KubeClient, cache: Cache, resource: Resource, page_size: int) -> None:
    taking = cache.stores[resource].begin_relist()
    version = ""
    async for items, list_version in client.pages(resource, page_size=page_size):
        taking.add(items)
        version = list_version
    taking.commit(version)


async def keep_relisting(client: KubeClient, cache: Cache, period_seconds: float, report: Report | None = None) -> None:
    """Relist each kind now and then for ever; failures are logged and tried again sooner.

    Only HistoryRewritten ends it (within an ExceptionGroup).
    """
    async with asyncio.TaskGroup() as tasks:
        for resource in cache.resources:
            tasks.create_task(_keep_relisting_one(client, cache, resource, period_seconds, report))


async def _keep_relisting_one(
    client: KubeClient, cache: Cache, resource: Resource, period_seconds: float, report: Report | None
) -> None:
    failures, longest = 0, FIRST_PAUSE_SECONDS
    store = cache.stores[resource]
    while True:
        store.relist_due.clear()
        try:
            await relist(client, cache, resource)
            failures = 0
        except HistoryRewritten:
            raise
        except ClusterError as error:
            failures += 1
            logger.warning("%s cannot be listed, the cache keeps what it has: %s", resource.name, error)
        if report is not None:
            report(resource, failures == 0)
        await _until_due(store, min(longest, pause_seconds(period_seconds, failures, random.uniform(-1, 1))))
        longest = math.inf


async def _until_due(store: Store[Any], seconds: float) -> None:
    """Sleeps so long, or until shortly after a watch began anew."""
    try:
        async with asyncio.timeout(seconds):
            await store.relist_due.wait()
    except TimeoutError:
        return
    await asyncio.sleep(min(WATCH_BEGINS_SECONDS, seconds))


def pause_seconds(period_seconds: float, failures: int, dice: float) -> float:
    """Seconds until the next relist after so many failures in a row; `dice` in [-1, 1] is the jitter."""
    base = period_seconds if failures == 0 else FIRST_RETRY_SECONDS * 2 ** min(failures - 1, 10)
    return min(base, period_seconds, LAST_RETRY_SECONDS if failures else period_seconds) * (1 + JITTER * dice)
