"""The files that containerd, CNI and kubelet read. Paths that they choose by themselves are the node's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RUNTIME_SOCKET = "/run/containerd/containerd.sock"
POD_RANGE = "10.244.0.0/24"


def write_containerd(folder: Path, image: str, cni_plugins: Path) -> None:
    """`image` is that of the pause container."""
    (folder / "containerd.toml").write_text(
        f"""version = 2
# It would make /opt/containerd on the host.
disabled_plugins = ["io.containerd.internal.v1.opt"]

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{image}"
# Else a machine without CAP_SYS_RESOURCE starts no container.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni_plugins}"
conf_dir = "{folder / "cni"}"
""",
        encoding="utf-8",
    )


def write_cni(folder: Path) -> None:
    """Pods have an address each, on a bridge that leads nowhere: nobody needs to reach them."""
    (folder / "cni").mkdir()
    network = {
        "cniVersion": "0.4.0",
        "name": "pods",
        "type": "bridge",
        "bridge": "pods0",
        "ipam": {"type": "host-local", "ranges": [[{"subnet": POD_RANGE}]]},
    }
    (folder / "cni" / "pods.conf").write_text(json.dumps(network), encoding="utf-8")


def write_kubelet(folder: Path, cgroup: str, port: int, provider_id: str, taints: list[dict[str, str]]) -> Path:
    """What a kubelet has by default is left as it is where that decides how pods end."""
    configuration: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "providerID": provider_id,
        "registerWithTaints": taints,
        "containerRuntimeEndpoint": f"unix://{RUNTIME_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        # The host is not the node's to change.
        "protectKernelDefaults": True,
        "makeIPTablesUtilChains": False,
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "resolvConf": "",
        # How full the host is must end no pod, and remove no image that can't be had again.
        "evictionHard": {"memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": False,
        # It serves nobody.
        "address": "127.0.0.1",
        "port": port,
        "healthzPort": 0,
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
    }
    path = folder / "kubelet.yaml"
    path.write_text(json.dumps(configuration), encoding="utf-8")  # JSON is YAML
    return path
