"""Work shared out to threads. Compiled code lets go of the interpreter's lock, so they run at the same time.

What comes out doesn't depend on the number of threads or on who does what: no item reads what another writes.
"""

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

# More would hardly help: the linear programs in between run on one.
MOST_THREADS = 4
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
THREADS = min(MOST_THREADS, _CORES)


def share_out(scratches: Sequence[T], items: int, do: Callable[[T, int], None]) -> None:
    """Calls do(scratch, item) for items 0 to items - 1. A scratch is with one thread at a time, this one among them."""
    turns = iter(range(items))

    def run(scratch: T) -> None:
        # To take the next turn is one step of the interpreter: no two threads get the same.
        for item in turns:
            do(scratch, item)

    helpers = [_pool().submit(run, scratch) for scratch in scratches[1:]] if items > 1 else []
    try:
        run(scratches[0])
    finally:
        # On a busy machine a helper may come when all is done: nobody waits for one that has not begun.
        begun = [helper for helper in helpers if not helper.cancel()]
        for helper in begun:
            helper.result()


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """Kept: to start a thread takes as long as many of the shares."""
    return ThreadPoolExecutor(MOST_THREADS)
