"""Work on many objects that goes on beside the cycle, which tells it each time what there is to do now."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from spotkube.controllers.toolbox import CONCURRENT_CALLS, NotLeading

# Nodes that register meanwhile must not wait until thousands of pods have been placed, nor what is bought for a hundred
# that leave until all their pods are evicted: a cycle waits so long, then goes on, and so does the work beside it.
TURN_SECONDS = 0.5
T = TypeVar("T")


class Ongoing(Generic[T]):
    """Works on items, a few at a time. What is begun is finished; what waits is replaced by what is told last.

    Nobody waits for the slowest of those before: whoever is free takes what comes, who waited longest first.
    """

    def __init__(
        self, work: Callable[[T], Awaitable[None]], *, in_order: bool = False, at_once: int = CONCURRENT_CALLS
    ) -> None:
        """`work` must look at what is stored: an item may be told again by whom its outcome has not reached yet.
        `in_order`: they are told in the order of their turns, whoever waited before."""
        self._work = work
        self._at_once = at_once
        self._in_order = in_order
        self._waiting: dict[str, T] = {}
        self._begun: set[str] = set()
        self._workers: set[asyncio.Task[None]] = set()
        self._term = 0

    @property
    def busy(self) -> bool:
        """Whether something is begun, or waits."""
        return any(not worker.done() for worker in self._workers)

    async def go_on(self, items: Mapping[str, T], seconds: float) -> None:
        """These, by their keys, are what there is to do. Returns when all is done, or after so long.

        What the work raises is raised by the call that sees it, NotLeading before anything else.
        """
        # Else those at the end would never have a turn where there is more to do than time.
        first = {} if self._in_order else {key: items[key] for key in self._waiting if key in items}
        self._waiting = {key: item for key, item in (first | dict(items)).items() if key not in self._begun}
        self._employ()
        if not self._workers:
            return
        await asyncio.wait(self._workers, timeout=seconds)
        ended = {worker for worker in self._workers if worker.done()}
        self._workers -= ended
        errors = [error for worker in ended if (error := worker.exception()) is not None]
        if errors:
            raise next((error for error in errors if isinstance(error, NotLeading)), errors[0])

    def add(self, key: str, item: T) -> None:
        """This too is to be done, and nobody waits for it; what it raises is raised by the next `go_on`."""
        if key not in self._begun:
            self._waiting[key] = item
            self._employ()

    def _employ(self) -> None:
        free = self._at_once - sum(not worker.done() for worker in self._workers)
        self._workers |= {
            asyncio.create_task(self._take_turns(self._term)) for _ in range(min(free, len(self._waiting)))
        }

    def withdraw(self) -> None:
        """What was told and is not begun is not to be done any more."""
        self._waiting.clear()

    def forget(self) -> None:
        """Begins nothing more. Whatever comes of what is begun is nobody's concern."""
        self._waiting.clear()
        self._term += 1
        for worker in self._workers:
            worker.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        self._workers = set()

    async def _take_turns(self, term: int) -> None:
        """`term` keeps what was begun before `forget` from what waits since."""
        while self._waiting and term == self._term:
            key = next(iter(self._waiting))
            item = self._waiting.pop(key)
            self._begun.add(key)
            try:
                await self._work(item)
            except NotLeading:
                if term == self._term:
                    self._waiting.clear()
                raise
            finally:
                self._begun.discard(key)
