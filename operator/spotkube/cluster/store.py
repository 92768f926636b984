"""The objects of one kind as the API server said last, converted and kept in memory.

Two sources feed it. Watch events are quick, but a watch may go silent or lose one; a relist is complete, but it is
old when it arrives. The rules that reconcile the two:

- an object never goes back to an older resourceVersion;
- an object that was deleted never comes back (its uid is remembered), though its name may;
- what is not there after a relist and comes in a version from before it is gone, and does not appear;
- a finished relist removes what it did not contain, except what a watch brought in since the list was taken;
- a relist that fails half-way removes nothing;
- a watch that begins anew lists by itself, and tells nobody what was deleted since our last list: one is due then.
"""

import asyncio
import logging
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from spotkube.cluster.errors import HistoryRewritten
from spotkube.cluster.resources import Resource

T = TypeVar("T")
Key = tuple[str | None, str]
"""Namespace (None for cluster-scoped kinds) and name."""

_REMEMBERED_DELETIONS = 20_000
"""Only events in flight while a deletion arrives matter: seconds, thousands at most."""

logger = logging.getLogger(__name__)


def is_older(version: str, than: str) -> bool | None:
    """Whether one resourceVersion of a kind is older than another; None when they cannot be compared.

    Kubernetes promises since 1.35 what etcd always did: decimal numbers that grow within one kind. An aggregated
    API server may use anything else.
    """
    if version.isdecimal() and than.isdecimal():
        return int(version) < int(than)
    return False if version == than else None


@dataclass(slots=True)
class _Entry(Generic[T]):
    uid: str
    version: str
    touched: int
    """Number of the feed that brought it."""
    value: T | None
    """None: known, but left out by `convert`."""
    aside: bool = False
    """Left out of `values`."""


class Store(Generic[T]):
    """The objects of one kind. Made by `Cache.add`; readers use `get`, `values`, `len` and `synced`."""

    def __init__(self, resource: Resource, convert: Callable[[dict[str, Any]], T | None], bump: Callable[[], None]):
        self.resource = resource
        self.synced = False
        """Whether a whole list has been taken over once."""
        self.rejected: dict[Key, str] = {}
        """Objects that `convert` raised ValueError or the like for, and why. Their last good value stays."""
        self.relist_due = asyncio.Event()
        """Set when a watch began anew."""
        self._convert = convert
        self._bump = bump
        self._entries: dict[Key, _Entry[T]] = {}
        self._in_order: list[Key] = []
        self._values: tuple[T, ...] | None = None
        self._deleted: OrderedDict[str, None] = OrderedDict()
        self._feeds = 0
        self.listed_version = ""
        """resourceVersion of the last whole list."""

    def __len__(self) -> int:
        return sum(1 for entry in self._entries.values() if entry.value is not None)

    def get(self, name: str, namespace: str | None = None) -> T | None:
        entry = self._entries.get((namespace, name))
        return entry.value if entry else None

    def values(self) -> tuple[T, ...]:
        """All values in the order of namespace and name, so that what is computed from them is repeatable.

        The same tuple until something of this kind is fed.
        """
        if self._values is None:
            entries = map(self._entries.__getitem__, self._in_order)
            self._values = tuple([entry.value for entry in entries if entry.value is not None])
        return self._values

    def set_aside(self, values: Mapping[Key, T]) -> None:
        """Leaves these, where they are still the very same, out of `values` until they change: what nobody asks about
        any more must not cost every look at the others. `get` finds them all the same."""
        for key, value in values.items():
            entry = self._entries.get(key)
            if entry is not None and entry.value is value and not entry.aside:
                entry.aside, self._values = True, None
                self._take_from_order(key)

    def show_all(self) -> None:
        """Nothing is set aside any more."""
        for entry in self._entries.values():
            entry.aside = False
        self._in_order, self._values = sorted(self._entries, key=_by_name), None

    def feed(self, event_type: str | None, raw: dict[str, Any]) -> None:
        """Take in one watch event (None is kopf's word for what it found when it began), or a write's answer."""
        self._feeds += 1
        if event_type is None:
            self.relist_due.set()
        if event_type == "DELETED":
            self._remove(raw)
        elif not self._is_history(raw):
            self._put(raw, trusted_since=self._feeds)

    def _is_history(self, raw: dict[str, Any]) -> bool:
        """Whether the last whole list would have shown it, had it still been there: a watch lags behind."""
        if _key(raw) in self._entries:
            return False
        return is_older(raw["metadata"].get("resourceVersion", ""), self.listed_version) is True

    def begin_relist(self) -> "Relist[T]":
        """Call this before the list is asked for, so that what a watch brings meanwhile is known to be newer."""
        return Relist(self, self._feeds)

    def relist(self, items: Iterable[dict[str, Any]], resource_version: str = "") -> None:
        """Take over a list that is complete and current."""
        relist = self.begin_relist()
        relist.add(items)
        relist.commit(resource_version)

    def _put(self, raw: dict[str, Any], trusted_since: int) -> None:
        """Store the object unless it is deleted or older; incomparable versions: unless touched since then."""
        metadata = raw["metadata"]
        key, uid, version = _key(raw), metadata["uid"], metadata.get("resourceVersion", "")
        old = self._entries.get(key)
        if uid in self._deleted:
            return
        if old is not None:
            older = is_older(version, old.version)
            if older or (older is None and old.touched > trusted_since):
                return
            if version == old.version and uid == old.uid:
                return
            if uid != old.uid and older is False:
                self._bury(old.uid)  # certainly: with incomparable versions the old one may be the newer one
        previous = old.value if old is not None and old.uid == uid else None
        value = self._converted(key, raw, previous)
        if old is None or old.aside:
            insort(self._in_order, key, key=_by_name)
        self._entries[key] = _Entry(uid, version, self._feeds, value)
        self._values = None
        if value != (old.value if old else None):
            self._bump()

    def _converted(self, key: Key, raw: dict[str, Any], previous: T | None) -> T | None:
        try:
            value = self._convert(raw)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # One object that we cannot read must not blind us to the others.
            self.rejected[key] = f"{type(error).__name__}: {error}"
            logger.error("%s %s cannot be read, the last good state stays: %s", self.resource.kind, key, error)
            return previous
        self.rejected.pop(key, None)
        return value

    def _remove(self, raw: dict[str, Any]) -> None:
        key, uid = _key(raw), raw["metadata"]["uid"]
        self._bury(uid)
        entry = self._entries.get(key)
        if entry is not None and entry.uid == uid:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key)
        if not entry.aside:
            self._take_from_order(key)
        self.rejected.pop(key, None)
        self._bury(entry.uid)
        if entry.value is not None:
            self._values = None
            self._bump()

    def _take_from_order(self, key: Key) -> None:
        del self._in_order[bisect_left(self._in_order, _by_name(key), key=_by_name)]

    def _bury(self, uid: str) -> None:
        self._deleted[uid] = None
        while len(self._deleted) > _REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)

    def _finish_relist(self, seen: set[Key], begun_at: int, list_version: str) -> None:
        if is_older(list_version, self.listed_version):
            raise HistoryRewritten(self.resource.name, self.listed_version, list_version)
        self._drop_vanished(seen, begun_at, list_version)
        self.listed_version = list_version
        if not self.synced:
            self.synced = True
            self._bump()

    def _drop_vanished(self, seen: set[Key], begun_at: int, list_version: str) -> None:
        for key in [key for key in self._entries if key not in seen]:
            entry = self._entries[key]
            newer_than_list = is_older(list_version, entry.version)
            if newer_than_list is None:
                newer_than_list = entry.touched > begun_at
            if not newer_than_list:
                self._drop(key)


class Relist(Generic[T]):
    """A list being taken over page by page. Forget it when the list fails; nothing is removed before `commit`."""

    def __init__(self, store: Store[T], begun_at: int) -> None:
        self._store = store
        self._begun_at = begun_at
        self._seen: set[Key] = set()

    def add(self, items: Iterable[dict[str, Any]]) -> None:
        for raw in items:
            self._seen.add(_key(raw))
            self._store._put(raw, trusted_since=self._begun_at)

    def commit(self, resource_version: str = "") -> None:
        """The list is complete, as of `resource_version` (empty when unknown). Raises HistoryRewritten."""
        self._store._finish_relist(self._seen, self._begun_at, resource_version)


def _by_name(key: Key) -> tuple[str, str]:
    return key[0] or "", key[1]


def _key(raw: Mapping[str, Any]) -> Key:
    metadata = raw["metadata"]
    return metadata.get("namespace"), metadata["name"]
