"""The stage on a kind cluster, for those who have Docker and kind: its nodes are played by a KWOK of our own build."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from demo.errors import DemoError
from demo.helpers import REPOSITORY, Helper
from demo.show import Screen
from demo.stage import Stage, compile_planner, private_folder, raised
from localcluster.build import ensure_binaries
from localcluster.cluster import Cluster

CONFIG = REPOSITORY / "kind-config.yaml"
NAME = "spotkube-demo"
CONTROL_PLANE_TAINT = "node-role.kubernetes.io/control-plane:NoSchedule"


@contextlib.contextmanager
def kind_stage(screen: Screen) -> Iterator[Stage]:
    """A stage on a kind cluster that is created for it and deleted afterwards.

    Raises:
        DemoError: kind is not installed or failed.
    """
    if shutil.which("kind") is None:
        raise DemoError(
            "kind is not installed: see https://kind.sigs.k8s.io, or run `make demo`, which needs no Docker"
        )
    ensure_binaries(("kwok", "kubectl"))
    compile_planner(screen)
    with private_folder() as folder, contextlib.ExitStack() as stack:
        kubeconfig = folder / "kind.kubeconfig"
        stack.callback(_kind, "delete", "cluster", "--name", NAME, "--kubeconfig", str(kubeconfig))
        with screen.step(f"kind create cluster --name {NAME}"):
            _kind("create", "cluster", "--name", NAME, "--config", str(CONFIG), "--kubeconfig", str(kubeconfig))
        cluster = Cluster(kubeconfig)
        _close_control_plane(cluster)
        kwok = _start_kwok(stack, kubeconfig, folder)
        with raised(screen, cluster, folder, keep=False) as stage:
            kwok.check()
            yield stage


def _close_control_plane(cluster: Cluster) -> None:
    """kind opens a lone control plane for everybody's pods; the work belongs onto the nodes that are bought."""
    cluster.kubectl("taint", "node", "--all", "--overwrite", CONTROL_PLANE_TAINT)


def _start_kwok(stack: contextlib.ExitStack, kubeconfig: Path, folder: Path) -> Helper:
    args = ["kwok", "--kubeconfig", str(kubeconfig)]
    kwok = Helper("KWOK", "localcluster", args, folder / "kwok.log", keep=False)
    stack.callback(kwok.stop)
    return kwok


def _kind(*args: str) -> None:
    outcome = subprocess.run(["kind", *args], capture_output=True, text=True, check=False)
    if outcome.returncode:
        raise DemoError(f"`kind {' '.join(args)}` failed:\n{outcome.stderr.strip()}")
