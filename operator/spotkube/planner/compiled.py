"""The decorator of the hot path: numba, with the machine code kept on disk where there is a place for it."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compiles at the first call, without fastmath: the same input gives the same bits.

    numba caches beside the module or in the user's cache folder; on a read-only file system neither may exist, and then
    each process compiles for itself.
    """
    try:
        dispatcher = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    except RuntimeError:
        return cast("Callable[P, R]", numba.njit(error_model="numpy", nogil=True)(function))
    # numba looks at the function's own file alone, but its machine code contains that of functions in other files: a
    # change in any of them has to count.
    index = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if index is not None and hasattr(index, "_source_stamp"):
        index._source_stamp = _stamp()
    return cast("Callable[P, R]", dispatcher)


@cache
def _stamp() -> tuple[float, int]:
    """Latest change and total size of the sources beside this file that are compiled."""
    sources = [file for file in Path(__file__).parent.glob("*.py") if b"@compiled" in file.read_bytes()]
    states = [file.stat() for file in sources]
    return max(state.st_mtime for state in states), sum(state.st_size for state in states)


@compiled
def copy(to: "NDArray[np.generic]", source: "NDArray[np.generic]") -> None:
    """Element by element: numba needs a second to compile each assignment of a slice, for its error message."""
    for i in range(len(source)):
        to[i] = source[i]
