"""Constraints about how much a pod asks for, and how much a node has."""

from __future__ import annotations

from differential.draft import FPGA, Draft
from differential.registry import constraint
from differential.scenario import Json, Scenario, pod_specs


def _containers(scenario: Scenario) -> list[Json]:
    return [one for spec in pod_specs(scenario) for one in (*spec["containers"], *spec.get("initContainers", []))]


def _without_resource(resource: str) -> object:
    def misread(scenario: Scenario) -> None:
        for container in _containers(scenario):
            for amounts in container["resources"].values():
                amounts.pop(resource, None)

    return misread


def _no_requests(scenario: Scenario) -> None:
    for container in _containers(scenario):
        container["resources"] = {}


@constraint("requests", _no_requests)
def _requests(draft: Draft) -> None:
    draft.group(4, cpu=draft.rng.choice(["1500m", "1900m"]))


def _no_init_containers(scenario: Scenario) -> None:
    for spec in pod_specs(scenario):
        kept = [one for one in spec.pop("initContainers", []) if one.get("restartPolicy") == "Always"]
        if kept:
            spec["initContainers"] = kept


@constraint("init-containers", _no_init_containers)
def _init_containers(draft: Draft) -> None:
    group = draft.group(3, cpu="100m")
    resources = {"requests": {"cpu": draft.rng.choice(["1200m", "3"])}}
    group.spec["initContainers"] = [{"name": "init", "image": "image", "resources": resources}]


def _no_sidecars(scenario: Scenario) -> None:
    for spec in pod_specs(scenario):
        kept = [one for one in spec.pop("initContainers", []) if one.get("restartPolicy") != "Always"]
        if kept:
            spec["initContainers"] = kept


@constraint("sidecars", _no_sidecars)
def _sidecars(draft: Draft) -> None:
    group = draft.group(4, cpu="100m")
    sidecar = {"name": "sidecar", "image": "image", "resources": {"requests": {"cpu": "1"}}, "restartPolicy": "Always"}
    init = {"name": "init", "image": "image", "resources": {"requests": {"cpu": draft.rng.choice(["50m", "700m"])}}}
    group.spec["initContainers"] = draft.rng.choice([[sidecar], [sidecar, init], [init, sidecar]])


def _no_pod_level_resources(scenario: Scenario) -> None:
    for spec in pod_specs(scenario):
        spec.pop("resources", None)


@constraint("pod-level-resources", _no_pod_level_resources)
def _pod_level_resources(draft: Draft) -> None:
    draft.group(3, cpu="100m").spec["resources"] = {"requests": {"cpu": "3"}}


def _no_overhead(scenario: Scenario) -> None:
    for spec in pod_specs(scenario):
        spec.pop("overhead", None)


@constraint("overhead", _no_overhead)
def _overhead(draft: Draft) -> None:
    draft.group(4, cpu="100m").spec["overhead"] = {"cpu": "1", "memory": "64Mi"}


@constraint("ephemeral-storage", _without_resource("ephemeral-storage"))
def _ephemeral_storage(draft: Draft) -> None:
    draft.group(draft.rng.randint(2, 3), cpu="100m").requests["ephemeral-storage"] = "15Gi"


@constraint("extended-resources", _without_resource(FPGA))
def _extended_resources(draft: Draft) -> None:
    draft.offer("f.xlarge")
    group = draft.group(3, cpu="100m")
    group.container["resources"] = {"requests": {**group.requests, FPGA: "1"}, "limits": {FPGA: "1"}}


def _no_resize_status(scenario: Scenario) -> None:
    for pod in scenario.of_kind("Pod"):
        pod.pop("status", None)


@constraint("resize-status", _no_resize_status)
def _resize_status(draft: Draft) -> None:
    """A pod was told to shrink, and still has what it had."""
    node = draft.node()
    held = {"cpu": "3", "memory": "256Mi"}
    running = draft.runs(node, cpu="200m")
    running.status = {
        "phase": "Running",
        "containerStatuses": [{"name": "main", "allocatedResources": held, "resources": {"requests": held}}],
    }
    draft.group(1, cpu="2").spec["nodeSelector"] = {"own": node["metadata"]["name"]}


def _any_number_of_pods(scenario: Scenario) -> None:
    for amounts in (*(row["allocatable"] for row in scenario.offerings), *_node_amounts(scenario)):
        amounts["pods"] = "110"


def _node_amounts(scenario: Scenario) -> list[Json]:
    return [node["status"]["allocatable"] for node in scenario.of_kind("Node")]


@constraint("pod-count", _any_number_of_pods)
def _pod_count(draft: Draft) -> None:
    draft.group(draft.rng.randint(13, 16), cpu="10m").requests["memory"] = "8Mi"


def _no_daemonsets(scenario: Scenario) -> None:
    scenario.objects[:] = [one for one in scenario.objects if one["kind"] != "DaemonSet"]


@constraint("daemonsets", _no_daemonsets)
def _daemonsets(draft: Draft) -> None:
    name = f"daemon-{len(draft.others)}"
    spec: Json = {"containers": [{"name": "main", "image": "image", "resources": {"requests": {"cpu": "700m"}}}]}
    spec |= draft.rng.choice([{}, {"tolerations": [{"operator": "Exists"}]}])
    draft.others.append(
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "selector": {"matchLabels": {"daemon": name}},
                "template": {"metadata": {"labels": {"daemon": name}}, "spec": spec},
            },
        }
    )
    draft.group(2, cpu="1500m")
