"""When the next cycle begins."""

import asyncio
import math
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass

from spotkube.cluster.cache import Cache

# While claims are under way or pods are being moved, time itself is news: graces run out, deadlines come near.
BUSY_SECONDS = 0.25
# Cycles of a large cluster that follow each other closely would take from the planner, and from all that is done beside
# them, the time that they wait for.
REST_SHARE, LONGEST_REST_SECONDS = 0.5, 1.0
# Where a queue moves on, whoever ends leaves room that lies idle until the next cycle.
MOVING_IDLE_SECONDS, MOVING_LONGEST_SECONDS = 0.03, 0.1
# Pods that wait for company wait for nobody any more as soon as all are there that are known to come.
GATHERING_LONGEST_SECONDS = 0.15


@dataclass(frozen=True)
class Pace:
    """Seconds: a cycle each `cycle` at least; after a change once `idle` is quiet, `longest` later at most."""

    cycle: float
    idle: float = 0.1
    longest: float = 0.2


async def until_next(
    cache: Cache,
    pace: Pace,
    news: Sequence[Coroutine[None, None, object]],
    seen: int,
    took: float,
    *,
    busy: bool,
    moves_on: bool = False,
    gathers: bool = False,
) -> int:
    """Sleeps until something changed, any of the `news` comes, or it is time; the cache's generation then.

    Args:
        cache, pace: what changes, and how soon that is looked at.
        news: what ends the sleep at once.
        seen: the cache's generation when the last cycle began.
        took: seconds of that cycle. What changed meanwhile has waited for as long, and so waits the less for company.
            After a long cycle there is a rest, which only the `news` end.
        moves_on: whether a queue does: then changes wait for next to no company, and nobody rests.
        gathers: whether pods wait for company.
        busy: whether something is under way, so that time itself is news.
    """
    rest = 0.0 if moves_on else min(LONGEST_REST_SECONDS, REST_SHARE * took)
    idle = min(pace.idle, MOVING_IDLE_SECONDS) if moves_on else pace.idle
    quickest = MOVING_LONGEST_SECONDS if moves_on else GATHERING_LONGEST_SECONDS if gathers else math.inf
    longest = min(pace.longest, quickest)
    changed = cache.next_batch(
        seen,
        idle_seconds=max(idle, rest),
        max_seconds=max(longest - took, rest),
        timeout_seconds=max(BUSY_SECONDS, rest) if busy else pace.cycle,
    )
    waits: list[asyncio.Task[object]] = [asyncio.create_task(wait) for wait in (changed, *news)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    return cache.generation
