"""What running containers takes that a machine may not have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from localcluster.realnode.cgroups import missing_controllers

# With Debian's package for each, which is called so on Ubuntu, too.
PROGRAMS = {"containerd": "containerd", "ctr": "containerd", "runc": "runc", "unshare": "util-linux"}
CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
CNI_PLUGINS = ("bridge", "host-local", "loopback")
CNI_PACKAGE = "containernetworking-plugins"


def what_is_missing() -> str:
    """Why no real node can run here and what helps, as one line; "" where one can."""
    return "; ".join(_lacks())


def cni_folder() -> Path | None:
    """Where the CNI plugins are."""
    return next((each for each in CNI_FOLDERS if all((each / name).exists() for name in CNI_PLUGINS)), None)


def _lacks() -> Iterator[str]:
    if sys.platform != "linux":
        yield f"containers need Linux, and this is {sys.platform}"
        return
    packages = {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    if cni_folder() is None:
        packages.add(CNI_PACKAGE)
    if packages:
        yield f"not installed: apt-get install {' '.join(sorted(packages))}"
    if os.geteuid() != 0:
        yield "a kubelet needs root: run the test as root"
        return
    if lacking := missing_controllers():
        yield f"cgroup controllers {', '.join(lacking)} are not to be had: mount or enable them, with write access"
    if shutil.which("unshare") and (complaint := _namespaces_refused()):
        yield f"namespaces are refused ({complaint}): run the test outside a container, or in a privileged one"


def _namespaces_refused() -> str:
    """What `unshare` says where it can't make what a node consists of; "" where it can."""
    mount = ("mount", "-n", "-t", "tmpfs", "probe", "/run")
    bridge = ("ip", "link", "add", "probe", "type", "bridge") if shutil.which("ip") else ("true",)
    attempts = (
        ("unshare", "--mount", "--pid", "--fork", "--mount-proc", *mount),
        ("unshare", "--net", *bridge),
    )
    for command in attempts:
        outcome = subprocess.run(command, capture_output=True, text=True, check=False)
        if outcome.returncode:
            return outcome.stderr.strip() or f"`{' '.join(command)}` failed"
    return ""
