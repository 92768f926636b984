"""The cgroups that the pods of a real node live in: below one name of its own, in each hierarchy that is mounted."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = "spotkube-node-"
MOUNTS = Path("/proc/self/mounts")
# What a kubelet asks for, of both versions.
NEEDED = ("cpu", "cpuset", "memory", "pids")
REMOVAL_SECONDS = 10.0
POLL_SECONDS = 0.05


@contextlib.contextmanager
def own_root() -> Iterator[str]:
    """The name of a cgroup in all hierarchies, which a kubelet wants to be there; removed with all that is below it.

    Raises:
        OSError: in the end a process in it still lives.
    """
    _sweep()
    name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    try:
        for hierarchy in _hierarchies():
            (hierarchy / name).mkdir()
        yield name
    finally:
        _remove(name)


def _sweep() -> None:
    """Removes what those left behind who were killed themselves."""
    for path in [path for hierarchy in _hierarchies() for path in hierarchy.glob(f"{PREFIX}*")]:
        owner = path.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            with contextlib.suppress(OSError):
                _remove_tree(path)


def _remove(name: str) -> None:
    deadline = time.monotonic() + REMOVAL_SECONDS
    for hierarchy in _hierarchies():
        while (hierarchy / name).exists():
            try:
                _remove_tree(hierarchy / name)
            except OSError:  # busy: the kernel is still ending what was killed
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)


def missing_controllers() -> list[str]:
    """Those a kubelet needs and can't have here."""
    hierarchies = _hierarchies()
    if not hierarchies or not all(os.access(each, os.W_OK) for each in hierarchies):
        return list(NEEDED)
    if version_1 := _mounts("cgroup"):
        found = [option for _, options in version_1 for option in options]
    else:  # a controller is to be had below the root only where the root passes it on
        found = (hierarchies[0] / "cgroup.subtree_control").read_text(encoding="utf-8").split()
    return [each for each in NEEDED if each not in found]


def _hierarchies() -> list[Path]:
    """Of both versions: where both are mounted, runc makes cgroups in both."""
    return [path for path, _ in (*_mounts("cgroup"), *_mounts("cgroup2"))]


def _mounts(kind: str) -> list[tuple[Path, list[str]]]:
    """Mount point and options of all file systems of a kind."""
    fields = [line.split() for line in MOUNTS.read_text(encoding="utf-8").splitlines()]
    return [(Path(path), options.split(",")) for _, path, type_, options, *_ in fields if type_ == kind]


def _remove_tree(folder: Path) -> None:
    """Files in it go with their folder, and can't be deleted."""
    for inner in [each for each in folder.iterdir() if each.is_dir()]:
        _remove_tree(inner)
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()
