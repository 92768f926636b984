"""Asks pods to leave: side by side, again where that was refused, and without waiting for answers that hang."""

import asyncio
import logging
from dataclasses import dataclass

from spotkube.cluster.errors import ApiError, TooManyRequests
from spotkube.controllers.claims.asking import ask
from spotkube.controllers.claims.draining import How, PodAction
from spotkube.controllers.toolbox import Toolbox
from spotkube.model.pods import Pod

# A budget that refuses now will most likely refuse a moment later too.
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 5.0
# What was done shows in the cache long before this; asking again could only shorten a grace.
DONE_SECONDS = 10.0
# Where thousands are evicted at once the cache lags behind, and each eviction that is repeated takes another's turn.
EVICTED_SECONDS = 30.0
# The API server waits for webhooks for up to 30 s. Other nodes' deadlines can't.
PATIENCE_SECONDS = 1.0
# Of all nodes together. Thousands at a time would leave the API server no turn for what is bought for them; and an
# eviction costs it as much as three other writes.
EVICTIONS_AT_ONCE = 64
_FORGOTTEN_SECONDS = 60.0
_EVICTIONS = frozenset({How.EVICT, How.FORCE})
_Key = tuple[str, How]
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Asked:
    """`again_at` is when it may be asked again, in seconds since the epoch; `wait_seconds` how long that was."""

    again_at: float
    wait_seconds: float = 0.0


class Evictor:
    """Remembers in memory whom it asked, only to spare the API server; a restart asks once more.

    What is forced has a memory of its own: no refusal puts off the forced moment.
    """

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        self._asked: dict[_Key, _Asked] = {}
        self._under_way: dict[_Key, asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(EVICTIONS_AT_ONCE)
        self._cleaned_at = 0.0

    def has_asked(self, pod: Pod) -> bool:
        """Whether the pod was asked to go lately, whatever came of it."""
        return (pod.uid, How.EVICT) in self._asked or (pod.uid, How.FORCE) in self._asked

    async def act(self, actions: tuple[PodAction, ...]) -> bool:
        """Returns once all have an answer, or `PATIENCE_SECONDS` later; then the rest goes on by itself. Whether
        anything was due.

        Raises NotLeading.
        """
        now = self._tools.clock()
        self._forget_old(now)
        due = [action for action in actions if self._is_due(action, now)]
        if not due:
            return False
        tasks = [asyncio.create_task(self._one(action)) for action in due]
        self._under_way |= {_key(action): task for action, task in zip(due, tasks, strict=True)}
        for task in tasks:  # of what goes on by itself nobody hears
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        done, _ = await asyncio.wait(tasks, timeout=PATIENCE_SECONDS)
        for task in done:
            task.result()
        return True

    def _forget_old(self, now: float) -> None:
        """Seldom: where a thousand nodes go at once, it is called for each of them in every cycle."""
        if now - self._cleaned_at >= _FORGOTTEN_SECONDS:
            self._asked = {key: one for key, one in self._asked.items() if now - one.again_at < _FORGOTTEN_SECONDS}
            self._cleaned_at = now

    def _is_due(self, action: PodAction, now: float) -> bool:
        key = _key(action)
        asked = self._asked.get(key)
        return key not in self._under_way and (asked is None or now >= asked.again_at)

    async def _one(self, action: PodAction) -> None:
        try:
            await (self._evict_in_turn(action) if action.how is How.EVICT else self._ask(action))
        finally:
            self._under_way.pop(_key(action), None)

    async def _evict_in_turn(self, action: PodAction) -> None:
        """Gives its turn away when no answer comes: those that hang would leave none."""
        async with self._turns:
            forced = action.pod.uid, How.FORCE
            if forced in self._asked or forced in self._under_way:
                return  # its moment came while it waited
            asking = asyncio.create_task(self._ask(action))
            await asyncio.wait([asking], timeout=PATIENCE_SECONDS)
        await asking

    async def _ask(self, action: PodAction) -> None:
        self._tools.require_leader()
        result, wait = await self._answer(action)
        self._asked[_key(action)] = _Asked(self._tools.clock() + wait, wait)
        if action.how in _EVICTIONS:
            self._tools.metrics.evictions_total.labels(result).inc()

    async def _answer(self, action: PodAction) -> tuple[str, float]:
        """The result, and how many seconds to wait before asking the same again."""
        pod = action.pod
        try:
            done_seconds = EVICTED_SECONDS if action.how is How.EVICT else DONE_SECONDS
            return await ask(self._tools, action), done_seconds
        except TooManyRequests as error:
            logger.info("pod %s may not be asked to go yet (%s): %s", pod.key, action.how, error.message)
            return "refused", max(self._next_wait(action), error.retry_after_seconds or 0.0)
        except ApiError as error:
            logger.warning("pod %s: %s failed, which is tried again: %s", pod.key, action.how, error)
            return "error", self._next_wait(action)

    def _next_wait(self, action: PodAction) -> float:
        """Twice as long each time; but where the deadline is near, each second counts."""
        asked = self._asked.get(_key(action))
        if asked is None or action.how is How.FORCE:
            return FIRST_WAIT_SECONDS
        return min(LONGEST_WAIT_SECONDS, max(FIRST_WAIT_SECONDS, 2 * asked.wait_seconds))


def _key(action: PodAction) -> _Key:
    return action.pod.uid, action.how
