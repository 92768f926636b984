"""Work on many objects that goes on beside the cycle, which tells it each time what there is to do now."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from spotkube.controllers.toolbox import CONCURRENT_CALLS, NotLeading, each

T = TypeVar("T")


class Ongoing(Generic[T]):
    """Works on items, a few at a time. What is begun is finished; what waits is replaced by what is told last."""

    def __init__(self, work: Callable[[T], Awaitable[None]]) -> None:
        """`work` must look at what is stored: an item may be told again by whom its outcome has not reached yet."""
        self._work = work
        self._waiting: dict[str, T] = {}
        self._begun: set[str] = set()
        self._run: asyncio.Task[None] | None = None
        self._term = 0

    async def go_on(self, items: Mapping[str, T], seconds: float) -> None:
        """These, by their keys, are what there is to do. Returns when all is done, or after so long.

        What the work raises is raised by the call that sees its end.
        """
        self._waiting = {key: item for key, item in items.items() if key not in self._begun}
        if self._run is None and self._waiting:
            self._run = asyncio.create_task(each([self._term] * CONCURRENT_CALLS, self._take_turns))
        if self._run is None:
            return
        await asyncio.wait([self._run], timeout=seconds)
        if self._run.done():
            run, self._run = self._run, None
            run.result()

    def forget(self) -> None:
        """Begins nothing more. Whatever comes of what is begun is nobody's concern."""
        self._waiting.clear()
        self._term += 1
        if self._run is not None:
            self._run.add_done_callback(lambda run: run.cancelled() or run.exception())
            self._run = None

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
