"""The processes that make up the control plane: their command lines and configuration files."""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from localcluster.pki import Pki

STAGES_DIR = Path(__file__).resolve().parent / "stages"
SERVICE_RANGE = "10.96.0.0/16"
SERVICE_ACCOUNT_ISSUER = "https://kubernetes.default.svc"
KWOK_NODE_SELECTOR = "kwok.x-k8s.io/node=fake"
NODE_LEASE_SECONDS = 40
NODE_IP = "127.0.0.1"  # all fake nodes are this machine
# How many things KWOK does at the same time. By default it is 4 of each and 1 of the last; but kubelets act each by
# itself, and where the API server is slow, a node must not turn Ready the later for there being others. Pods are left
# as they are: to write of one that it runs is in nobody's way. Whoever gives options gets none of KWOK's defaults; the
# others are those.
KWOK_OPTIONS = {
    "cidr": "10.0.0.0/24",
    "enableDebuggingHandlers": True,
    "enableProfilingHandler": True,
    "enablePodsOnNodeSyncListPager": True,
    "nodePlayStageParallelism": 64,
    "nodeLeaseParallelism": 32,
    "podPlayStageParallelism": 4,
    "podsOnNodeSyncParallelism": 4,
}
# Everything runs on one machine for one user: clients need not hold back.
CLIENT_QPS = 500
CLIENT_BURST = 1000
ALL_CONTROLLERS = "*"
# All parts share one machine, where time is what there is too little of: Go's collector runs when the heap is four
# times what lives, and not twice, which spares a sixth of the API server's time. A part that lives on so much of the
# memory collects more often again.
GO_HEAP_GROWTH_PERCENT = 300
GO_MEMORY_SHARE = 4


@dataclass(frozen=True, slots=True)
class Part:
    """One process: its name (also of its log) and command; `needs_api` ones start when the API server is ready."""

    name: str
    command: tuple[str, ...]
    needs_api: bool


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports on loopback."""

    etcd_client: int
    etcd_peer: int
    api: int
    kwok: int

    @classmethod
    def free(cls) -> Ports:
        """Four ports nobody listens on now; held all at once, so that they differ."""
        with ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in range(4)]
            for each in sockets:
                each.bind(("127.0.0.1", 0))
            return cls(*(each.getsockname()[1] for each in sockets))


def go_environment() -> dict[str, str]:
    """For programs in Go that share the machine with a cluster."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"GOGC": str(GO_HEAP_GROWTH_PERCENT), "GOMEMLIMIT": str(memory_bytes // GO_MEMORY_SHARE)}


def control_plane(
    directory: Path, binaries: Mapping[str, Path], pki: Pki, ports: Ports, controllers: str = ALL_CONTROLLERS
) -> list[Part]:
    """The parts of a cluster that lives in `directory`; writes the files that their command lines name. `controllers`
    as kube-controller-manager takes them."""
    kubeconfig = directory / "admin.kubeconfig"
    write_kubeconfig(kubeconfig, f"https://127.0.0.1:{ports.api}", pki)
    return [
        Part("etcd", (str(binaries["etcd"]), *_etcd(directory, ports)), needs_api=False),
        Part("kube-apiserver", (str(binaries["kube-apiserver"]), *_api_server(pki, ports)), needs_api=False),
        Part(
            "kube-controller-manager",
            (str(binaries["kube-controller-manager"]), *_controller_manager(kubeconfig, pki, controllers)),
            needs_api=True,
        ),
        Part("kube-scheduler", (str(binaries["kube-scheduler"]), *_scheduler(directory, kubeconfig)), needs_api=True),
        Part(
            "kwok",
            (
                str(binaries["kwok"]),
                *kwok_arguments(kubeconfig, write_stages(directory), server_address=f"127.0.0.1:{ports.kwok}"),
            ),
            needs_api=True,
        ),
    ]


def write_kubeconfig(path: Path, server: str, pki: Pki) -> None:
    """An admin's kubeconfig that holds its certificates, so that the file can be copied anywhere."""

    def embedded(pem: Path) -> str:
        return base64.b64encode(pem.read_bytes()).decode()

    name = "spotkube-local"
    cluster = {"server": server, "certificate-authority-data": embedded(pki.ca_cert)}
    user = {"client-certificate-data": embedded(pki.admin_cert), "client-key-data": embedded(pki.admin_key)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": "admin", "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "admin"}}],
        "current-context": name,
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")  # JSON is YAML, and quicker to read


def write_stages(directory: Path) -> Path:
    """Our Stages and KWOK's options in one file, as `kwok --config` wants them."""
    options = {"apiVersion": "config.kwok.x-k8s.io/v1alpha1", "kind": "KwokConfiguration", "options": KWOK_OPTIONS}
    stages = (stage.read_text(encoding="utf-8") for stage in sorted(STAGES_DIR.glob("*.yaml")))
    path = directory / "stages.yaml"
    path.write_text("---\n".join([*stages, yaml.safe_dump(options)]), encoding="utf-8")
    return path


def kwok_arguments(kubeconfig: Path, stages: Path, server_address: str | None = None) -> tuple[str, ...]:
    """Arguments of KWOK: it plays only the nodes that carry its annotation."""
    return (
        f"--kubeconfig={kubeconfig}",
        f"--config={stages}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={KWOK_NODE_SELECTOR}",
        f"--node-lease-duration-seconds={NODE_LEASE_SECONDS}",
        f"--node-ip={NODE_IP}",
        *((f"--server-address={server_address}",) if server_address else ()),
    )


def _etcd(directory: Path, ports: Ports) -> tuple[str, ...]:
    client = f"http://127.0.0.1:{ports.etcd_client}"
    peer = f"http://127.0.0.1:{ports.etcd_peer}"
    return (
        f"--data-dir={directory / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # the data is thrown away with the cluster
        "--log-level=warn",
    )


def _api_server(pki: Pki, ports: Ports) -> tuple[str, ...]:
    return (
        f"--etcd-servers=http://127.0.0.1:{ports.etcd_client}",
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.api}",
        # There is no network in which another API server or a pod could reach this one.
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--client-ca-file={pki.ca_cert}",
        f"--tls-cert-file={pki.server_cert}",
        f"--tls-private-key-file={pki.server_key}",
        f"--service-account-key-file={pki.service_account_public_key}",
        f"--service-account-signing-key-file={pki.service_account_key}",
        f"--service-account-issuer={SERVICE_ACCOUNT_ISSUER}",
        "--authorization-mode=RBAC",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--allow-privileged=true",
        "--max-requests-inflight=1600",
        "--max-mutating-requests-inflight=800",
    )


def _controller_manager(kubeconfig: Path, pki: Pki, controllers: str) -> tuple[str, ...]:
    return (
        f"--kubeconfig={kubeconfig}",
        f"--controllers={controllers}",
        "--leader-elect=false",
        "--secure-port=0",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={pki.service_account_key}",
        f"--root-ca-file={pki.ca_cert}",
        f"--kube-api-qps={CLIENT_QPS}",
        f"--kube-api-burst={CLIENT_BURST}",
        "--node-monitor-period=1s",
        *(
            f"--concurrent-{kind}-syncs=20"
            for kind in ("deployment", "replicaset", "statefulset", "daemonset", "job", "gc", "namespace")
        ),
    )


def _scheduler(directory: Path, kubeconfig: Path) -> tuple[str, ...]:
    configuration: dict[str, Any] = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig), "qps": CLIENT_QPS, "burst": CLIENT_BURST},
        "leaderElection": {"leaderElect": False},
    }
    path = directory / "scheduler.yaml"
    path.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    return (f"--config={path}", "--secure-port=0")
