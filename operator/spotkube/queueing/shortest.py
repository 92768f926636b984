"""The order inside a tenant: short jobs first, though none waits for ever.

Each job's key is its size on top of the key that was reached when it came (self-clocked fair queueing: Golestani 1994),
which keeps the order in which the tenant's jobs would end if they shared its part evenly, at O(log n) a job.
"""

import heapq
from collections.abc import Iterator, Mapping

from spotkube.queueing.entries import Entry, State, ascending


class Shortest:
    """An Order whose jobs all belong to one tenant."""

    def __init__(self) -> None:
        self._reached = 0.0
        self._keys: dict[str, float] = {}
        # The last number tells one who came back from the item that it left behind.
        self._heap: list[tuple[float, float, str, int, Entry]] = []
        self._numbers: dict[str, int] = {}
        self._last = 0

    def add(self, entry: Entry) -> None:
        self._insert(entry, self._reached + entry.size)

    def first(self) -> Entry | None:
        while self._heap and not self._waits(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][-1] if self._heap else None

    def take(self, entry: Entry) -> None:
        self._reached = max(self._reached, self._keys[entry.id])
        self.discard(entry)

    def discard(self, entry: Entry) -> None:
        del self._keys[entry.id], self._numbers[entry.id]
        self._tidy()

    def charge(self, path: tuple[str, ...], work: float) -> None:
        """Whom it is charged to knows; inside nothing changes."""

    def weigh(self, path: tuple[str, ...], weight: int) -> None:
        raise ValueError(f"weight: {'/'.join(path)} is a job and has none; give the weight to its tenant")

    def advance(self, work: float) -> None:
        """The keys move with those who are taken."""

    def walk(self) -> Iterator[Entry]:
        return (item[-1] for item in ascending(self._heap) if self._waits(item))

    def state(self) -> State:
        return {"reached": self._reached, "keys": dict(self._keys)}

    def restore(self, state: State, entries: Mapping[str, Entry]) -> None:
        self._reached = state["reached"]
        for name, key in state["keys"].items():
            self._insert(entries[name], key)

    def _insert(self, entry: Entry, key: float) -> None:
        self._last += 1
        self._keys[entry.id], self._numbers[entry.id] = key, self._last
        heapq.heappush(self._heap, (key, entry.submitted, entry.id, self._last, entry))

    def _waits(self, item: tuple[float, float, str, int, Entry]) -> bool:
        return self._numbers.get(item[2]) == item[3]

    def _tidy(self) -> None:
        """Starts from zero when nobody is left, and throws out those who are gone once they are the most."""
        if not self._keys:
            self._reached = 0.0
            self._heap.clear()
        elif len(self._heap) > 2 * len(self._keys) + 16:
            self._heap = [item for item in self._heap if self._waits(item)]
            heapq.heapify(self._heap)
