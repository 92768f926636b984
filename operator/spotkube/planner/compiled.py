"""The decorator of the hot path: numba, with the machine code kept on disk where there is a place for it."""

import os
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from spotkube.planner.shipped import unpack

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compiles at the first call, without fastmath: the same input gives the same bits.

    numba caches beside the module or in the user's cache folder; on a read-only file system neither may exist, and then
    each process compiles for itself. In the operator's image the code was compiled when that was built.
    """
    if folder := os.environ.get("NUMBA_CACHE_DIR"):
        unpack(Path(folder))
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
def _stamp() -> str:
    """The sources beside this file that are compiled, as one hash: copies of them have other times."""
    sources = (file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))
    return sha256(b"".join(source for source in sources if b"@compiled" in source)).hexdigest()


@compiled
def copy(to: "NDArray[np.generic]", source: "NDArray[np.generic]") -> None:
    """Element by element: numba needs a second to compile each assignment of a slice, for its error message."""
    for i in range(len(source)):
        to[i] = source[i]
