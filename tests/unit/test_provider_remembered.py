"""A cloud that is asked less often: own doings show at once, all else soon, and nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from builders import make_offering
from controller_builders import CLOUD_AWAY
from fake_kube import Clock
from fake_provider import OFFERING, FakeCloud
from spotkube.model.resources import ResourceList
from spotkube.providers.port import Instance, InstanceOrder, InstanceState, ProviderUnavailable
from spotkube.providers.remembered import (
    LEAST_SECONDS,
    LONGEST_SECONDS,
    OFFERINGS_SECONDS,
    SHARE,
    UNLISTED_SECONDS,
    RememberedProvider,
)


class Cloud(FakeCloud):
    """Counts listings. What is in `unlisted` is not shown by them; `meanwhile` happens after one was made up."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.listings = 0
        self.unlisted: set[str] = set()
        self.takes_seconds = 0.0
        self.clock = clock
        self.meanwhile: Callable[[], object] = lambda: None

    async def list(self) -> tuple[Instance, ...]:
        self.listings += 1
        listed = tuple(one for one in await super().list() if one.token not in self.unlisted)
        self.meanwhile()
        self.clock.now += self.takes_seconds
        return listed


def order(token: str) -> InstanceOrder:
    return InstanceOrder(token, token, OFFERING.key, (), (), ResourceList(), ResourceList())


@pytest.fixture
def cloud() -> Cloud:
    return Cloud(Clock())


@pytest.fixture
def provider(cloud: Cloud) -> RememberedProvider:
    return RememberedProvider(cloud, cloud.clock)


async def states(provider: RememberedProvider) -> dict[str, InstanceState]:
    return {one.token: one.state for one in await provider.list()}


async def test_one_listing_serves_for_a_moment(cloud: Cloud, provider: RememberedProvider) -> None:
    await cloud.create(order("a"))
    first = await provider.list()
    await cloud.create(order("b"))
    assert await provider.list() == first

    cloud.clock.now += LEAST_SECONDS

    again = await provider.list()
    assert [one.token for one in again] == ["a", "b"]
    assert again[0] is first[0]
    assert cloud.listings == 2


@pytest.mark.parametrize(("takes", "kept"), [(0.3, 0.3 * SHARE), (100.0, LONGEST_SECONDS)])
async def test_it_serves_the_longer_the_longer_it_took(
    cloud: Cloud, provider: RememberedProvider, takes: float, kept: float
) -> None:
    cloud.takes_seconds = takes
    await provider.list()
    cloud.clock.now += kept - 0.01
    await provider.list()
    assert cloud.listings == 1

    cloud.clock.now += 0.02
    await provider.list()

    assert cloud.listings == 2


async def test_what_we_did_shows_at_once(cloud: Cloud, provider: RememberedProvider) -> None:
    await provider.list()

    bought = await provider.create(order("a"))
    assert await states(provider) == {"a": InstanceState.RUNNING}
    await provider.delete(bought.provider_id)

    assert await states(provider) == {"a": InstanceState.TERMINATING}
    assert cloud.listings == 1


async def test_a_listing_under_way_takes_nothing_of_it_back(cloud: Cloud, provider: RememberedProvider) -> None:
    old = await cloud.create(order("old"))

    def act() -> None:  # as another task would, while the answer is on its way
        provider._note(replace(old, token="new"))
        provider._note(replace(old, state=InstanceState.TERMINATING))

    cloud.meanwhile = act

    assert await states(provider) == {"old": InstanceState.TERMINATING, "new": InstanceState.RUNNING}


async def test_what_was_bought_may_be_missing_from_listings_for_a_while(
    cloud: Cloud, provider: RememberedProvider
) -> None:
    cloud.unlisted = {"a"}
    await provider.create(order("a"))
    cloud.clock.now += UNLISTED_SECONDS / 2
    assert await states(provider) == {"a": InstanceState.RUNNING}

    cloud.clock.now += UNLISTED_SECONDS

    assert await states(provider) == {}


async def test_what_we_ended_and_is_not_listed_any_more_is_gone(cloud: Cloud, provider: RememberedProvider) -> None:
    bought = await provider.create(order("a"))
    await provider.delete(bought.provider_id)
    cloud.unlisted = {"a"}
    cloud.clock.now += LEAST_SECONDS

    assert await states(provider) == {}


async def test_what_listings_say_of_what_was_bought_is_believed(cloud: Cloud, provider: RememberedProvider) -> None:
    bought = await provider.create(order("a"))
    cloud.become(bought.provider_id, InstanceState.TERMINATED)
    cloud.clock.now += LEAST_SECONDS

    assert await states(provider) == {"a": InstanceState.TERMINATED}


async def test_after_another_may_have_acted_it_asks_anew(cloud: Cloud, provider: RememberedProvider) -> None:
    await provider.list()
    await cloud.create(order("a"))

    provider.forget()

    assert await states(provider) == {"a": InstanceState.RUNNING}


async def test_a_cloud_that_is_away_is_asked_again_at_once(cloud: Cloud, provider: RememberedProvider) -> None:
    await cloud.create(order("a"))
    cloud.error = CLOUD_AWAY
    with pytest.raises(ProviderUnavailable):
        await provider.list()
    with pytest.raises(ProviderUnavailable):
        await provider.offerings()
    cloud.error = None

    assert await states(provider) == {"a": InstanceState.RUNNING}
    assert await provider.offerings() == (OFFERING,)


async def test_prices_are_asked_for_again_soon(cloud: Cloud, provider: RememberedProvider) -> None:
    first = await provider.offerings()
    cloud.for_sale = (make_offering("m.small", 0.01),)
    assert await provider.offerings() is first

    cloud.clock.now += OFFERINGS_SECONDS

    assert await provider.offerings() is cloud.for_sale


async def test_what_a_listing_lacks_is_asked_for_by_itself(cloud: Cloud, provider: RememberedProvider) -> None:
    """A listing may be older than the one before it."""
    await provider.create(order("there"))
    gone = await provider.create(order("gone"))
    cloud.clock.now += LEAST_SECONDS
    assert (await states(provider)).keys() == {"there", "gone"}
    cloud.unlisted = {"there", "gone"}
    del cloud.instances[gone.token]
    cloud.clock.now += LEAST_SECONDS

    assert await states(provider) == {"there": InstanceState.RUNNING}


async def test_an_instance_that_the_cloud_will_not_tell_of_is_believed_to_be_there(
    cloud: Cloud, provider: RememberedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def get(provider_id: str) -> Instance | None:
        raise ProviderUnavailable(CLOUD_AWAY)

    await provider.create(order("a"))
    cloud.clock.now += LEAST_SECONDS
    await provider.list()
    monkeypatch.setattr(cloud, "get", get)
    cloud.unlisted = {"a"}
    cloud.clock.now += LEAST_SECONDS

    assert await states(provider) == {"a": InstanceState.RUNNING}
