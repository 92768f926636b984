"""SpotKube and Karpenter, each whole, on a cluster of its own: the same catalog, the same delay of nodes."""

import contextlib
import functools
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cases import CACHE, PEERS
from demo import identity
from demo.helpers import Helper
from demo.launch import free_port, launch_cloud, launch_operator
from localcluster.cluster import Cluster, LocalCluster
from localcluster.parts import go_environment
from spotkube.providers.local.nodes import KWOK_ANNOTATION, READY_DELAY_ANNOTATION

# Of Karpenter's KWOK provider: what it takes off each node. Given on top, so that both have the same room.
OVERHEAD_CPU_MILLI, OVERHEAD_MIB = 100, 10
REGISTRATION_SECONDS = 2
# Else a node turned Ready with the next full second, since its creation is known no better: by chance up to one later.
READY_SECONDS = 0
# For 5,000 pods and as many as a minute brings.
NODES_THERE = 60
MOST_VCPU = 32
CRDS = Path(__file__).resolve().parents[1] / "crds"
OUR_CAPACITY_LABEL, THEIR_CAPACITY_LABEL = "spotkube.io/capacity-type", "karpenter.sh/capacity-type"
Json = dict[str, Any]


@dataclass(frozen=True)
class Rival:
    """`raised` puts it up on a cluster and takes it down; its nodes have `capacity_label`."""

    name: str
    raised: Callable[[LocalCluster, list[Json]], contextlib.AbstractContextManager[None]]
    capacity_label: str


@contextlib.contextmanager
def spotkube(cluster: LocalCluster, _: list[Json]) -> Iterator[None]:
    """The operator, and a pool of what Karpenter may buy too."""
    with our_operator(cluster):
        apply(cluster, [our_pool()])
        yield


@contextlib.contextmanager
def our_operator(cluster: LocalCluster) -> Iterator[Helper]:
    """The operator under the chart's rights, and the fake cloud."""
    cluster.kubectl("apply", "--server-side", "-f", str(CRDS))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
    kubeconfig = identity.install(cluster, cluster.directory)
    delays = f"--registration-delay={REGISTRATION_SECONDS}s", f"--ready-delay={READY_SECONDS}s"
    with contextlib.ExitStack() as stack:
        cloud, url = launch_cloud(cluster.kubeconfig, cluster.directory, *delays)
        stack.callback(cloud.stop)
        log = cluster.directory / "operator.log"
        operator = launch_operator(kubeconfig, identity.NAMESPACE, url, log)
        stack.callback(operator.stop)
        yield operator
        operator.check()
        cloud.check()


def our_pool() -> Json:
    """c, m and r of at most so many vCPU, spot or on-demand, also for pods of no Workload."""
    requirements = [
        {"key": "spotkube.io/instance-category", "operator": "In", "values": ["c", "m", "r"]},
        {"key": "spotkube.io/instance-cpu", "operator": "Lt", "values": [str(MOST_VCPU + 1)]},
    ]
    return {
        "apiVersion": "spotkube.io/v1alpha1",
        "kind": "NodePool",
        "metadata": {"name": "general"},
        "spec": {
            "mode": "Apply",
            "template": {"spec": {"requirements": requirements}},
            "spot": {"allowUnmanagedPods": True},
        },
    }


@contextlib.contextmanager
def karpenter(cluster: LocalCluster, offerings: list[Json]) -> Iterator[None]:
    """Karpenter's controller with its KWOK provider, with default batching."""
    binary, crds = karpenter_binary()
    for folder in crds:
        cluster.kubectl("apply", "--server-side", "-f", str(folder))
    types = cluster.directory / "instance-types.json"
    types.write_text(json.dumps(instance_types(offerings)), encoding="utf-8")
    settings = {
        "SYSTEM_NAMESPACE": "kube-system",
        "KUBECONFIG": str(cluster.kubeconfig),
        "CPU_REQUESTS": str(1000 * (os.cpu_count() or 1)),
        "METRICS_PORT": str(free_port()),
        "HEALTH_PROBE_PORT": str(free_port()),
        "INSTANCE_TYPES_FILE_PATH": str(types),
    }
    with (cluster.directory / "karpenter.log").open("wb") as log:
        command = [str(binary), "--disable-leader-election=true"]
        process = subprocess.Popen(
            command, env={**go_environment(), **os.environ, **settings}, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            apply(cluster, _their_pool())
            yield
            if process.poll() is not None:
                raise SystemExit(f"Karpenter ended with {process.returncode}: see {log.name}")
        finally:
            process.terminate()
            process.wait()


def _their_pool() -> list[Json]:
    requirements = [
        {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64", "arm64"]},
        {"key": THEIR_CAPACITY_LABEL, "operator": "In", "values": ["spot", "on-demand"]},
    ]
    ref = {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"}
    return [
        {
            "apiVersion": "karpenter.kwok.sh/v1alpha1",
            "kind": "KWOKNodeClass",
            "metadata": {"name": "default"},
            "spec": {"nodeRegistrationDelay": f"{REGISTRATION_SECONDS}s"},
        },
        {
            "apiVersion": "karpenter.sh/v1",
            "kind": "NodePool",
            "metadata": {"name": "general"},
            "spec": {
                "template": {
                    "metadata": {"annotations": {READY_DELAY_ANNOTATION: f"{READY_SECONDS}s"}},
                    "spec": {"requirements": requirements, "nodeClassRef": ref, "expireAfter": "Never"},
                },
                "disruption": {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "Never"},
            },
        },
    ]


def instance_types(offerings: list[Json]) -> list[Json]:
    """The catalog as Karpenter's KWOK provider reads it."""
    made: dict[str, Json] = {}
    for offering in offerings:
        name = offering["instance_type"]
        resources = {
            "cpu": f"{offering['cpu_milli'] + OVERHEAD_CPU_MILLI}m",
            "memory": f"{offering['memory_mib'] + OVERHEAD_MIB}Mi",
            "pods": str(offering["pods"]),
            "ephemeral-storage": "100Gi",
        }
        head = {"name": name, "architecture": offering["arch"], "operatingSystems": ["linux"], "resources": resources}
        made.setdefault(name, {**head, "offerings": []})["offerings"].append(
            {
                "Price": offering["price_usd_hour"],
                "Available": True,
                "Requirements": [
                    {"key": THEIR_CAPACITY_LABEL, "operator": "In", "values": [offering["capacity_type"]]},
                    {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [offering["zone"]]},
                ],
            }
        )
    return list(made.values())


@contextlib.contextmanager
def nodes_there(cluster: LocalCluster, _: list[Json]) -> Iterator[None]:
    """No operator: large nodes for all pods are there and Ready before the first one comes."""
    _join(cluster, [_node(f"there-{number}", "96", "768Gi") for number in range(NODES_THERE)])
    yield


def control_plane_node(cluster: LocalCluster) -> None:
    """The one that every cluster has, not for pods of users. Without any, kube-scheduler takes what it can't
    place for an error of its own, and rests for up to ten seconds before it tries again."""
    node = _node("control-plane", "4", "16Gi")
    taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    _join(cluster, [{**node, "spec": {"taints": [taint]}}])


def _join(cluster: LocalCluster, nodes: list[Json]) -> None:
    """Creates these Nodes, and waits until KWOK has made them Ready."""
    cluster.kubectl("create", "-f", "-", input="\n---\n".join(json.dumps(node) for node in nodes))
    names = (f"node/{node['metadata']['name']}" for node in nodes)
    cluster.kubectl("wait", "--for=condition=Ready", "--timeout=60s", *names)


def _node(name: str, cpu: str, memory: str) -> Json:
    resources = {"cpu": cpu, "memory": memory, "pods": "110"}
    condition = {"type": "Ready", "status": "False", "reason": "KubeletNotReady"}
    status = {"capacity": resources, "allocatable": resources, "conditions": [condition]}
    metadata = {"name": name, "annotations": {KWOK_ANNOTATION: "fake"}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status}


@functools.cache
def karpenter_binary() -> tuple[Path, tuple[Path, ...]]:
    """The controller, built once, and the folders of its CRDs. Raises OSError or SubprocessError."""
    source = PEERS / "karpenter-kwok"
    digest = hashlib.sha256((source / "go.mod").read_bytes()).hexdigest()[:12]
    binary = CACHE / f"karpenter-kwok-{digest}"
    if not binary.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        print("(building Karpenter: minutes, once) ", end="", file=sys.stderr, flush=True)
        words = ["go", "build", "-o", str(binary), "sigs.k8s.io/karpenter/kwok"]
        subprocess.run(words, cwd=source, check=True, capture_output=True, timeout=1200)
    words = ["go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/karpenter"]
    module = Path(subprocess.run(words, cwd=source, check=True, capture_output=True, text=True).stdout.strip())
    return binary, (module / "pkg" / "apis" / "crds", module / "kwok" / "apis" / "crds")


def apply(cluster: Cluster, objects: list[Json]) -> None:
    """Creates or changes these objects as an administrator."""
    cluster.kubectl("apply", "--server-side", "-f", "-", input="\n---\n".join(json.dumps(each) for each in objects))


SPOTKUBE = Rival("SpotKube", spotkube, OUR_CAPACITY_LABEL)
KARPENTER = Rival("Karpenter", karpenter, THEIR_CAPACITY_LABEL)
FLOOR = Rival("none: nodes are there", nodes_there, "")
"""What API server, scheduler and controllers take by themselves."""
