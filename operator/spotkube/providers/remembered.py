"""A cloud whose answers are kept for a moment: clouds limit how often they are asked, and a cycle may look three times.

What we did ourselves shows at once. All else is as old as the last listing, of which there is another one soon: after
so many times the time that it took, so that listing thousands of instances takes no more than a small part of it.

Listings of large clouds are not of this very moment, and one may be older than the one before. So an instance that ran
and is missing is asked for by itself before it is taken to be gone: what it was bought for would be bought again.
"""

import asyncio
import time
from collections.abc import Callable, Set
from dataclasses import replace

from spotkube.model.offerings import Offering
from spotkube.providers.port import CloudProvider, Instance, InstanceOrder, InstanceState, ProviderError

LEAST_SECONDS, LONGEST_SECONDS = 0.5, 10.0
SHARE = 10.0
"""A listing is kept for so many times the time that it took."""
UNLISTED_SECONDS = 60.0
"""What was bought may be missing from listings for so long: those of large clouds are not of this very moment."""
OFFERINGS_SECONDS = 5.0
CONCURRENT_QUESTIONS = 8
_OVER = (InstanceState.TERMINATING, InstanceState.TERMINATED)


class RememberedProvider:
    """`provider`, less often asked. Errors pass through and are not kept: the next call asks again."""

    def __init__(self, provider: CloudProvider, clock: Callable[[], float] = time.monotonic) -> None:
        self._provider = provider
        self._clock = clock
        self._instances: dict[str, Instance] = {}
        self._listing_ends = 0.0
        self._offerings: tuple[Offering, ...] = ()
        self._offerings_end = 0.0
        # By token: what we did, and when, that a listing may not show yet.
        self._news: dict[str, tuple[Instance, float]] = {}

    def forget(self) -> None:
        """Others may have acted meanwhile: the next listing is a new one."""
        self._listing_ends = 0.0

    async def create(self, order: InstanceOrder) -> Instance:
        instance = await self._provider.create(order)
        self._note(instance)
        return instance

    async def delete(self, provider_id: str) -> None:
        await self._provider.delete(provider_id)
        for token, instance in self._instances.items():
            if instance.provider_id == provider_id and instance.state not in _OVER:
                self._note(replace(self._instances[token], state=InstanceState.TERMINATING))
                break

    async def get(self, provider_id: str) -> Instance | None:
        return await self._provider.get(provider_id)

    async def list(self) -> tuple[Instance, ...]:
        began = self._clock()
        if began >= self._listing_ends:
            listed = {one.token: one for one in await self._provider.list()}
            listed |= await self._confirmed(listed.keys())
            now = self._clock()
            self._take(listed, began, now)
            self._listing_ends = now + min(LONGEST_SECONDS, max(LEAST_SECONDS, SHARE * (now - began)))
        return tuple(self._instances.values())

    async def _confirmed(self, listed: Set[str]) -> dict[str, Instance]:
        """Those that ran, are not listed, and are there all the same, or of which the cloud will not say."""
        known = (one for one in self._instances.values() if one.state not in _OVER and one.token not in self._news)
        missing = [one for one in known if one.token not in listed]
        gate = asyncio.Semaphore(CONCURRENT_QUESTIONS)

        async def ask(one: Instance) -> Instance | None:
            async with gate:
                try:
                    return await self._provider.get(one.provider_id)
                except ProviderError:
                    return one

        found = await asyncio.gather(*map(ask, missing))
        return {one.token: one for one in found if one is not None}

    def _note(self, instance: Instance) -> None:
        self._instances[instance.token] = instance
        self._news[instance.token] = instance, self._clock()

    def _take(self, listed: dict[str, Instance], began: float, now: float) -> None:
        """What we did since the listing began is newer than it. What we ended before and is not listed is gone."""
        self._news = {
            token: (one, at)
            for token, (one, at) in self._news.items()
            if at >= began or (token not in listed and one.state not in _OVER and now - at < UNLISTED_SECONDS)
        }
        found = listed | {token: one for token, (one, _) in self._news.items()}
        # The same object for as long as nothing is new about it.
        self._instances = {
            token: last if (last := self._instances.get(token)) == one else one for token, one in found.items()
        }

    async def offerings(self) -> tuple[Offering, ...]:
        if self._clock() >= self._offerings_end:
            self._offerings = await self._provider.offerings()
            self._offerings_end = self._clock() + OFFERINGS_SECONDS
        return self._offerings

    async def close(self) -> None:
        await self._provider.close()
