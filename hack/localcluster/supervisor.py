"""The process that keeps a cluster's parts: `python -m localcluster.supervisor FOLDER`, run by `LocalCluster.start`.

It lives in a session of its own, so a Ctrl-C in the terminal reaches only its owner. It ends, with everything it
started, on SIGTERM, when its owner is gone (even by SIGKILL) unless the cluster was detached, or when a part dies.
Were it killed itself, the kernel ends the parts.
"""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from localcluster.folders import ClusterFolder
from localcluster.parts import go_environment
from localcluster.processes import ProcessId, death_signal

# kube-apiserver would wait for its watches for a minute; nothing here needs to be kept, so it gets a moment.
STOP_SECONDS = 1.0
STARTING_POLL_SECONDS = 0.05
RUNNING_POLL_SECONDS = 0.25


class Supervisor:
    """Starts the parts in order, watches them, and ends them."""

    def __init__(self, folder: ClusterFolder) -> None:
        self._folder = folder
        self._description: dict[str, Any] = folder.read("cluster.json") or {}
        owner = folder.process("owner")
        self._owner_pid = owner.pid if owner else None  # not getppid(): it may have died a moment ago
        self._parts: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = threading.Event()
        self._die_with_me = death_signal()

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        try:
            return self._keep()
        finally:
            self._end_parts()
            if self._owner_is_gone() and not (self._folder.path / "failed.json").exists():
                self._folder.remove()

    def _keep(self) -> int:
        """Returns 0 when told to end, 1 when a part died."""
        steps = self._steps()
        while not self._stopping.is_set() and not self._is_orphan():
            if dead := next((name for name, part in self._parts.items() if part.poll() is not None), None):
                self._folder.write("failed.json", {"part": dead, "exit_code": self._parts[dead].returncode})
                return 1
            if steps and steps[0]():
                steps.pop(0)
            self._stopping.wait(STARTING_POLL_SECONDS if steps else RUNNING_POLL_SECONDS)
        return 0

    def _steps(self) -> list[Callable[[], bool]]:
        """What start-up consists of: each step is tried until it says that it is done."""
        api = self._description["server"]
        return [
            lambda: self._start(needs_api=False),
            lambda: self._answers(f"{api}/readyz"),
            lambda: self._start(needs_api=True),
            lambda: self._answers(self._description["kwok_health"]),
            # Made by the controller manager; no pod can be created before.
            lambda: self._answers(f"{api}/api/v1/namespaces/default/serviceaccounts/default"),
            self._mark_ready,
        ]

    def _start(self, needs_api: bool) -> bool:
        for part in self._description["parts"]:
            if part["needs_api"] == needs_api:
                with (self._folder.logs / f"{part['name']}.log").open("wb") as log:
                    self._parts[part["name"]] = subprocess.Popen(
                        part["command"],
                        cwd=self._folder.path,
                        env={**go_environment(), **os.environ},
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        preexec_fn=self._die_with_me,  # noqa: PLW1509 - safe: this process has one thread
                    )
        pids = {name: asdict(ProcessId.of(part.pid)) for name, part in self._parts.items()}
        self._folder.write("parts.json", pids)
        return True

    def _mark_ready(self) -> bool:
        self._folder.ready.touch()
        return True

    def _answers(self, url: str) -> bool:
        context = None
        if url.startswith("https:"):
            pki = Path(self._description["pki"])
            context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
            context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(url, timeout=2.0) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stopping.set()

    def _owner_is_gone(self) -> bool:
        return os.getppid() != self._owner_pid

    def _is_orphan(self) -> bool:
        return self._owner_is_gone() and not self._folder.detached.exists()

    def _end_parts(self) -> None:
        """Clients first, so that none of them waits for a server that went before."""
        running = [part for part in reversed(self._parts.values()) if part.poll() is None]
        for part in running:
            part.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for part in running:
            try:
                part.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                part.kill()
                part.wait()


if __name__ == "__main__":
    sys.exit(Supervisor(ClusterFolder(Path(sys.argv[1]))).run())
