"""Work shared out to threads. Compiled code lets go of the interpreter's lock, so they run at the same time.

What comes out doesn't depend on the number of threads or on who does what: no part reads what another writes.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

# More would hardly help: the linear programs in between run on one.
MOST_THREADS = 4
THREADS = min(MOST_THREADS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
# Parts for each thread, so that none waits long for the slowest.
PARTS = 6


def share_out(scratches: Sequence[T], items: int, part: Callable[[T, int, int], None]) -> None:
    """Calls part(scratch, first, last) until all items are done, on one thread for each scratch."""
    if len(scratches) == 1 or items < 2:
        part(scratches[0], 0, items)
        return
    size = max(1, -(-items // (PARTS * len(scratches))))
    starts = iter(range(0, items, size))

    def run(scratch: T) -> None:
        # The iterator's next step is one operation of the interpreter: no two threads get the same part.
        for first in starts:
            part(scratch, first, min(items, first + size))

    with ThreadPoolExecutor(len(scratches)) as pool:
        for done in [pool.submit(run, scratch) for scratch in scratches]:
            done.result()
