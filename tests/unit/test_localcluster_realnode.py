"""A real node's parts, as far as they need no root: what a machine lacks, its image, its cgroups."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest

from localcluster.realnode import cgroups, needs
from localcluster.realnode.images import write_image

VERSION_1 = (
    "cgroup {0}/cpu cgroup rw,cpu 0 0\ncgroup {0}/memory cgroup rw,memory 0 0\ncgroup2 {0}/unified cgroup2 rw 0 0\n"
)
VERSION_2 = "cgroup2 {0}/unified cgroup2 rw,nosuid 0 0\n"


@pytest.fixture
def hierarchies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders that stand for hierarchies of both versions, of which the second has no controllers."""
    for name in ("cpu", "memory", "unified"):
        (tmp_path / name).mkdir()
    use(tmp_path, monkeypatch, VERSION_1)
    return tmp_path


def use(folder: Path, monkeypatch: pytest.MonkeyPatch, mounts: str) -> None:
    (folder / "mounts").write_text(mounts.format(folder))
    monkeypatch.setattr(cgroups, "MOUNTS", folder / "mounts")


def test_image_runs_its_program_and_its_layer_is_what_it_says(tmp_path: Path) -> None:
    program = tmp_path / "witness"
    program.write_bytes(b"binary")
    write_image(tmp_path / "image.tar", "docker.io/owner/name:tag", program)
    with tarfile.open(tmp_path / "image.tar") as archive:
        files = {name: archive.extractfile(name).read() for name in archive.getnames()}
    [manifest], config = (
        json.loads(files["manifest.json"]),
        json.loads(files[json.loads(files["manifest.json"])[0]["Config"]]),
    )
    [layer] = manifest["Layers"]

    assert manifest["RepoTags"] == ["docker.io/owner/name:tag"]
    assert config["config"]["Entrypoint"] == ["/witness"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(files[layer]).hexdigest()}"]


def test_what_is_not_installed_is_named_with_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(needs, "CNI_FOLDERS", (tmp_path,))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    missing = needs.what_is_missing()
    assert "run the test as root" in missing
    assert "apt-get install containerd containernetworking-plugins runc util-linux" in missing


def test_cgroups_are_made_in_each_hierarchy_and_removed_with_what_came_below(hierarchies: Path) -> None:
    with cgroups.own_root() as name:
        (hierarchies / "cpu" / name / "kubepods" / "pod").mkdir(parents=True)
        assert sorted(path.parent.name for path in hierarchies.glob(f"*/{name}")) == ["cpu", "memory", "unified"]
    assert not list(hierarchies.glob(f"*/{name}"))


def test_a_cgroup_that_stays_busy_is_told_of(hierarchies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "REMOVAL_SECONDS", 0.1)
    with pytest.raises(OSError, match="not empty"), cgroups.own_root() as name:
        (hierarchies / "cpu" / name / "busy").touch()  # stands for a process that does not end


def test_cgroups_of_an_owner_that_was_killed_are_swept_away_and_no_others(hierarchies: Path) -> None:
    killed, alive = (f"{cgroups.PREFIX}{owner}-x" for owner in (2**30, os.getpid()))
    for name in (killed, alive):
        (hierarchies / "cpu" / name).mkdir()
    with cgroups.own_root():
        assert not (hierarchies / "cpu" / killed).exists()
    assert (hierarchies / "cpu" / alive).exists()


def test_controllers_of_version_1_are_those_that_are_mounted(hierarchies: Path) -> None:
    assert cgroups.missing_controllers() == ["cpuset", "pids"]


def test_controllers_of_version_2_are_those_that_the_root_passes_on(
    hierarchies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(hierarchies, monkeypatch, VERSION_2)
    (hierarchies / "unified" / "cgroup.subtree_control").write_text("cpuset cpu io memory\n")
    assert cgroups.missing_controllers() == ["pids"]
