"""What decides whether the control plane is built anew, and what the builds are told."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from localcluster import groups
from localcluster.errors import BuildError
from localcluster.groups import CLUSTER_BINARIES, GROUPS, Group, Tool, cache_dir, group_of, groups_of


@pytest.fixture
def etcd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Group:
    """The etcd group, on a copy of its module that a test may change."""
    group = group_of("etcd")
    shutil.copytree(group.directory, tmp_path / group.name)
    monkeypatch.setattr(groups, "CONTROLPLANE_DIR", tmp_path)
    return group


def test_cache_key_is_the_same_for_the_same_content(etcd: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    key = etcd.cache_key()
    monkeypatch.undo()
    assert key == etcd.cache_key()


@pytest.mark.parametrize("file", ["go.mod", "go.sum"])
def test_cache_key_follows_the_module_files(etcd: Group, file: str) -> None:
    before = etcd.cache_key()
    with (etcd.directory / file).open("a") as handle:
        handle.write("\n")
    assert etcd.cache_key() != before


def test_cache_key_follows_the_list_of_tools(etcd: Group) -> None:
    more = replace(etcd, tools=(*etcd.tools, Tool("etcdctl", "go.etcd.io/etcd/etcdctl/v3", 10)))
    assert more.cache_key() != etcd.cache_key()


def test_cache_key_follows_the_flags(etcd: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    before = etcd.cache_key()
    monkeypatch.setattr(groups, "BUILD_FLAGS", ("-race",))
    assert etcd.cache_key() != before


def test_groups_have_keys_of_their_own() -> None:
    assert len({group.cache_key() for group in GROUPS}) == len(GROUPS)


def test_cache_stands_where_the_user_wants_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_dir() == Path("/caches/spotkube/controlplane")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_dir() == Path("/home/me/.cache/spotkube/controlplane")


def test_kubernetes_is_told_its_version() -> None:
    kubernetes = group_of("kubectl")
    major, minor, _ = kubernetes.version.removeprefix("v").split(".")
    assert f"-X k8s.io/component-base/version.gitVersion={kubernetes.version}" in kubernetes.ldflags
    assert f"-X k8s.io/component-base/version.gitMajor={major} " in kubernetes.ldflags
    assert f"-X k8s.io/component-base/version.gitMinor={minor} " in kubernetes.ldflags


def test_a_kubelet_is_of_the_same_release_as_the_control_plane() -> None:
    assert group_of("kubelet").version == group_of("kube-apiserver").version


@pytest.mark.parametrize("tool", ["kube-apiserver", "kubelet"])
def test_every_staging_module_is_replaced_by_the_version_of_the_kubernetes_release(tool: str) -> None:
    kubernetes = group_of(tool)
    staging = kubernetes.version.replace("v1.", "v0.", 1)
    lines = [line.split() for line in kubernetes.go_mod.splitlines() if "=>" in line]
    assert len(lines) >= 31
    assert all(before == after and version == staging for before, _, after, version in lines)


def test_cache_key_follows_our_own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = group_of("schedulercheck")
    shutil.copytree(group.directory, tmp_path / group.module)
    monkeypatch.setattr(groups, "CONTROLPLANE_DIR", tmp_path)
    before, kubernetes = group.cache_key(), group_of("kubectl").cache_key()
    with (tmp_path / group.module / "schedulercheck" / "main.go").open("a") as handle:
        handle.write("\n")
    assert group.cache_key() != before
    assert group_of("kubectl").cache_key() == kubernetes


@pytest.mark.parametrize("group", [group for group in GROUPS if not group.sources], ids=lambda group: group.name)
def test_module_lists_exactly_the_tools_that_are_built(group: Group) -> None:
    text = group.go_mod
    block = text.partition("tool (")[2].partition(")")[0] if "tool (" in text else text.partition("tool ")[2].split()[0]
    assert set(block.split()) == {tool.package for tool in group.tools}


def test_helm_is_not_built_unless_asked_for() -> None:
    assert [group.name for group in groups_of(CLUSTER_BINARIES)] == ["etcd", "kubernetes", "kwok"]
    assert [group.name for group in groups_of(["helm"])] == ["helm"]


def test_unknown_tool_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BuildError, match="'kube-proxy'; there are etcd, kube-apiserver"):
        group_of("kube-proxy")


def test_module_without_the_requirement_is_refused(etcd: Group) -> None:
    (etcd.directory / "go.mod").write_text("module x\n")
    with pytest.raises(BuildError, match=r"does not require go\.etcd\.io/etcd/server/v3"):
        _ = etcd.version
