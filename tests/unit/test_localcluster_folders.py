"""The folder of a cluster: what it tells about a dead one, and when it is swept away."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from localcluster.errors import PartError
from localcluster.folders import UNFINISHED_SECONDS, ClusterFolder, cluster_folders, sweep
from localcluster.pki import create_pki
from localcluster.processes import ProcessId


@pytest.fixture
def folder(tmp_path: Path) -> ClusterFolder:
    return ClusterFolder.create(tmp_path)


@pytest.fixture
def dead() -> ProcessId:
    process = subprocess.Popen(["sleep", "60"])
    identity = ProcessId.of(process.pid)
    process.kill()
    process.wait()
    return identity


def test_folder_and_keys_are_private(folder: ClusterFolder) -> None:
    pki = create_pki(folder.path / "pki")
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert pki.directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in pki.directory.iterdir()} == {0o600}


def test_log_tail_is_the_last_lines_whatever_their_bytes(folder: ClusterFolder) -> None:
    (folder.logs / "etcd.log").write_bytes(b"".join(b"line %d \xff\n" % number for number in range(100)))
    assert folder.log_tail("etcd", lines=2).splitlines() == ["line 98 \ufffd", "line 99 \ufffd"]
    assert folder.log_tail("kwok") == ""


def test_part_error_names_the_part_and_shows_its_log() -> None:
    text = str(PartError("etcd", "ended with code 2", "bind: address already in use"))
    assert text == "etcd ended with code 2; the end of its log:\nbind: address already in use"
    assert "its log is empty" in str(PartError("etcd", "ended with code 2", ""))


def test_running_process_is_alive_and_another_one_with_its_id_is_not() -> None:
    me = ProcessId.of(os.getpid())
    assert me.is_alive()
    assert not ProcessId(me.pid, started="1").is_alive()


def test_ended_process_is_not_alive_before_it_is_waited_for() -> None:
    process = subprocess.Popen(["sleep", "60"])
    identity = ProcessId.of(process.pid)
    assert identity.is_alive()
    process.kill()
    deadline = time.monotonic() + 10
    while identity.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not identity.is_alive()
    process.wait()


def test_cluster_of_dead_processes_is_swept_with_its_parts(folder: ClusterFolder, dead: ProcessId) -> None:
    part = subprocess.Popen(["sleep", "60"])
    folder.write("owner.json", asdict(dead))
    folder.write("supervisor.json", asdict(dead))
    folder.write("parts.json", {"etcd": asdict(ProcessId.of(part.pid))})
    assert sweep(folder.path.parent) == [folder.path]
    assert not folder.path.exists()
    assert part.wait(timeout=10) == -9


@pytest.mark.parametrize("living", ["owner", "supervisor"])
def test_cluster_that_somebody_looks_after_stays(folder: ClusterFolder, dead: ProcessId, living: str) -> None:
    for role in ("owner", "supervisor"):
        folder.write(f"{role}.json", asdict(ProcessId.of(os.getpid()) if role == living else dead))
    assert sweep(folder.path.parent) == []
    assert folder.path.exists()


def test_folder_that_is_being_made_stays_and_a_forgotten_one_goes(folder: ClusterFolder) -> None:
    assert sweep(folder.path.parent) == []
    long_ago = time.time() - UNFINISHED_SECONDS - 1
    os.utime(folder.path, (long_ago, long_ago))
    assert sweep(folder.path.parent) == [folder.path]


def test_other_folders_are_nobodys_clusters(tmp_path: Path) -> None:
    (tmp_path / "somebody-elses").mkdir()
    assert list(cluster_folders(tmp_path)) == []
