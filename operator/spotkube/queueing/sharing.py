"""A level of sharing: those with a weight share by it, those without share what is left over."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from spotkube.queueing.amounts import WEIGHT_UNIT
from spotkube.queueing.band import Band
from spotkube.queueing.entries import Entry, Order, State
from spotkube.queueing.flow import Flow, Place


class Sharing:
    """An Order of the jobs of all its flows. `level` is which name of a path is a flow's here; `inside` makes the order
    within a new flow, which may be a Sharing again (hierarchical packet fair queueing: Bennett and Zhang 1996)."""

    def __init__(self, level: int, inside: Callable[[], Order]) -> None:
        self._level = level
        self._inside = inside
        self._weighted, self._rest = Band(), Band()
        self._weights: dict[str, int] = {}
        # Weights of those inside, for flows that come and go.
        self._inner_weights: dict[tuple[str, ...], int] = {}

    def add(self, entry: Entry) -> None:
        name = entry.path[self._level]
        band = self._band(name)
        flow = band.flows.get(name) or self._new(name, band.now)
        flow.add(entry, band.now)
        band.note(flow)

    def first(self) -> Entry | None:
        place = self.first_place()
        return None if place is None else place[3]

    def first_place(self) -> Place | None:
        return self._weighted.first() or self._rest.first()

    def take(self, entry: Entry) -> None:
        self.take_at(entry)

    def take_at(self, entry: Entry) -> float:
        """Takes it; its virtual deadline, counted from the beginning."""
        band, flow = self._find(entry)
        deadline = flow.take(entry, band.now)
        band.note(flow)
        return band.base + deadline

    def put_back(self, entry: Entry, deadline: float) -> None:
        """It waits again, with the deadline that `take_at` gave."""
        name = entry.path[self._level]
        band = self._band(name)
        flow = band.flows.get(name) or self._new(name, band.now)
        flow.put_back(entry, deadline - band.base)
        band.note(flow)

    def discard(self, entry: Entry) -> None:
        band, flow = self._find(entry)
        flow.discard(entry, band.now)
        band.note(flow)

    def charge(self, path: tuple[str, ...], work: float) -> None:
        name = path[self._level]
        band = self._band(name)
        if (flow := band.flows.get(name)) is None:
            if work <= 0:
                return
            flow = self._new(name, band.now)
        flow.charge(path, work, band.now)
        band.note(flow)

    def weigh(self, path: tuple[str, ...], weight: int) -> None:
        name = path[self._level]
        band = self._band(name)
        flow = band.flows.get(name)
        if len(path) > self._level + 1:
            self._inner_weights[path] = weight
            if flow is not None:
                flow.inner_weigh(path, weight, band.now)
                band.note(flow)
            return
        if flow is None:
            self._keep_weight(name, weight)
        elif weight != flow.micro_weight:
            band.leave(flow)
            self._keep_weight(name, weight)
            there = self._band(name)
            flow.weigh(weight, band.now, there.now)
            there.note(flow)

    def _keep_weight(self, name: str, weight: int) -> None:
        """Nothing is kept of names with the usual weight, of which there may be many over time."""
        if weight == WEIGHT_UNIT:
            self._weights.pop(name, None)
        else:
            self._weights[name] = weight

    def advance(self, work: float) -> None:
        self._rest.advance(self._weighted.advance(work))

    def walk(self) -> Iterator[Entry]:
        return (place[3] for band in (self._weighted, self._rest) for place in band.walk())

    def standing(self, wanted: Iterable[Entry]) -> Iterator[tuple[Entry, Band, Flow, float]]:
        """Where each shares and its virtual deadline there, on this level and then on those within."""
        by_name: dict[str, dict[str, Entry]] = {}
        for entry in wanted:
            by_name.setdefault(entry.path[self._level], {})[entry.id] = entry
        for entries in by_name.values():
            band, flow = self._find(next(iter(entries.values())))
            within = [entry for entry in entries.values() if not flow.is_ripe(entry.id)]
            walk = flow.walk()
            while entries:
                deadline, _, name, entry = next(walk)
                if entries.pop(name, None) is not None:
                    yield entry, band, flow, deadline
            if isinstance(flow.order, Sharing):
                yield from flow.order.standing(within)

    def is_leftover(self, path: tuple[str, ...]) -> bool:
        """Whether its flow here has weight 0."""
        return self._band(path[self._level]) is self._rest

    def state(self) -> State:
        weights = [[list(path), weight] for path, weight in self._inner_weights.items()]
        bands = [
            {"now": band.now, "base": band.base, "flows": {name: flow.state() for name, flow in band.flows.items()}}
            for band in (self._weighted, self._rest)
        ]
        return {"weights": dict(self._weights), "innerWeights": weights, "bands": bands}

    def restore(self, state: State, entries: Mapping[str, Entry]) -> None:
        self._weights = dict(state["weights"])
        self._inner_weights = {tuple(path): weight for path, weight in state["innerWeights"]}
        for band, told in zip((self._weighted, self._rest), state["bands"], strict=True):
            flows = {name: self._new(name, told["now"]) for name in told["flows"]}
            for name, flow in flows.items():
                flow.restore(told["flows"][name], entries)
            band.restore(told["now"], told["base"], flows)

    def _band(self, name: str) -> Band:
        return self._weighted if self._weights.get(name, WEIGHT_UNIT) else self._rest

    def _find(self, entry: Entry) -> tuple[Band, Flow]:
        name = entry.path[self._level]
        band = self._band(name)
        return band, band.flows[name]

    def _new(self, name: str, now: float) -> Flow:
        order = self._inside()
        for path, weight in self._inner_weights.items():
            if path[self._level] == name:
                order.weigh(path, weight)
        return Flow(name, self._weights.get(name, WEIGHT_UNIT), order, now)
