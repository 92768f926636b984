"""Watches of the kinds that come in thousands, as client-go's reflector keeps them.

For each event kopf keeps a queue and a task of the object, which costs five times what the object's conversion does;
a burst of a thousand pods would reach the cache seconds late. So kopf watches our own kinds, and this the others.
"""

import asyncio
import logging
import random

from spotkube.cluster.cache import Cache
from spotkube.cluster.client import KubeClient
from spotkube.cluster.errors import ClusterError, Expired, HistoryRewritten
from spotkube.cluster.relisting import relist
from spotkube.cluster.resources import Resource
from spotkube.cluster.store import Store

FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 30.0
logger = logging.getLogger(__name__)


async def keep_watching(client: KubeClient, cache: Cache, resources: list[Resource]) -> None:
    """Feeds the events of these kinds, cluster-wide, into the cache for ever.

    Errors are logged and tried again; only HistoryRewritten ends it (within an ExceptionGroup).
    """
    async with asyncio.TaskGroup() as tasks:
        for resource in resources:
            tasks.create_task(_keep_watching_one(client, cache, resource))


async def _keep_watching_one(client: KubeClient, cache: Cache, resource: Resource) -> None:
    store, failures = cache.stores[resource], 0
    version = await _listed(cache, store)
    while True:
        failures += 1  # also where the server ends a watch before it has said a word
        try:
            async for event_type, item in client.watch(resource, version):
                failures = 0
                version = item["metadata"]["resourceVersion"]
                if event_type != "BOOKMARK":
                    store.feed(event_type, item)
        except Expired:
            version = await _relisted(client, cache, store, version)
        except ClusterError as error:
            logger.warning("%s cannot be watched, which is tried again: %s", resource.name, error)
        if failures:
            await asyncio.sleep(pause_seconds(failures, random.uniform(0.5, 1.0)))


async def _listed(cache: Cache, store: Store[object]) -> str:
    """The version of the first list, once there is one."""
    while not store.synced:
        await cache.changed()
    return store.listed_version


async def _relisted(client: KubeClient, cache: Cache, store: Store[object], version: str) -> str:
    """Where to go on when the server has forgotten what came after `version`."""
    logger.info("the history of %s is too old to be followed, it is listed anew", store.resource.name)
    try:
        await relist(client, cache, store.resource)
    except HistoryRewritten:
        raise
    except ClusterError as error:
        logger.warning("%s cannot be listed, the cache keeps what it has: %s", store.resource.name, error)
        await asyncio.sleep(FIRST_RETRY_SECONDS)
        return version
    return store.listed_version


def pause_seconds(failures: int, dice: float) -> float:
    """Seconds until the next try after so many failures in a row; `dice` in [0.5, 1] is the jitter."""
    return min(LAST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 10)) * dice
