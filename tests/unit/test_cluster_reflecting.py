"""Our own watches: events reach the cache, and what a server does to a watch does not end it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from spotkube.cluster import reflecting
from spotkube.cluster.cache import Cache
from spotkube.cluster.errors import Expired, Unavailable
from spotkube.cluster.reflecting import keep_watching, pause_seconds
from spotkube.cluster.resources import NODES, Resource
from spotkube.cluster.store import Store

Event = tuple[str, dict[str, Any]]


def node(name: str, version: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": version}}


class FakeClient:
    """Gives one script of events and errors after another, then is silent; lists are `listed`."""

    def __init__(self, *scripts: list[Event | Exception], listed: tuple[list[dict[str, Any]], str] = ([], "1")) -> None:
        self.scripts = list(scripts)
        self.listed = listed
        self.asked_from: list[str] = []
        self.done = asyncio.Event()

    async def watch(self, _: Resource, version: str) -> AsyncIterator[Event]:
        self.asked_from.append(version)
        if not self.scripts:
            self.done.set()
            await asyncio.Event().wait()
        for item in self.scripts.pop(0):
            if isinstance(item, Exception):
                raise item
            yield item

    async def pages(self, _: Resource, **__: Any) -> AsyncIterator[tuple[list[dict[str, Any]], str]]:
        yield self.listed


@pytest.fixture
def cache() -> Cache:
    return Cache()


@pytest.fixture
def names(cache: Cache) -> Store[str]:
    return cache.add(NODES, lambda raw: str(raw["metadata"]["name"]))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflecting, "FIRST_RETRY_SECONDS", 0.0)


async def play(client: FakeClient, cache: Cache) -> None:
    watching = asyncio.create_task(keep_watching(client, cache, [NODES]))  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        await client.done.wait()
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


async def test_events_reach_the_cache_from_the_first_list_on(cache: Cache, names: Store[str]) -> None:
    cache.relist(NODES, [node("a", "3")], "5")
    client = FakeClient([("ADDED", node("b", "6")), ("DELETED", node("a", "7")), ("BOOKMARK", node("", "9"))])

    await play(client, cache)

    assert list(names.values()) == ["b"]
    assert client.asked_from == ["5", "9"], "goes on where the server ended it"


async def test_nothing_is_asked_before_the_first_list(cache: Cache, names: Store[str]) -> None:
    client = FakeClient()
    watching = asyncio.create_task(keep_watching(client, cache, [NODES]))  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    assert client.asked_from == []

    cache.relist(NODES, [], "4")
    await client.done.wait()
    watching.cancel()

    assert client.asked_from == ["4"]


async def test_a_failure_loses_nothing(cache: Cache, names: Store[str]) -> None:
    cache.relist(NODES, [], "5")
    error = Unavailable(503, "Unavailable", "not now")
    client = FakeClient([("ADDED", node("a", "6")), error], [error], [("ADDED", node("b", "7"))])

    await play(client, cache)

    assert list(names.values()) == ["a", "b"]
    assert client.asked_from == ["5", "6", "6", "7"]


async def test_history_that_is_forgotten_is_replaced_by_a_list(cache: Cache, names: Store[str]) -> None:
    cache.relist(NODES, [node("vanished", "3")], "5")
    client = FakeClient([Expired(410, "Expired", "too old")], listed=([node("a", "40")], "41"))

    await play(client, cache)

    assert list(names.values()) == ["a"]
    assert client.asked_from == ["5", "41"]


def test_pauses_grow_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflecting, "FIRST_RETRY_SECONDS", 0.5)

    assert [pause_seconds(failures, 1.0) for failures in (1, 2, 3, 50)] == [0.5, 1.0, 2.0, 30.0]
