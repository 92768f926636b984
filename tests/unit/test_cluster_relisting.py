"""Relists: pages into the cache, and what happens when the server does not play along."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from spotkube.cluster import relisting
from spotkube.cluster.cache import Cache
from spotkube.cluster.errors import Expired, HistoryRewritten, Unavailable
from spotkube.cluster.relisting import keep_relisting, pause_seconds, relist
from spotkube.cluster.resources import NODES, PODS, Resource
from spotkube.cluster.store import Store

Page = tuple[list[dict[str, Any]], str]


def node(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"}}


class FakeClient:
    """Gives one script of pages and errors after another; the last one for ever."""

    def __init__(self, *scripts: list[Page | Exception]) -> None:
        self.scripts = list(scripts)
        self.page_sizes: list[int] = []

    async def pages(self, resource: Resource, *, page_size: int) -> AsyncIterator[Page]:
        self.page_sizes.append(page_size)
        for item in self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]:
            if isinstance(item, Exception):
                raise item
            yield item


@pytest.fixture
def cache() -> Cache:
    return Cache()


@pytest.fixture
def names(cache: Cache) -> Store[str]:
    return cache.add(NODES, lambda raw: str(raw["metadata"]["name"]))


async def test_pages_are_taken_over(cache: Cache, names: Store[str]) -> None:
    cache.relist(NODES, [node("vanished")], "1")
    client = FakeClient([([node("a")], "9"), ([node("b")], "9")])
    await relist(client, cache, NODES)  # type: ignore[arg-type]
    assert list(names.values()) == ["a", "b"]


async def test_a_list_that_expires_is_taken_again_in_one_piece(cache: Cache, names: Store[str]) -> None:
    cache.relist(NODES, [node("vanished")], "1")
    client = FakeClient([([node("a")], "8"), Expired(410, "Expired", "too old")], [([node("a"), node("b")], "9")])
    await relist(client, cache, NODES)  # type: ignore[arg-type]
    assert (list(names.values()), client.page_sizes) == (["a", "b"], [500, 0])


async def test_a_failure_between_pages_leaves_all_that_was_there(cache: Cache, names: Store[str]) -> None:
    cache.relist(NODES, [node("a"), node("b")], "1")
    client = FakeClient([([node("c")], "9"), Unavailable(503, "x", "later")])
    with pytest.raises(Unavailable):
        await relist(client, cache, NODES)  # type: ignore[arg-type]
    assert list(names.values()) == ["a", "b", "c"]


async def test_failures_are_reported_and_tried_again(cache: Cache, names: Store[str]) -> None:
    pods = cache.add(PODS, lambda raw: raw)
    reports: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
    client = FakeClient([Unavailable(503, "x", "later")], [([], "9")])
    task = asyncio.create_task(
        keep_relisting(client, cache, 0.001, lambda resource, ok: reports.put_nowait((resource.name, ok)))  # type: ignore[arg-type]
    )
    seen = [await reports.get() for _ in range(4)]
    task.cancel()
    assert [ok for _, ok in seen].count(False) == 1
    assert {name for name, _ in seen} == {"nodes", "pods"}
    assert pods.synced or names.synced


async def next_change(cache: Cache, after: int) -> None:
    await cache.next_batch(after, idle_seconds=0, max_seconds=0, timeout_seconds=30)


async def test_what_was_deleted_before_a_watch_began_is_not_kept(cache: Cache, names: Store[str]) -> None:
    """It is in our list, not in the watch's own, and so nobody tells of its end."""
    client = FakeClient([([node("here"), node("gone")], "1")], [([node("here")], "2")])
    task = asyncio.create_task(keep_relisting(client, cache, 300))  # type: ignore[arg-type]
    await cache.wait_synced()
    assert len(names) == 2
    before = cache.generation
    cache.feed(NODES, None, node("here"))
    await next_change(cache, before)
    task.cancel()
    assert list(names.values()) == ["here"]


async def test_a_watch_that_found_nothing_is_followed_by_a_list_too(cache: Cache, names: Store[str]) -> None:
    client = FakeClient([([node("gone")], "1")], [([], "2")])
    task = asyncio.create_task(keep_relisting(client, cache, 300))  # type: ignore[arg-type]
    await cache.wait_synced()
    await next_change(cache, cache.generation)
    task.cancel()
    assert list(names.values()) == []


async def test_a_list_that_is_older_than_the_last_one_is_asked_for_again(
    cache: Cache, names: Store[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relisting, "STALE_PAUSES_SECONDS", (0.0, 0.0))
    cache.relist(NODES, [node("here")], "9")
    client = FakeClient([([], "5")], [([node("ghost")], "6")], [([node("here")], "10")])

    await relist(client, cache, NODES)  # type: ignore[arg-type]

    assert list(names.values()) == ["here"]


async def test_a_rewritten_history_ends_it(cache: Cache, names: Store[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relisting, "STALE_PAUSES_SECONDS", (0.0, 0.0))
    cache.relist(NODES, [], "9")
    client = FakeClient([([], "5")])
    with pytest.raises(ExceptionGroup) as caught:
        await keep_relisting(client, cache, 1)  # type: ignore[arg-type]
    assert caught.group_contains(HistoryRewritten)


@pytest.mark.parametrize(
    ("failures", "dice", "expected"),
    [(0, 0, 300), (0, 1, 330), (0, -1, 270), (1, 0, 1), (2, 0, 2), (5, 0, 16), (20, 0, 60), (1000, 1, 66)],
)
def test_pauses(failures: int, dice: float, expected: float) -> None:
    assert pause_seconds(300, failures, dice) == pytest.approx(expected)
