"""Machine code of the planner that was compiled when the operator's image was built."""

import shutil
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

SHIPPED = Path(sys.prefix, "share", "spotkube", "numba")
"""Where the Dockerfile puts it. It is of use only on the architecture and with the NUMBA_CPU_NAME of the build."""


@cache
def unpack(to: Path, shipped: Path = SHIPPED) -> None:
    """Copies it to where numba looks, for numba wants to write there and an image is read-only.

    Whole or not at all: several processes start at once, and half an index would make numba fail. Where it can't be
    done the code is compiled anew, which takes minutes and is no error.
    """
    if not shipped.is_dir() or to.exists():
        return
    with suppress(OSError):
        to.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=to.parent) as folder:
            shutil.copytree(shipped, Path(folder, to.name)).rename(to)
