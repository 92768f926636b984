"""What is told of a Deployment's pods before they are made, against the pods that a real API server makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from spotkube.convert.pods import to_pod
from spotkube.convert.templates import to_template
from support import wait_until

Object = dict[str, Any]
LABELS = {"app": "web"}
CONTAINER = {"name": "main", "image": "registry.k8s.io/pause:3.10", "resources": {"requests": {"cpu": "100m"}}}
ZONES = {"topologyKey": "topology.kubernetes.io/zone", "labelSelector": {"matchLabels": LABELS}}
SPREAD = {**ZONES, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
LOST = "node.kubernetes.io/not-ready"
SPECS: dict[str, Object] = {
    "plain": {},
    "limits": {"containers": [{**CONTAINER, "resources": {"limits": {"cpu": "2", "memory": "1Gi"}}}]},
    "half of its limits": {
        "containers": [{**CONTAINER, "resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}}}]
    },
    "init containers": {
        "initContainers": [
            {**CONTAINER, "name": "first", "resources": {"requests": {"cpu": "3"}}},
            {**CONTAINER, "name": "sidecar", "restartPolicy": "Always"},
        ]
    },
    "ports": {"containers": [{**CONTAINER, "ports": [{"containerPort": 80, "hostPort": 8080}]}]},
    "the node's network": {"hostNetwork": True, "containers": [{**CONTAINER, "ports": [{"containerPort": 80}]}]},
    "bears a lost node": {"tolerations": [{"key": LOST, "operator": "Exists"}]},
    "bears a lost node for ever": {"tolerations": [{"key": LOST, "operator": "Exists", "effect": "NoExecute"}]},
    "bears that nothing new comes": {"tolerations": [{"key": LOST, "operator": "Exists", "effect": "NoSchedule"}]},
    "bears all": {"tolerations": [{"operator": "Exists"}]},
    "bears no execution": {"tolerations": [{"operator": "Exists", "effect": "NoExecute"}]},
    "spread": {"topologySpreadConstraints": [SPREAD]},
    "apart": {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [ZONES]}}},
    "on some nodes": {"nodeSelector": {"disk": "fast"}},
    "of another scheduler": {"schedulerName": "mine"},
}
LEFT_OPEN: dict[str, Object] = {
    "priority": {"priorityClassName": "system-node-critical"},
    "runtime": {"runtimeClassName": "gvisor"},
    "spread by revision": {"topologySpreadConstraints": [{**SPREAD, "matchLabelKeys": ["pod-template-hash"]}]},
    "apart by revision": {
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 1, "podAffinityTerm": {**ZONES, "matchLabelKeys": ["pod-template-hash"]}}
                ]
            }
        }
    },
}


@pytest.fixture
def deployment(kubectl: Callable[..., str], namespace: str, request: pytest.FixtureRequest) -> Object:
    """As the API server has it, with the pod spec of the parameter."""
    spec = {"containers": [CONTAINER], **request.param}
    raw = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": spec},
        },
    }
    made: Object = json.loads(kubectl("create", "-f", "-", "-o", "json", input=json.dumps(raw)))
    return made


@pytest.mark.parametrize("deployment", SPECS.values(), ids=SPECS.keys(), indirect=True)
def test_a_pod_is_what_its_template_told(kubectl: Callable[..., str], namespace: str, deployment: Object) -> None:
    found: list[Object] = []

    def made() -> bool:
        found[:] = json.loads(kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
        return bool(found)

    wait_until(made, 60, lambda: "the Deployment's pod to be made")
    pod, told = to_pod(found[0]), to_template(deployment)

    assert pod is not None and told is not None
    assert told.shape == pod.shape
    assert (told.owner, told.workload, told.claims) == (pod.owner, pod.workload, pod.claims)
    assert set(told.labels) <= set(pod.labels)


@pytest.mark.parametrize("deployment", LEFT_OPEN.values(), ids=LEFT_OPEN.keys(), indirect=True)
def test_nothing_is_told_where_it_is_decided_elsewhere(deployment: Object) -> None:
    assert to_template(deployment) is None
