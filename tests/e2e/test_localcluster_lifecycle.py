"""Clusters start side by side, say which part failed, and leave nothing behind however they end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from localcluster.cluster import LocalCluster
from localcluster.errors import KubectlError, PartError
from localcluster.folders import ClusterFolder, cluster_folders
from localcluster.processes import ProcessId
from support import wait_until

HACK = Path(__file__).resolve().parents[2] / "hack"

pytestmark = pytest.mark.cluster


@pytest.fixture
def parent_dir(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An empty folder for the clusters that a test starts."""
    if request.config.getoption("--kubeconfig"):
        pytest.skip("starts local clusters of its own; --kubeconfig asks for another one")
    return tmp_path


def test_two_clusters_side_by_side_share_nothing(parent_dir: Path) -> None:
    with LocalCluster.start(parent_dir) as one, LocalCluster.start(parent_dir) as other:
        assert one.server != other.server
        assert one.directory.stat().st_mode & 0o777 == 0o700
        one.kubectl("create", "namespace", "only-here")
        assert "only-here" not in other.kubectl("get", "namespaces")
    assert not list(parent_dir.iterdir())


def test_nothing_is_left_after_its_owner_was_killed(parent_dir: Path) -> None:
    owner, folder = start_in_another_process(parent_dir)
    processes = processes_of(folder)
    owner.kill()
    owner.wait()
    wait_until(lambda: not folder.path.exists(), 20, "the folder is gone")
    assert not [each for each in processes if each.is_alive()]


def test_nothing_is_left_after_ctrl_c(parent_dir: Path) -> None:
    owner, folder = start_in_another_process(parent_dir)
    processes = processes_of(folder)
    owner.send_signal(signal.SIGINT)
    owner.wait(timeout=20)
    assert not folder.path.exists()
    assert not [each for each in processes if each.is_alive()]


def test_next_start_sweeps_what_a_killed_supervisor_left(parent_dir: Path) -> None:
    owner, folder = start_in_another_process(parent_dir)
    processes = processes_of(folder)
    supervisor = folder.process("supervisor")
    assert supervisor is not None
    owner.kill()
    supervisor.signal(signal.SIGKILL)
    owner.wait()
    wait_until(lambda: not [each for each in processes if each.is_alive()], 20, "the parts died with their supervisor")
    with LocalCluster.start(parent_dir) as cluster:
        assert [each.path for each in cluster_folders(parent_dir)] == [cluster.directory]


def test_part_that_dies_is_named_with_the_end_of_its_log(parent_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localcluster.parts.NODE_LEASE_SECONDS", "many")
    with pytest.raises(PartError, match="kwok ended with code 1") as caught:
        LocalCluster.start(parent_dir)
    assert "node-lease-duration-seconds" in str(caught.value), "its log, which says what it disliked, is not shown"
    assert not list(parent_dir.iterdir())


def test_part_that_dies_later_is_named_by_the_next_kubectl(parent_dir: Path) -> None:
    with LocalCluster.start(parent_dir) as cluster:
        etcd = processes_of(ClusterFolder(cluster.directory))[0]
        etcd.signal(signal.SIGKILL)

        def fails_for_good() -> bool:
            with contextlib.suppress(KubectlError):  # until the supervisor has seen it, a fraction of a second
                cluster.kubectl("get", "namespaces", "--request-timeout=1s")
            return False

        with pytest.raises(PartError, match="etcd ended with code -9"):
            wait_until(fails_for_good, 20, "the death of etcd is reported")


def start_in_another_process(parent: Path) -> tuple[subprocess.Popen[bytes], ClusterFolder]:
    program = "import sys, time; from localcluster.cluster import LocalCluster\n" + (
        "with LocalCluster.start(sys.argv[1]):\n    time.sleep(300)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(parent)],
        env={**os.environ, "PYTHONPATH": str(HACK)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    folder = wait_until(lambda: next((f for f in cluster_folders(parent) if f.ready.exists()), None), 60, "it is ready")
    return owner, folder


def processes_of(folder: ClusterFolder) -> list[ProcessId]:
    parts = [ProcessId(**part) for part in (folder.read("parts.json") or {}).values()]
    assert len(parts) == 5
    assert all(part.is_alive() for part in parts)
    return parts
