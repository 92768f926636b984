"""What callers use: a real node that joins a cluster, and is cut off like a machine that the cloud takes back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localcluster.build import ensure_binaries
from localcluster.errors import LocalClusterError, PartError
from localcluster.processes import death_signal
from localcluster.realnode import cgroups, settings
from localcluster.realnode.images import write_image
from localcluster.realnode.needs import cni_folder, what_is_missing

MACHINE = Path(__file__).resolve().parent / "machine.sh"
# A tag that is not `latest`, so that nobody looks for a newer one; pods name it with imagePullPolicy Never.
WITNESS_IMAGE = "docker.io/spotkube/witness:local"
NAMESPACES = ("--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc")
LOG_LINES = 25


@dataclass(frozen=True, slots=True)
class Registration:
    """What a cloud tells its machine of the Node that it is to be. Taints as the API has them."""

    name: str
    provider_id: str
    labels: Mapping[str, str]
    taints: Sequence[Mapping[str, str]]


class RealNode:
    """The processes of a node, which may be killed at any time; see `join`."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self._process = process

    def check(self) -> None:
        """Raises PartError if it died by itself."""
        if (code := self._process.poll()) is not None:
            raise PartError(
                "kubelet", f"ended with code {code}", self._log_tail("kubelet") or self._log_tail("machine")
            )

    def _log_tail(self, part: str) -> str:
        path = self.folder / f"{part}.log"
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return "\n".join(text.splitlines()[-LOG_LINES:])

    def kill(self) -> None:
        """Cuts the power: kubelet, containerd and all containers are gone, without a word to anybody."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def join(folder: Path, kubeconfig: Path, registration: Registration) -> Iterator[RealNode]:
    """Starts a node that registers itself; whether it is Ready, the cluster tells. `folder` is new, and keeps its logs.

    The kubeconfig is an admin's: local clusters have no authorizer for nodes.

    Raises:
        LocalClusterError: this machine can't run containers; says what is missing.
        BuildError: a binary can't be built.
    """
    if missing := what_is_missing():
        raise LocalClusterError(f"no real node can run here: {missing}")
    binaries = ensure_binaries(("kubelet", "witness"))
    with cgroups.own_root() as cgroup:
        command = _prepare(folder, kubeconfig, registration, binaries, cgroup)
        node = RealNode(folder, _start(folder, command))
        try:
            yield node
        finally:
            node.kill()


def _prepare(
    folder: Path, kubeconfig: Path, registration: Registration, binaries: Mapping[str, Path], cgroup: str
) -> list[str]:
    """Writes all that the node reads; returns the command of its kubelet."""
    plugins = cni_folder()
    assert plugins is not None
    folder.mkdir()
    write_image(folder / "image.tar", WITNESS_IMAGE, binaries["witness"])
    settings.write_containerd(folder, WITNESS_IMAGE, plugins)
    settings.write_cni(folder)
    taints = [dict(taint) for taint in registration.taints]
    configuration = settings.write_kubelet(folder, cgroup, _free_port(), registration.provider_id, taints)
    labels = ",".join(f"{key}={value}" for key, value in registration.labels.items())
    return [
        str(binaries["kubelet"]),
        f"--config={configuration}",
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={registration.name}",
        f"--node-labels={labels}",
    ]


def _start(folder: Path, kubelet: list[str]) -> subprocess.Popen[bytes]:
    with (folder / "machine.log").open("wb") as log:
        return subprocess.Popen(
            ["unshare", *NAMESPACES, str(MACHINE), str(folder), *kubelet],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True,  # a process group of its own, for `kill`
            preexec_fn=death_signal(),  # noqa: PLW1509 - no other thread runs here
        )  # fmt: skip


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
