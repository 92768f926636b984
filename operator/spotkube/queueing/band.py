"""Flows that share by weight: virtual time, and who is next (generalised processor sharing: Parekh and Gallager 1993).

Virtual time grows by the work done over the sum of the weights of those whom the fluid reference has work for. An event
costs O(log n): what happens to a flow changes nothing in the virtual deadlines of the others, so both heaps (who is
next, whose work the reference ends next) are given a new item for that flow alone, and old ones are skipped.
"""

import heapq
from collections.abc import Iterator, Mapping

from spotkube.queueing.amounts import WEIGHT_UNIT
from spotkube.queueing.entries import ascending
from spotkube.queueing.flow import Flow, Place

RENORMALISE_AT = float(2**30)
"""From there virtual time is counted anew: floats still tell a ten-millionth of a unit apart."""


class Band:
    def __init__(self) -> None:
        self.now = 0.0
        self.base = 0.0
        """What was taken off virtual time so far."""
        self.flows: dict[str, Flow] = {}
        self._versions = 0
        self._active_weight = 0
        self._heads: list[tuple[float, float, str, str, int]] = []
        self._ends: list[tuple[float, str, int]] = []

    def advance(self, work: float) -> float:
        """Lets the reference do so much work; returns what nobody wants."""
        while work > 0 and (flow := self._next_to_end()) is not None:
            weight = self._active_weight / WEIGHT_UNIT
            needed = max(0.0, flow.end - self.now) * weight
            if needed > work:
                self.now += work / weight
                work = 0.0
            else:
                self.now = max(self.now, flow.end)
                work -= needed
                flow.settle(self.now)
                self.note(flow)
        if self.now > RENORMALISE_AT:
            self._renormalise()
        return work

    def note(self, flow: Flow) -> None:
        """To be called after each change of a flow; forgets those who have nothing left."""
        self._count(flow, flow.end > self.now)
        self._versions += 1
        flow.version = self._versions
        if not flow.active and not flow.waits:
            self.flows.pop(flow.name, None)
            return
        self.flows[flow.name] = flow
        if flow.active:
            heapq.heappush(self._ends, (flow.end, flow.name, flow.version))
        if (head := flow.head()) is not None:
            heapq.heappush(self._heads, (*head[:3], flow.name, flow.version))
        if max(len(self._heads), len(self._ends)) > 2 * len(self.flows) + 64:
            self._rebuild()

    def leave(self, flow: Flow) -> None:
        """The flow goes elsewhere; it must be noted there."""
        self._count(flow, False)
        del self.flows[flow.name]
        self._versions += 1
        flow.version = self._versions

    def first(self) -> Place | None:
        self._drop_old_heads()
        return self.flows[self._heads[0][3]].head() if self._heads else None

    def walk(self) -> Iterator[Place]:
        """Everybody in order; a flow is only looked into when it is its turn."""
        self._drop_old_heads()
        heads = (item for item in ascending(self._heads) if self._is_current(*item[3:]))
        upcoming = next(heads, None)
        opened: list[tuple[Place, int, Iterator[Place]]] = []
        while opened or upcoming is not None:
            if upcoming is not None and (not opened or upcoming[:3] < opened[0][0][:3]):
                rest = self.flows[upcoming[3]].walk()
                heapq.heappush(opened, (next(rest), upcoming[4], rest))
                upcoming = next(heads, None)
                continue
            place, number, rest = opened[0]
            if upcoming is None and len(opened) == 1:
                yield place
                yield from rest
                return
            yield place
            following = next(rest, None)
            if following is None:
                heapq.heappop(opened)
            else:
                heapq.heapreplace(opened, (following, number, rest))

    def restore(self, now: float, base: float, flows: Mapping[str, Flow]) -> None:
        self.now, self.base = now, base
        for flow in flows.values():
            self.note(flow)

    def _drop_old_heads(self) -> None:
        while self._heads and not self._is_current(*self._heads[0][3:]):
            heapq.heappop(self._heads)

    def _next_to_end(self) -> Flow | None:
        while self._ends and not self._is_current(*self._ends[0][1:]):
            heapq.heappop(self._ends)
        return self.flows[self._ends[0][1]] if self._ends else None

    def _is_current(self, name: str, version: int) -> bool:
        flow = self.flows.get(name)
        return flow is not None and flow.version == version

    def _count(self, flow: Flow, active: bool) -> None:
        weight = flow.micro_weight or WEIGHT_UNIT
        self._active_weight += weight * (active - flow.active)
        flow.active = active

    def _renormalise(self) -> None:
        by, self.now = self.now, 0.0
        self.base += by
        for flow in self.flows.values():
            flow.shift(by)
        self._rebuild()

    def _rebuild(self) -> None:
        self._heads = [(*head[:3], f.name, f.version) for f in self.flows.values() if (head := f.head()) is not None]
        self._ends = [(flow.end, flow.name, flow.version) for flow in self.flows.values() if flow.active]
        heapq.heapify(self._heads)
        heapq.heapify(self._ends)
