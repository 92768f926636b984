"""A job as the order knows it, and what all orders of jobs can do."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

State = dict[str, Any]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """`path` names who it belongs to, from the outermost level in: ("tenant",) or ("queue", "tenant"). `size` is in
    units of capacity times seconds, `submitted` in seconds."""

    id: str
    path: tuple[str, ...]
    size: float
    submitted: float


class Order(Protocol):
    """Waiting jobs, one of them next. Those who are taken or discarded are forgotten."""

    def add(self, entry: Entry) -> None: ...

    def first(self) -> Entry | None:
        """Who is next; None if nobody waits."""

    def take(self, entry: Entry) -> None:
        """It had, or will have, its turn: whom it belongs to is charged with all of its size."""

    def discard(self, entry: Entry) -> None:
        """It leaves without a turn."""

    def charge(self, path: tuple[str, ...], work: float) -> None:
        """Work beyond the size that was told (negative: less than that)."""

    def weigh(self, path: tuple[str, ...], weight: int) -> None:
        """A weight in millionths for who is at the end of the path."""

    def advance(self, work: float) -> None:
        """So much work was done for all in here together."""

    def walk(self) -> Iterator[Entry]:
        """Everybody in order; it must not be changed meanwhile."""

    def state(self) -> State:
        """As plain numbers and names."""

    def restore(self, state: State, entries: Mapping[str, Entry]) -> None:
        """What `state` gave, into an order that is new."""


# Whoever asks for more is likely to ask for all.
_FIRST_FEW = 8


def ascending(heap: Sequence[Item]) -> Iterator[Item]:
    """The items of a heap from the smallest on, without taking them out: O(log k) for the k-th of the first few, and
    for those after them a sort of all, which costs each the least."""
    reached = [(heap[0], 0)] if heap else []
    for _ in range(min(_FIRST_FEW, len(heap))):
        item, index = heapq.heappop(reached)
        yield item
        for child in (2 * index + 1, 2 * index + 2):
            if child < len(heap):
                heapq.heappush(reached, (heap[child], child))
    if len(heap) > _FIRST_FEW:
        yield from sorted(heap)[_FIRST_FEW:]  # type: ignore[type-var]
