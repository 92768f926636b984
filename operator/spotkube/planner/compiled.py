"""The decorator of the hot path: numba, with the machine code kept on disk where there is a place for it."""

from collections.abc import Callable
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
        return cast("Callable[P, R]", numba.njit(cache=True, error_model="numpy")(function))
    except RuntimeError:
        return cast("Callable[P, R]", numba.njit(error_model="numpy")(function))


@compiled
def copy(to: "NDArray[np.generic]", source: "NDArray[np.generic]") -> None:
    """Element by element: numba needs a second to compile each assignment of a slice, for its error message."""
    for i in range(len(source)):
        to[i] = source[i]
