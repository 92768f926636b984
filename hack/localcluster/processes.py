"""Telling processes apart (an id alone may have been given to another one meanwhile), and having them end with us."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process id together with when that process started."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        return cls(pid, _start_of(pid) or "")

    def is_alive(self) -> bool:
        """Whether this very process still runs (one that ended but was not waited for does not)."""
        return bool(self.started) and _start_of(self.pid) == self.started

    def signal(self, number: int) -> None:
        """Sends a signal, if the process is still there."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _start_of(pid: int) -> str | None:
    """When a process started, in whatever form the system tells it; None when there is no such process."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            # The second field is the command in brackets and may hold anything, so count from the last bracket.
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


def death_signal() -> Callable[[], None] | None:
    """What a child does before it becomes its program: asks the kernel (Linux) to be killed when this process dies."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)  # loaded here: nothing may be loaded between fork and exec
    parent_pid = os.getpid()

    def die_with_parent() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it died before the kernel was asked
            os._exit(1)

    return die_with_parent
