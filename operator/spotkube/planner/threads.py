"""Work shared out to threads. Compiled code lets go of the interpreter's lock, so they run at the same time.

What comes out doesn't depend on the number of threads or on who does what: no item reads what another writes.
"""

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
    """Calls do(scratch, item) for items 0 to items - 1, on one thread for each scratch."""
    turns = iter(range(items))

    def run(scratch: T) -> None:
        # To take the next turn is one step of the interpreter: no two threads get the same.
        for item in turns:
            do(scratch, item)

    if len(scratches) == 1 or items < 2:
        run(scratches[0])
        return
    with ThreadPoolExecutor(len(scratches)) as pool:
        for done in [pool.submit(run, scratch) for scratch in scratches]:
            done.result()
