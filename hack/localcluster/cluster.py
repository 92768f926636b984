"""What callers use: a cluster of one's own (`LocalCluster`), or one that is there already (`Cluster`)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from localcluster.build import ensure_binaries
from localcluster.errors import KubectlError, LocalClusterError, PartError
from localcluster.folders import ClusterFolder, cluster_folders, sweep
from localcluster.parts import ALL_CONTROLLERS, Ports, control_plane
from localcluster.pki import create_pki

HACK_DIR = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.05
START_ATTEMPTS = 3
PORT_TAKEN = "address already in use"


class Cluster:
    """A Kubernetes cluster that a kubeconfig file leads to."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return self.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")

    def binary(self, name: str) -> Path:
        """The path of a tool (`kubectl`, `helm`): the machine's own if it has it, else built here."""
        on_path = shutil.which(name)
        return Path(on_path) if on_path else ensure_binaries((name,))[name]

    def kubectl(self, *args: str, input: str | None = None, check: bool = True) -> str:
        """Runs kubectl against this cluster; returns what it prints (with `check=False` its complaints too).

        Raises:
            KubectlError: kubectl failed and `check` is set.
        """
        outcome = subprocess.run(
            [self.binary("kubectl"), f"--kubeconfig={self.kubeconfig}", *args],
            input=input, capture_output=True, text=True, check=False,
            env={**os.environ, "KUBECTL_KUBERC": "false"},  # the user's own kubectl preferences stay out of tests
        )  # fmt: skip
        if outcome.returncode == 0:
            return outcome.stdout
        if check:
            raise KubectlError(f"`kubectl {' '.join(args)}` failed: {outcome.stderr.strip()}")
        return outcome.stdout + outcome.stderr


class LocalCluster(Cluster):
    """A control plane of one's own on loopback; a context manager that leaves nothing behind."""

    def __init__(self, folder: ClusterFolder, server: str, binaries: Mapping[str, Path]) -> None:
        super().__init__(folder.kubeconfig)
        self._folder = folder
        self._server = server
        self._binaries = dict(binaries)
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._is_detached = False

    @classmethod
    def start(
        cls, parent_dir: Path | None = None, *, name: str | None = None, controllers: str = ALL_CONTROLLERS
    ) -> Self:
        """Starts a cluster and returns when it is ready to use; builds its binaries first if need be.

        It ends when `stop` is called or this process ends, in whatever way. `parent_dir` (default: the system's
        temporary folder) gets a private folder for its files; `name` is shown by `python -m localcluster status`.
        `controllers` are those of kube-controller-manager that run, as its flag takes them; serviceaccount-controller
        must be among them.

        Raises:
            BuildError: the binaries cannot be built.
            PartError: a part did not start; tells which, and the end of its log.
        """
        binaries = ensure_binaries()
        parent = Path(parent_dir or tempfile.gettempdir())
        parent.mkdir(parents=True, exist_ok=True)
        sweep(parent)
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                return cls._start_once(parent, name, binaries, controllers)
            except PartError as error:
                # Ports are found free but cannot be reserved: another process may have been quicker.
                if PORT_TAKEN not in error.log_tail or attempt == START_ATTEMPTS:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    @classmethod
    def _start_once(cls, parent: Path, name: str | None, binaries: Mapping[str, Path], controllers: str) -> Self:
        folder = ClusterFolder.create(parent)
        folder.write_process("owner", os.getpid())
        ports = Ports.free()
        cluster = cls(folder, f"https://127.0.0.1:{ports.api}", binaries)
        try:
            pki = create_pki(folder.path / "pki")
            description = {
                "name": name or folder.path.name,
                "server": cluster.server,
                "kwok_health": f"http://127.0.0.1:{ports.kwok}/healthz",
                "pki": str(pki.directory),
                "parts": [asdict(part) for part in control_plane(folder.path, binaries, pki, ports, controllers)],
            }
            folder.write("cluster.json", description)
            cluster._start_supervisor()
            cluster._wait_until_ready()
        except BaseException:  # also Ctrl-C
            cluster.stop()
            raise
        return cluster

    def _start_supervisor(self) -> None:
        with (self._folder.logs / "supervisor.log").open("wb") as log:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "localcluster.supervisor", str(self._folder.path)],
                env={**os.environ, "PYTHONPATH": str(HACK_DIR)},
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self._folder.write_process("supervisor", self._supervisor.pid)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._folder.ready.exists():
            self.check()
            if time.monotonic() > deadline:
                part = "kube-apiserver" if not (self._folder.logs / "kwok.log").exists() else "kube-controller-manager"
                raise PartError(part, f"was not ready after {START_SECONDS:.0f} s", self._folder.log_tail(part))
            time.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Raises PartError if a part of the cluster died."""
        if death := _death_of(self._folder):
            raise death
        if self._supervisor is not None and (code := self._supervisor.poll()) is not None:
            raise PartError("supervisor", f"ended with code {code}", self._folder.log_tail("supervisor"))

    @property
    def directory(self) -> Path:
        """The private folder with the cluster's files; its logs are in `logs/`."""
        return self._folder.path

    @property
    def server(self) -> str:
        return self._server

    def binary(self, name: str) -> Path:
        """The path of a tool of the same build, such as `kubectl`; `helm` is built when first asked for."""
        if name not in self._binaries:
            self._binaries.update(ensure_binaries((name,)))
        return self._binaries[name]

    def kubectl(self, *args: str, input: str | None = None, check: bool = True) -> str:
        try:
            return super().kubectl(*args, input=input, check=check)
        except KubectlError:
            self.check()  # "connection refused" says less than the log of the part that died
            raise

    def detach(self) -> None:
        """Lets the cluster outlive this process; `python -m localcluster down` ends it."""
        self._folder.detached.touch()
        self._is_detached = True

    def stop(self) -> None:
        """Ends all processes of the cluster and removes its folder, unless it was detached. May be called twice."""
        if self._is_detached:
            return
        if self._supervisor is not None:
            self._supervisor.terminate()
            try:
                self._supervisor.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._supervisor.kill()  # its parts die with it
                self._supervisor.wait()
            self._supervisor = None
            self._folder.kill_parts()
        self._folder.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def running(parent_dir: Path | None = None) -> list[ClusterFolder]:
    """The clusters of this user that run now, whoever started them."""
    parent = Path(parent_dir or tempfile.gettempdir())
    return [folder for folder in cluster_folders(parent) if folder.is_running()]


def stop_running(folder: ClusterFolder) -> None:
    """Ends a cluster that another process started.

    Raises:
        LocalClusterError: its supervisor did not end.
    """
    supervisor = folder.process("supervisor")
    if supervisor is not None:
        supervisor.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while supervisor.is_alive():
            if time.monotonic() > deadline:
                raise LocalClusterError(f"process {supervisor.pid} does not end: stop it by hand and try again")
            time.sleep(POLL_SECONDS)
    folder.kill_parts()
    folder.remove()


def _death_of(folder: ClusterFolder) -> PartError | None:
    failed = folder.read("failed.json")
    if failed is None:
        return None
    return PartError(failed["part"], f"ended with code {failed['exit_code']}", folder.log_tail(failed["part"]))
