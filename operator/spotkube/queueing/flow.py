"""One who shares: a tenant in its queue, or a queue in its cohort, and how far the fluid reference is with it."""

import heapq
from collections.abc import Iterator, Mapping

from spotkube.queueing.amounts import WEIGHT_UNIT
from spotkube.queueing.entries import Entry, Order, State, ascending

Place = tuple[float, float, str, Entry]
"""Virtual deadline, then when it was submitted and its id, so that no two are equal."""


class Flow:
    """The fluid reference serves a flow's jobs one after the other: those who were taken, then the others in their
    order; who comes with a smaller key goes before one that is under way there.

    `front` is the virtual time at which it is done with all that were taken and with what it did of the next. Jobs that
    it finished before they were taken are `ripe`: their deadline is past and stays as it is.
    """

    def __init__(self, name: str, weight: int, order: Order, now: float) -> None:
        self.name = name
        self.micro_weight = weight
        self.order = order
        self.front = now
        self.version = 0
        self.active = False
        self._told = now
        self._queued = 0.0
        self._served: dict[str, float] = {}
        self._ripe: list[Place] = []
        self._ripe_at: dict[str, float] = {}
        # Those who left from the midst of the heap, where their items still are.
        self._left_behind: set[str] = set()

    @property
    def weight(self) -> float:
        # What has weight 0 shares evenly with others of weight 0, once nobody else wants anything.
        return self.micro_weight / WEIGHT_UNIT if self.micro_weight else 1.0

    @property
    def end(self) -> float:
        """The virtual time at which the reference has done all of its work."""
        return self.front + self._queued / self.weight

    @property
    def waits(self) -> bool:
        return bool(self._ripe_at) or self.order.first() is not None

    def is_ripe(self, job: str) -> bool:
        """Whether it waits with a deadline that stays: the reference is done with it, or it ran and was put back."""
        return job in self._ripe_at

    def head(self) -> Place | None:
        """Who is next of this flow."""
        while self._ripe and not self._is_ripe(self._ripe[0]):
            self._left_behind.discard(heapq.heappop(self._ripe)[2])
        entry = self.order.first()
        chained = None if entry is None else self._place(self.front + self._left(entry) / self.weight, entry)
        if chained is None or not self._ripe:
            return self._ripe[0] if self._ripe else chained
        return min(self._ripe[0], chained)

    def walk(self) -> Iterator[Place]:
        """All who wait, in order."""
        if not self._ripe_at:
            return self._chain()
        return heapq.merge((item for item in ascending(self._ripe) if self._is_ripe(item)), self._chain())

    def bring(self, now: float) -> None:
        """What the reference did until `now`, in virtual time."""
        served = (min(now, self.end) - self._told) * self.weight
        self._told = now
        if served > 0:
            self.order.advance(served)
        while (entry := self.order.first()) is not None:
            if self.front + self._left(entry) / self.weight > now:
                break
            self._take_next(entry)
            self.put_back(entry, self.front)

    def settle(self, now: float) -> None:
        """The reference has done all: what is left beyond `now` is rounding."""
        self.bring(now)
        while (entry := self.order.first()) is not None:
            self._take_next(entry)
            self.put_back(entry, self.front)
        self.front = min(self.front, now)
        self._queued = 0.0

    def add(self, entry: Entry, now: float) -> None:
        """Only one who goes before it interrupts the job that is under way in the reference."""
        self.bring(now)
        under_way = self.order.first()
        if under_way is None:
            self._hold(now, None)
        self.order.add(entry)
        self._queued += entry.size
        if self.order.first() is not under_way:
            self._hold(now, under_way)

    def take(self, entry: Entry, now: float) -> float:
        """Its virtual deadline, which it keeps: nobody goes before it any more."""
        self.bring(now)
        if entry.id in self._ripe_at:
            return self._pick(entry)
        if (under_way := self.order.first()) is not entry:
            self._hold(now, under_way)
        self._take_next(entry)
        return self.front

    def discard(self, entry: Entry, now: float) -> None:
        """What the reference did for it is lost."""
        self.bring(now)
        if entry.id in self._ripe_at:
            self._pick(entry)
            return
        self._hold(now, self.order.first())
        self._queued -= self._left(entry)
        self._served.pop(entry.id, None)
        self.order.discard(entry)

    def put_back(self, entry: Entry, deadline: float) -> None:
        """It waits, with the deadline that it had when it was taken."""
        if entry.id in self._left_behind:
            self._move_ripe(0.0)
        self._ripe_at[entry.id] = deadline
        heapq.heappush(self._ripe, self._place(deadline, entry))

    def charge(self, path: tuple[str, ...], work: float, now: float) -> None:
        """Work beyond the size told; what is given back is at most what the reference has not done."""
        self.bring(now)
        under_way = self.order.first()
        self._hold(now, under_way)
        self.front = max(now, self.front + work / self.weight)
        self.order.charge(path, work)

    def weigh(self, weight: int, now: float, there: float) -> None:
        """A new weight. `there` is the virtual time of those whom it shares with from now on."""
        self.bring(now)
        self._hold(now, self.order.first())
        ahead = (self.front - now) * self.weight
        self.micro_weight = weight
        self.front = there + ahead / self.weight
        self._told = there
        self._move_ripe(there - now)

    def inner_weigh(self, path: tuple[str, ...], weight: int, now: float) -> None:
        """A new weight for somebody inside."""
        self.bring(now)
        self._hold(now, self.order.first())
        self.order.weigh(path, weight)

    def shift(self, by: float) -> None:
        """Virtual time is counted from `by` later on."""
        self.front -= by
        self._told -= by
        self._move_ripe(-by)

    def state(self) -> State:
        return {
            "microWeight": self.micro_weight,
            "front": self.front,
            "told": self._told,
            "queued": self._queued,
            "served": dict(self._served),
            "ripe": dict(self._ripe_at),
            "order": self.order.state(),
        }

    def restore(self, state: State, entries: Mapping[str, Entry]) -> None:
        self.micro_weight = state["microWeight"]
        self.front, self._told, self._queued = state["front"], state["told"], state["queued"]
        self._served = dict(state["served"])
        for name, deadline in state["ripe"].items():
            self.put_back(entries[name], deadline)
        self.order.restore(state["order"], entries)

    def _take_next(self, entry: Entry) -> None:
        left = self._left(entry)
        self._served.pop(entry.id, None)
        self.order.take(entry)
        self.front += left / self.weight
        # Rounding must not leave work behind that nobody has.
        self._queued = self._queued - left if self.order.first() is not None else 0.0

    def _hold(self, now: float, under_way: Entry | None) -> None:
        """Notes what the reference did of the job that is under way, so that another one may go before it."""
        if self.front < now:
            if under_way is not None:
                work = (now - self.front) * self.weight
                self._served[under_way.id] = self._served.get(under_way.id, 0.0) + work
                self._queued -= work
            self.front = now

    def _left(self, entry: Entry) -> float:
        return max(0.0, entry.size - self._served.get(entry.id, 0.0))

    def _chain(self) -> Iterator[Place]:
        deadline, weight, served = self.front, self.weight, self._served
        for entry in self.order.walk():
            left = self._left(entry) if entry.id in served else entry.size
            deadline += left / weight
            yield deadline, entry.submitted, entry.id, entry

    def _is_ripe(self, place: Place) -> bool:
        return place[2] in self._ripe_at

    def _pick(self, entry: Entry) -> float:
        self._left_behind.add(entry.id)
        return self._ripe_at.pop(entry.id)

    def _move_ripe(self, by: float) -> None:
        self._ripe_at = {name: deadline + by for name, deadline in self._ripe_at.items()}
        entries = {place[2]: place[3] for place in self._ripe}
        self._left_behind.clear()
        self._ripe = [self._place(deadline, entries[name]) for name, deadline in self._ripe_at.items()]
        heapq.heapify(self._ripe)

    @staticmethod
    def _place(deadline: float, entry: Entry) -> Place:
        return deadline, entry.submitted, entry.id, entry
