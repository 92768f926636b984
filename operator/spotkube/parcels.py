"""Snapshots on their way to the planner's process: only what it does not have yet is sent.

A snapshot of a large cluster has tens of thousands of objects, nearly all of them those of the last one. To pickle them
all holds up every other thread for as long as a decision may take. Objects count as the same where they are identical.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from spotkube.model.cluster import Snapshot

_NUMBERS = "Q"


@dataclass(frozen=True, slots=True)
class Bundle:
    """One field of a snapshot: the numbers of its objects in their order, and those objects that are new by number.
    None in place of the numbers: all as before."""

    numbers: bytes | None
    news: tuple[tuple[int, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Parcel:
    """`rest` is the snapshot without the fields in `bundles`."""

    rest: Snapshot
    bundles: tuple[tuple[str, Bundle], ...]


class Sender:
    """Knows what the other side has. One for each `Receiver`, to which every parcel goes, in their order."""

    def __init__(self) -> None:
        self._sent: dict[str, dict[int, tuple[Any, int]]] = {}
        self._last: dict[str, Sequence[Any]] = {}
        self._count = 0

    def pack(self, snapshot: Snapshot) -> Parcel:
        lists = {one.name: getattr(snapshot, one.name) for one in fields(snapshot)}
        lists = {name: value for name, value in lists.items() if isinstance(value, tuple)}
        bundles = tuple((name, self._bundle(name, objects)) for name, objects in lists.items())
        nothing: dict[str, Any] = dict.fromkeys(lists, ())
        return Parcel(replace(snapshot, **nothing), bundles)

    def _bundle(self, name: str, objects: Sequence[Any]) -> Bundle:
        if self._last.get(name) is objects:
            return Bundle(None)
        before, now = self._sent.get(name, {}), dict[int, tuple[Any, int]]()
        numbers, news = array(_NUMBERS), []
        for one in objects:
            known = now.get(id(one)) or before.get(id(one))
            if known is None:
                self._count += 1
                known = one, self._count
                news.append((self._count, one))
            now[id(one)] = known
            numbers.append(known[1])
        self._sent[name], self._last[name] = now, objects
        return Bundle(numbers.tobytes(), tuple(news))


class Receiver:
    """Keeps what the last parcel was made of."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[int, Any]] = {}
        self._last: dict[str, tuple[Any, ...]] = {}

    def unpack(self, parcel: Parcel) -> Snapshot:
        lists: dict[str, Any] = {name: self._unbundle(name, bundle) for name, bundle in parcel.bundles}
        return replace(parcel.rest, **lists)

    def _unbundle(self, name: str, bundle: Bundle) -> tuple[Any, ...]:
        if bundle.numbers is not None:
            numbers = array(_NUMBERS)
            numbers.frombytes(bundle.numbers)
            known = {**self._objects.get(name, {}), **dict(bundle.news)}
            self._objects[name] = {number: known[number] for number in numbers}
            self._last[name] = tuple(known[number] for number in numbers)
        return self._last[name]
