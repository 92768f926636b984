"""What is built from which Go module.

There is one small module (a folder of `hack/controlplane`) for each group of tools whose dependencies agree.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import BuildError

CONTROLPLANE_DIR = Path(__file__).resolve().parent.parent / "controlplane"

# `-mod=readonly`: the committed go.mod and go.sum decide, nothing is resolved anew.
BUILD_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")
STRIP_LDFLAGS = "-s -w"


@dataclass(frozen=True, slots=True)
class Tool:
    """One binary: its name, the Go package of its `main`, and about how long a cold build takes on two cores."""

    name: str
    package: str
    build_seconds: int


@dataclass(frozen=True, slots=True)
class Group:
    """Tools that are built from one Go module; `version_module` is the requirement whose version they report.

    `module` is the module's folder where it is not the group's name, `sources` the folders in it with code of ours.
    """

    name: str
    tools: tuple[Tool, ...]
    version_module: str
    version_packages: tuple[str, ...] = ()
    module: str = ""
    sources: tuple[str, ...] = ()

    @property
    def directory(self) -> Path:
        return CONTROLPLANE_DIR / (self.module or self.name)

    @property
    def go_mod(self) -> str:
        return (self.directory / "go.mod").read_text(encoding="utf-8")

    @property
    def version(self) -> str:
        """The version that go.mod pins, such as `v1.36.3`."""
        match = re.search(rf"^\s*(?:require )?{re.escape(self.version_module)} (v\S+)", self.go_mod, re.MULTILINE)
        if match is None:
            raise BuildError(
                f"{self.directory / 'go.mod'} does not require {self.version_module}: run `go get` there again"
            )
        return match.group(1)

    @property
    def go_version(self) -> tuple[int, ...]:
        """The lowest Go release that go.mod accepts."""
        match = re.search(r"^go (\d+(?:\.\d+)*)", self.go_mod, re.MULTILINE)
        if match is None:
            raise BuildError(f"{self.directory / 'go.mod'} has no `go` line")
        return tuple(int(part) for part in match.group(1).split("."))

    @property
    def ldflags(self) -> str:
        """Linker flags; without the versions Kubernetes calls itself v0.0.0 and clients refuse or misjudge it."""
        major, minor, *_ = self.version.removeprefix("v").split(".")
        values = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor}
        settings = [f"-X {package}.{key}={value}" for package in self.version_packages for key, value in values.items()]
        return " ".join([STRIP_LDFLAGS, *settings])

    def cache_key(self) -> str:
        """SHA-256 over all that decides what the binaries are: go.mod, go.sum, flags, list of tools, our own code."""
        digest = hashlib.sha256()
        parts = [
            (self.directory / "go.mod").read_bytes(),
            (self.directory / "go.sum").read_bytes(),
            " ".join([*BUILD_FLAGS, self.ldflags]).encode(),
            "\n".join(f"{tool.name} {tool.package}" for tool in self.tools).encode(),
        ]
        files = [file for folder in self.sources for file in sorted((self.directory / folder).glob("*.go"))]
        parts += [part for file in files for part in (file.name.encode(), file.read_bytes())]
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)  # the length keeps neighbours apart
        return digest.hexdigest()

    def bin_dir(self) -> Path:
        return cache_dir() / self.cache_key() / "bin"


GROUPS = (
    Group(
        "etcd",
        (Tool("etcd", "go.etcd.io/etcd/server/v3", 20),),
        version_module="go.etcd.io/etcd/server/v3",
    ),
    Group(
        "kubernetes",
        (
            Tool("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", 222),
            Tool("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", 62),
            Tool("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", 5),
            Tool("kubectl", "k8s.io/kubernetes/cmd/kubectl", 50),
        ),
        version_module="k8s.io/kubernetes",
        version_packages=("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"),
    ),
    Group(
        "schedulercheck",
        (Tool("schedulercheck", "./schedulercheck", 200),),
        version_module="k8s.io/kubernetes",
        module="kubernetes",
        sources=("schedulercheck",),
    ),
    Group(
        "kubelet",
        (Tool("kubelet", "k8s.io/kubernetes/cmd/kubelet", 240),),
        version_module="k8s.io/kubernetes",
        version_packages=("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"),
    ),
    Group(
        "witness",
        (Tool("witness", "./witness", 10),),
        version_module="k8s.io/kubernetes",
        module="kubelet",
        sources=("witness",),
    ),
    Group(
        "kwok",
        (Tool("kwok", "sigs.k8s.io/kwok/cmd/kwok", 58),),
        version_module="sigs.k8s.io/kwok",
    ),
    Group(
        "helm",
        (Tool("helm", "helm.sh/helm/v4/cmd/helm", 180),),
        version_module="helm.sh/helm/v4",
    ),
)

SCHEDULER_CHECK = "schedulercheck"
CLUSTER_BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kubectl")


def cache_dir() -> Path:
    """Where built control planes stay: `$XDG_CACHE_HOME/spotkube/controlplane`, or under `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "spotkube" / "controlplane"


def group_of(tool_name: str) -> Group:
    """The group that builds a tool.

    Raises:
        BuildError: nobody builds a tool of that name.
    """
    for group in GROUPS:
        if any(tool.name == tool_name for tool in group.tools):
            return group
    known = ", ".join(tool.name for group in GROUPS for tool in group.tools)
    raise BuildError(f"no Go module here builds {tool_name!r}; there are {known}")


def groups_of(tool_names: Iterable[str]) -> list[Group]:
    """The groups that build these tools, in build order."""
    wanted = {group_of(name).name for name in tool_names}
    return [group for group in GROUPS if group.name in wanted]
