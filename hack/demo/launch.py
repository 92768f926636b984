"""Starts the fake cloud and the operator as the processes that users would start; the end-to-end tests do it so too."""

from __future__ import annotations

import socket
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from demo.errors import DemoError
from demo.helpers import Helper

CLOUD, OPERATOR = "fake cloud", "operator"
LOOPBACK = "127.0.0.1"
START_SECONDS = 60.0
POLL_SECONDS = 0.1


def launch_cloud(kubeconfig: Path, folder: Path, *options: str, keep: bool = False) -> tuple[Helper, str]:
    """Starts the fake cloud, which keeps its state in `folder` and goes on from it; returns it with its URL.

    Raises:
        DemoError: it did not start; holds the end of its log.
    """
    port_file = folder / "cloud.port"
    port_file.unlink(missing_ok=True)
    args = [f"--state={folder / 'cloud.db'}", f"--kubeconfig={kubeconfig}", f"--port-file={port_file}", *options]
    cloud = Helper(CLOUD, "spotkube.providers.local", args, folder / "cloud.log", keep=keep)
    _wait(cloud, port_file.exists)
    return cloud, f"http://{LOOPBACK}:{port_file.read_text().strip()}"


def launch_operator(
    kubeconfig: Path,
    namespace: str,
    cloud_url: str,
    log: Path,
    *options: str,
    keep: bool = False,
    program: Sequence[str] = ("spotkube",),
) -> Helper:
    """Starts the operator with the rights of `kubeconfig` and its Lease in `namespace`; returns when it is ready.

    `program` is a module that runs the operator, with its own arguments.

    Raises:
        DemoError: it did not start; holds the end of its log.
    """
    port = free_port()
    module, *own = program
    args = [*own, "run", f"--kubeconfig={kubeconfig}", f"--namespace={namespace}", f"--provider-url={cloud_url}"]
    args += [f"--health-port={port}", "--log-format=human", *options]
    operator = Helper(OPERATOR, module, args, log, keep=keep)
    _wait(operator, lambda: _answers(f"http://{LOOPBACK}:{port}/readyz"))
    return operator


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(helper: Helper, came_true: Callable[[], bool]) -> None:
    """Ends a helper that does not become ready: nobody else would know of it."""
    deadline = time.monotonic() + START_SECONDS
    try:
        while not came_true():
            helper.check()
            if time.monotonic() > deadline:
                raise DemoError(f"{helper.name} was not ready after {START_SECONDS:.0f} s; its log:\n{helper.tail()}")
            time.sleep(POLL_SECONDS)
    except BaseException:
        helper.stop()
        raise


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:  # also URLError and answers that say "not yet"
        return False
