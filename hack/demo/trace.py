"""The other play: the 1,088 CPU pods of a production cluster's trace, each onto the node that was planned for it."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

from demo.acts import show_plans, wait_until_all_run
from demo.closing import buying, closing_table
from demo.errors import DemoError
from demo.helpers import REPOSITORY
from demo.scene import Scene
from demo.show import Screen
from demo.stage import Stage
from spotkube.cluster.resources import NAMESPACES, NODEPOOLS, PODS
from spotkube.model.labels import ARCH, INSTANCE_CATEGORY, PLACEMENT_GATE

OPENB = REPOSITORY.parent / "shared" / "data" / "openb_pods.csv"
NAMESPACE = "openb"
RUN_SECONDS = 300.0


def read_pods(path: Path = OPENB) -> list[dict[str, Any]]:
    """The pods of the trace that ask for no GPU, as manifests.

    Raises:
        DemoError: the file is not there.
    """
    if not path.is_file():
        raise DemoError(
            f"there is no {path}: put the file openb_pod_list_default.csv of Alibaba's clusterdata "
            "(cluster-trace-gpu-v2023), with memory in MiB as memory_mib, at this place"
        )
    with path.open(encoding="utf-8", newline="") as file:
        return [_pod(row) for row in csv.DictReader(file) if row["num_gpu"] == "0"]


def play_trace(stage: Stage, screen: Screen) -> None:
    """Creates the pods, held back by our gate, then the pool; waits until all run where they were planned to."""
    pods = read_pods()
    screen.heading(f"1. {len(pods)} pods of a production cluster arrive")
    stage.eyes.create(NAMESPACES, [{"metadata": {"name": NAMESPACE}}])
    with screen.step(f"creating {len(pods)} pods with the scheduling gate {PLACEMENT_GATE}"):
        stage.eyes.create(PODS, pods)
    stage.eyes.create(NODEPOOLS, [_pool()])
    scene = wait_until_all_run(stage, screen, RUN_SECONDS, at_least=len(pods))
    outcome = show_plans(scene, screen)
    screen.heading("2. What it came to")
    screen.show(closing_table(outcome))
    check_places(scene)
    screen.say("each node that was planned is there, and holds the pods that were planned onto it")


def check_places(scene: Scene) -> None:
    """Whether pods stand where the plans put them.

    Raises:
        DemoError: a pod runs elsewhere than it was nominated to, or a planned node or pod is missing.
    """
    strayed = [pod.key for pod in scene.work if pod.nominated and pod.nominated != pod.node]
    if strayed:
        raise DemoError(f"{len(strayed)} pods run elsewhere than planned, such as {strayed[0]}")
    planned = {node.claim: node.pods for plan in buying(scene) for node in plan.status.additions}
    if set(planned) != set(scene.claims):
        raise DemoError(f"{len(planned)} nodes were planned, {len(scene.claims)} are there")
    by_node = Counter(pod.node for pod in scene.work)
    for name, claim in scene.claims.items():
        there, expected = by_node[claim.status.node_name or ""], planned[name]
        if there < expected:
            raise DemoError(f"{expected} pods were planned onto {name}, {there} run there")


def _pod(row: dict[str, str]) -> dict[str, Any]:
    requests = {"cpu": f"{row['cpu_milli']}m", "memory": f"{row['memory_mib']}Mi"}
    return {
        "metadata": {"name": row["name"], "namespace": NAMESPACE, "labels": {"app": "openb"}},
        "spec": {
            "schedulingGates": [{"name": PLACEMENT_GATE}],
            "nodeSelector": {ARCH: "amd64"},
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": "openb", "resources": {"requests": requests}}],
        },
    }


def _pool() -> dict[str, Any]:
    """General-purpose nodes, also on spot: the trace's pods have no Workload to say that they bear it."""
    categories = {"key": INSTANCE_CATEGORY, "operator": "In", "values": ["c", "m", "r"]}
    return {
        "metadata": {"name": "trace"},
        "spec": {
            "mode": "Apply",
            "template": {"spec": {"requirements": [categories]}},
            "spot": {"allowUnmanagedPods": True},
            "disruption": {"consolidationPolicy": "Never"},
        },
    }
