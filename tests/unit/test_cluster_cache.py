"""The cache: watch events and lists in any order, and what must hold whatever the order."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotkube.cluster.cache import Cache
from spotkube.cluster.errors import HistoryRewritten
from spotkube.cluster.resources import NODES, PODS
from spotkube.cluster.store import Store, is_older


def pod(name: str, version: str = "1", uid: str | None = None, phase: str = "Running") -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": name, "uid": uid or f"uid-{name}", "resourceVersion": version}
    return {"metadata": metadata, "status": {"phase": phase}}


def running(raw: dict[str, Any]) -> tuple[str, str] | None:
    """A converter that leaves out finished pods, keeps name and phase, and chokes on pods without a phase."""
    phase = raw["status"]["phase"]
    return None if phase == "Succeeded" else (raw["metadata"]["name"], phase)


@pytest.fixture
def cache() -> Cache:
    return Cache()


@pytest.fixture
def pods(cache: Cache) -> Store[tuple[str, str]]:
    return cache.add(PODS, running)


@pytest.mark.parametrize(
    ("version", "than", "older"),
    [("9", "10", True), ("10", "9", False), ("7", "7", False), ("a", "a", False), ("a", "b", None), ("", "7", None)],
)
def test_versions_compare_as_numbers_or_not_at_all(version: str, than: str, older: bool | None) -> None:
    assert is_older(version, than) is older


def test_events_are_kept_as_values_in_order_of_their_names(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    cache.feed(PODS, "ADDED", pod("b"))
    cache.feed(PODS, None, pod("a"))
    cache.feed(PODS, "MODIFIED", pod("b", "2", phase="Pending"))
    assert list(pods.values()) == [("a", "Running"), ("b", "Pending")]
    assert pods.get("a", "shop") == ("a", "Running")
    assert pods.get("a") is None
    cache.feed(PODS, "DELETED", pod("a", "3"))
    assert (list(pods.values()), len(pods)) == ([("b", "Pending")], 1)


def test_what_the_converter_leaves_out_is_not_there(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    cache.feed(PODS, "ADDED", pod("a", "1"))
    cache.feed(PODS, "MODIFIED", pod("a", "3", phase="Succeeded"))
    cache.feed(PODS, "MODIFIED", pod("a", "2"))  # late
    assert (list(pods.values()), len(pods)) == ([], 0)


def test_a_late_event_never_takes_an_object_back(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    cache.feed(PODS, "MODIFIED", pod("a", "10", phase="Pending"))
    cache.feed(PODS, "MODIFIED", pod("a", "9"))
    assert list(pods.values()) == [("a", "Pending")]


def test_a_deleted_object_never_comes_back_but_its_name_may(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    cache.feed(PODS, "ADDED", pod("a", "1"))
    cache.feed(PODS, "DELETED", pod("a", "3"))
    cache.feed(PODS, "MODIFIED", pod("a", "2"))
    cache.relist(PODS, [pod("a", "2")])
    assert list(pods.values()) == []
    cache.feed(PODS, "ADDED", pod("a", "4", uid="new"))
    cache.feed(PODS, "DELETED", pod("a", "3"))  # the old one's, once more
    assert list(pods.values()) == [("a", "Running")]


def test_a_list_drops_what_vanished_unseen(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    cache.relist(PODS, [pod("a"), pod("b")], "5")
    cache.relist(PODS, [pod("b")], "9")
    assert list(pods.values()) == [("b", "Running")]


@pytest.mark.parametrize("list_version", ["8", "opaque", ""])
def test_a_list_does_not_drop_what_came_after_it_was_taken(
    cache: Cache, pods: Store[tuple[str, str]], list_version: str
) -> None:
    relist = pods.begin_relist()
    cache.feed(PODS, "ADDED", pod("new", "9"))
    relist.add([pod("a")])
    relist.commit(list_version)
    assert list(pods.values()) == [("a", "Running"), ("new", "Running")]


def test_a_list_does_not_undo_what_came_after_it_was_taken(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    cache.feed(PODS, "ADDED", pod("a", "v1"))
    cache.feed(PODS, "ADDED", pod("b", "v1"))
    relist = pods.begin_relist()
    cache.feed(PODS, "MODIFIED", pod("a", "v3", phase="Pending"))
    cache.feed(PODS, "DELETED", pod("b", "v4"))
    relist.add([pod("a", "v1"), pod("b", "v1")])
    relist.commit("v2")
    assert list(pods.values()) == [("a", "Pending")]


def test_what_a_list_showed_to_be_gone_does_not_appear(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    cache.relist(PODS, [], "9")
    cache.feed(PODS, "ADDED", pod("a", "3"))  # its deletion is still on its way
    assert list(pods.values()) == []
    cache.feed(PODS, "ADDED", pod("b", "10"))
    assert list(pods.values()) == [("b", "Running")]


def test_a_server_that_went_back_in_time_is_not_believed(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    cache.relist(PODS, [pod("a", "8")], "9")
    with pytest.raises(HistoryRewritten, match="listed pods at resourceVersion 5 after 9: if it goes on so, etcd was"):
        cache.relist(PODS, [], "5")
    assert list(pods.values()) == [("a", "Running")]


def test_a_list_that_fails_half_way_drops_nothing_and_counts_for_nothing(
    cache: Cache, pods: Store[tuple[str, str]]
) -> None:
    cache.feed(PODS, None, pod("a"))
    pods.begin_relist().add([pod("b")])
    assert list(pods.values()) == [("a", "Running"), ("b", "Running")]
    assert not cache.synced


def test_synced_means_that_every_kind_was_listed(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    nodes = cache.add(NODES, lambda raw: raw)
    cache.relist(PODS, [])
    assert (pods.synced, nodes.synced, cache.synced) == (True, False, False)
    cache.relist(NODES, [])
    assert cache.synced


def test_an_object_that_cannot_be_read_keeps_its_last_good_state(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    cache.feed(PODS, "ADDED", pod("a", "1"))
    broken = pod("a", "2") | {"status": {}}
    cache.feed(PODS, "MODIFIED", broken)
    assert list(pods.values()) == [("a", "Running")]
    assert pods.rejected == {("shop", "a"): "KeyError: 'phase'"}
    cache.feed(PODS, "MODIFIED", pod("a", "3", phase="Pending"))
    assert (list(pods.values()), pods.rejected) == ([("a", "Pending")], {})


def test_an_unreadable_namesake_does_not_inherit(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    cache.feed(PODS, "ADDED", pod("a", "1"))
    cache.feed(PODS, "ADDED", pod("a", "2", uid="new") | {"status": {}})
    assert list(pods.values()) == []


def test_the_generation_counts_changes_of_values_only(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    cache.feed(PODS, "ADDED", pod("a", "1"))
    before = cache.generation
    cache.feed(PODS, "MODIFIED", pod("a", "2"))  # a heartbeat, say
    cache.feed(PODS, "ADDED", pod("done", "3", phase="Succeeded"))
    assert cache.generation == before
    cache.feed(PODS, "MODIFIED", pod("a", "4", phase="Pending"))
    cache.feed(PODS, "DELETED", pod("a", "5"))
    assert cache.generation == before + 2


def test_a_kind_is_added_once(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    with pytest.raises(ValueError, match="pods is in the cache already"):
        cache.add(PODS, running)


def test_what_is_set_aside_is_found_by_name_only_until_it_changes(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    cache.relist(PODS, [pod("a"), pod("b"), pod("c")], "5")
    a, b = ("a", "Running"), ("b", "Running")
    assert (pods.get("a", "shop"), pods.get("b", "shop")) == (a, b)
    pods.set_aside({("shop", "a"): pods.values()[0], ("shop", "b"): ("b", "Running"), ("shop", "d"): b})
    assert pods.values() == (b, ("c", "Running")), "the very same value is meant, not one like it"
    assert pods.get("a", "shop") == a
    cache.relist(PODS, [pod("a"), pod("b"), pod("c")], "6")
    assert a not in pods.values()
    cache.feed(PODS, "MODIFIED", pod("a", "7", phase="Pending"))
    assert pods.values()[0] == ("a", "Pending")
    pods.set_aside({("shop", "a"): pods.values()[0]})
    cache.feed(PODS, "DELETED", pod("a", "8"))
    assert (len(pods), pods.get("a", "shop")) == (2, None)


async def test_waiting_for_a_change_ends_with_the_change(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    waiting = asyncio.create_task(cache.next_batch(cache.generation, idle_seconds=0, max_seconds=0))
    await asyncio.sleep(0)
    assert not waiting.done()
    cache.feed(PODS, "ADDED", pod("a"))
    assert await waiting == 1


async def test_a_change_that_came_before_waiting_is_not_missed(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    cache.feed(PODS, "ADDED", pod("a"))
    assert await cache.next_batch(0, idle_seconds=0, max_seconds=0) == 1


async def test_nothing_changed_within_the_timeout(cache: Cache) -> None:
    assert await cache.next_batch(0, idle_seconds=9, max_seconds=9, timeout_seconds=0.001) == 0


async def test_a_stream_of_changes_is_one_batch(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    batch = asyncio.create_task(cache.next_batch(0, idle_seconds=0.2, max_seconds=60))
    for number in range(20):
        cache.feed(PODS, "ADDED", pod(str(number), str(number + 1)))
        await asyncio.sleep(0)
    assert await batch == 20


async def test_a_stream_that_never_pauses_is_cut() -> None:
    now = 0.0
    cache = Cache(clock=lambda: now)
    batch = asyncio.create_task(cache.next_batch(0, idle_seconds=60, max_seconds=3))
    while not batch.done():
        now += 1
        cache.wake()
        await asyncio.sleep(0)
    assert await batch <= 5


async def test_waiting_until_synced(cache: Cache, pods: Store[tuple[str, str]]) -> None:
    waiting = asyncio.create_task(cache.wait_synced())
    cache.feed(PODS, "ADDED", pod("a"))
    await asyncio.sleep(0)
    assert not waiting.done()
    cache.relist(PODS, [pod("a")], "3")
    await waiting


@dataclass
class Server:
    """What an API server would hold, and every event that a watch of it would see, in order."""

    opaque: bool
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    version: int = 0

    def step(self, name: str, action: str) -> None:
        """One write; `action` is put or delete."""
        self.version += 1
        version = self.version_name
        old = self.objects.get(name)
        if action == "delete" and old is not None:
            del self.objects[name]
            self.events.append(("DELETED", pod(name, version, old["metadata"]["uid"], "Running")))
        elif action == "put":
            uid = old["metadata"]["uid"] if old else f"uid-{self.version}"
            self.objects[name] = pod(name, version, uid, f"phase-{self.version}")
            self.events.append(("MODIFIED" if old else "ADDED", self.objects[name]))

    @property
    def version_name(self) -> str:
        # Opaque versions that would mislead whoever compares them as text.
        return f"v{1000 - self.version}" if self.opaque else str(self.version)


MOVES = [(move, name) for move in ("put", "delete", "aside") for name in "ab"] + [
    (move, "") for move in ("watch", "watch", "watch", "begin", "begin", "page", "commit", "commit", "fail")
]


@settings(max_examples=400, deadline=None)
@given(moves=st.lists(st.sampled_from(MOVES), min_size=15, max_size=60), opaque=st.booleans())
def test_the_cache_comes_to_the_servers_state_whatever_the_order(moves: list[tuple[str, str]], opaque: bool) -> None:
    """Writes, a watch that lags behind, and lists that are taken, delivered and finished at any later moment."""
    server = Server(opaque)
    cache = Cache()
    store = cache.add(PODS, running)
    delivered = 0
    relist, snapshot, version = store.begin_relist(), list[dict[str, Any]](), ""
    newest: dict[str, int] = {}
    aside = set[tuple[str, str]]()

    def check() -> None:
        """No object goes back in time, and only those that existed are there."""
        for name, phase in store.values():
            number = int(phase.removeprefix("phase-"))
            assert opaque or number >= newest.get(name, 0)
            newest[name] = number

    for move, name in moves:
        match move:
            case "put" | "delete":
                server.step(name, move)
            case "watch" if delivered < len(server.events):
                cache.feed(PODS, *server.events[delivered])
                delivered += 1
            case "aside" if (value := store.get(name, "shop")) is not None:
                store.set_aside({("shop", name): value})
                aside.add(value)
                assert value not in store.values()
            case "begin":
                relist = store.begin_relist()
                snapshot, version = list(server.objects.values()), server.version_name
            case "page" if snapshot:
                relist.add([snapshot.pop()])
            case "commit" if version:
                relist.add(snapshot)
                relist.commit(version)
                snapshot, version = [], ""
            case "fail":
                snapshot, version = [], ""
        check()

    for event in server.events[delivered:]:
        cache.feed(PODS, *event)
    expected = sorted((name, raw["status"]["phase"]) for name, raw in server.objects.items())
    assert set(expected) - aside <= set(store.values()) <= set(expected), (
        "what was set aside comes back once it changes"
    )
    store.show_all()
    assert list(store.values()) == expected
    relist = store.begin_relist()
    relist.add(list(server.objects.values()))
    relist.commit(server.version_name)
    assert list(store.values()) == expected
