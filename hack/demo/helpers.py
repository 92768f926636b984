"""Processes beside the demo: the fake cloud, the operator, and on kind KWOK. None outlives the demo unless kept."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from demo.errors import DemoError

REPOSITORY = Path(__file__).resolve().parents[2]
STOP_SECONDS = 10.0
TAIL_LINES = 15
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Helper:
    """A Python module run as a process of its own, with its output in a file."""

    def __init__(self, name: str, module: str, args: Sequence[str], log: Path, *, keep: bool) -> None:
        """`keep` lets it outlive this process; else the kernel ends it should this process be killed (on Linux)."""
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *args],
                env=_environment(),
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C reaches the demo only, which ends its helpers in order
                preexec_fn=None if keep else _death_signal(),  # noqa: PLW1509 - no other thread runs here
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def check(self) -> None:
        """Raises DemoError if the process has ended."""
        if (code := self._process.poll()) is not None:
            raise DemoError(f"{self.name} ended with code {code}; the end of its log:\n{self.tail()}")

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """Ends the process, by force if it does not listen."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Ends the process as a crash would: it gets no chance to tidy up."""
        self._process.kill()
        self._process.wait()


def run_python(*args: str) -> str:
    """Runs Python with these arguments in the project's environment; returns what it prints.

    Raises:
        DemoError: it failed; holds what it wrote to stderr.
    """
    outcome = subprocess.run(
        [sys.executable, *args],
        env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if outcome.returncode:
        raise DemoError(f"`python {' '.join(args)}` failed: {outcome.stderr.strip()}")
    return outcome.stdout


def _environment() -> dict[str, str]:
    """This process's environment, without settings for an operator elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPOTKUBE_")}
    return kept | {"PYTHONPATH": f"{REPOSITORY / 'operator'}:{REPOSITORY / 'hack'}", "PYTHONUNBUFFERED": "1"}


def _death_signal() -> Callable[[], object] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
