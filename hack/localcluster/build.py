"""Builds the control plane's binaries from the committed Go modules, once, into the user's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from localcluster.errors import BuildError
from localcluster.golang import find_go
from localcluster.groups import BUILD_FLAGS, CLUSTER_BINARIES, Group, Tool, cache_dir, groups_of
from localcluster.locks import file_lock

ERROR_LINES = 30


def ensure_binaries(names: Iterable[str] = CLUSTER_BINARIES) -> dict[str, Path]:
    """The paths of the named binaries, by name; builds the groups that are not in the cache yet.

    Two callers at once do not build twice: the second waits for the first.

    Raises:
        BuildError: a name is unknown, Go cannot be had, or a build failed.
    """
    names = tuple(names)
    groups = groups_of(names)
    if missing := [group for group in groups if not is_built(group)]:
        _announce(missing)
        for group in missing:
            _build_once(group)
    folders = {tool.name: group.bin_dir() for group in groups for tool in group.tools}
    return {name: folders[name] / name for name in names}


def is_built(group: Group) -> bool:
    """Whether the group's binaries are in the cache, for exactly the modules and flags of this checkout."""
    return all((group.bin_dir() / tool.name).is_file() for tool in group.tools)


def _announce(groups: list[Group]) -> None:
    tools = [tool for group in groups for tool in group.tools]
    minutes = max(1, round(sum(tool.build_seconds for tool in tools) / 60))
    _say(
        f"Building {', '.join(tool.name for tool in tools)} from source: about {minutes} "
        f"minute{'s' if minutes > 1 else ''} on 2 cores, once. They go to {cache_dir()}."
    )


def _build_once(group: Group) -> None:
    target = group.bin_dir().parent
    with file_lock(target.with_suffix(".lock")):
        if not is_built(group):  # another caller may have built it while this one waited
            _build(group, target)


def _build(group: Group, target: Path) -> None:
    """Builds next to the target and renames, so that a broken build never looks like a finished one."""
    go = find_go(group.go_version)
    prefix = f"build-{target.name[:12]}-"
    for leftover in target.parent.glob(f"{prefix}*"):  # of a build that was killed; the lock says nobody uses it
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent, ignore_cleanup_errors=True) as scratch:
        staging = Path(scratch) / "out"
        for number, tool in enumerate(group.tools, start=1):
            with _progress(f"{group.name} {group.version}: {tool.name} ({number} of {len(group.tools)})"):
                _compile(go, group, tool, staging / "bin" / tool.name, Path(scratch) / "go-build")
        if target.exists():
            shutil.rmtree(target)
        staging.rename(target)


def _compile(go: Path, group: Group, tool: Tool, output: Path, build_cache: Path) -> None:
    environment = {
        # Go's build cache grows to gigabytes here and serves no second build: it goes with the scratch folder.
        "GOCACHE": str(build_cache),
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
    }
    command = [str(go), "build", *BUILD_FLAGS, "-ldflags", group.ldflags, "-o", str(output), tool.package]
    outcome = subprocess.run(
        command,
        cwd=group.directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if outcome.returncode:
        tail = "\n".join(outcome.stderr.strip().splitlines()[-ERROR_LINES:])
        raise BuildError(f"building {tool.name} failed: `{' '.join(command)}` in {group.directory} said\n{tail}")


@contextmanager
def _progress(title: str) -> Iterator[None]:
    """Tells what is being built: with a running clock on a terminal, with a line before and after elsewhere."""
    console = Console(stderr=True)
    started = time.monotonic()
    if console.is_terminal:
        with Progress(SpinnerColumn(), TextColumn(title), TimeElapsedColumn(), console=console, transient=True) as bar:
            bar.add_task(title, total=None)
            yield
    else:
        _say(f"  {title} …")
        yield
    _say(f"  {title}: built in {time.monotonic() - started:.0f} s")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
