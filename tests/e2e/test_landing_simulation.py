"""The simulated kube-scheduler beside the real one: each choice of the real one is among those that ours finds best."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from localcluster.cluster import Cluster
from spotkube.cluster.resources import NODES, PODS
from spotkube.convert.nodes import to_node
from spotkube.convert.pods import to_pod
from spotkube.model import labels as keys
from spotkube.model.pods import Pod
from spotkube.planner.landing.filters import admitted
from spotkube.planner.landing.scoring import scores
from spotkube.planner.landing.site import Guest, Place, make_site
from spotkube.planner.landing.state import State
from support import fake_node, wait_until
from support_operator import Object, Reader

ZONE = "landing.spotkube.io/zone"
APPS = ("red", "green", "blue")


class Bench:
    """A few nodes that only its own pods tolerate, and what kube-scheduler does with these one after the other."""

    def __init__(self, cluster: Cluster, reader: Reader, namespace: str) -> None:
        self.cluster, self.reader, self.namespace = cluster, reader, namespace
        self.taint = {"key": "landing", "value": namespace, "effect": "NoSchedule"}
        self.nodes: list[str] = []

    def add_node(self, cpu: int, memory: int, zone: str, *, hdd: bool = False, shy: bool = False) -> None:
        name = f"{self.namespace}-{len(self.nodes)}"
        room = {"cpu": str(cpu), "memory": f"{memory}Gi", "pods": "20"}
        labels = {ZONE: zone, keys.ZONE: f"{self.namespace}-{zone}", "disk": "hdd" if hdd else "ssd"}
        body = fake_node(name, allocatable=room, labels=labels)
        taints = [self.taint, *([{"key": "shy", "effect": "PreferNoSchedule"}] if shy else [])]
        body["spec"] = {"taints": taints}
        self.cluster.kubectl("create", "-f", "-", input=json.dumps(body))
        self.nodes.append(name)

    def ready(self) -> None:
        def all_ready() -> bool:
            found = {node["metadata"]["name"]: node for node in self.reader.list(NODES)}
            mine = [found.get(name) for name in self.nodes]
            return all(node and to_node(node).ready and len(node["spec"]["taints"]) <= 2 for node in mine) and not any(
                taint["key"].startswith("node.kubernetes.io/")
                for node in mine
                if node
                for taint in node["spec"]["taints"]
            )

        wait_until(all_ready, 60, "nodes to be Ready")

    def pod(self, name: str, app: str, cpu: int, memory: int, **spec: Any) -> Object:
        requests = {
            name: amount for name, amount in (("cpu", f"{cpu}m"), ("memory", f"{memory}Mi")) if amount[0] != "0"
        }
        container = {"name": "main", "image": "none", "resources": {"requests": requests}}
        toleration = {"key": "landing", "value": self.namespace}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": self.namespace, "labels": {"app": app}},
            "spec": {"containers": [container], "tolerations": [toleration], **spec},
        }

    def create(self, body: Object) -> None:
        self.cluster.kubectl("create", "-f", "-", input=json.dumps(body))

    def decided(self, count: int) -> list[Pod]:
        """The pods, once kube-scheduler has bound or refused each of so many."""

        def all_decided() -> list[Pod]:
            pods = [pod for raw in self.reader.list(PODS, self.namespace) if (pod := to_pod(raw)) is not None]
            return pods if len(pods) == count and all(pod.node or pod.unschedulable for pod in pods) else []

        return wait_until(all_decided, 30, f"{count} pods to be tried")

    def best(self, pod: Pod, there: list[Pod]) -> set[str]:
        """Nodes that our simulation finds best for the pod, while others stand where they do."""
        raw = [node for node in self.reader.list(NODES) if node["metadata"]["name"] in self.nodes]
        places = []
        for node in map(to_node, raw):
            residents = tuple(other for other in there if other.node == node.name)
            used = sum((other.shape.requests for other in residents), start=type(node.allocatable)())
            places.append(
                Place(node.name, node.labels, node.taints, node.allocatable, used, residents=residents, there=True)
            )
        state = State(make_site(places, [Guest(pod)]))
        rows = admitted(state, 0, np.arange(len(places)))
        if not len(rows):
            return set()
        ranked = scores(state, 0, rows)
        return {places[row].name for row in rows[ranked == ranked.max()].tolist()}


@pytest.fixture
def bench(cluster: Cluster, reader: Reader, namespace: str, fake_nodes: None) -> Iterator[Bench]:
    bench = Bench(cluster, reader, namespace)
    yield bench
    cluster.kubectl("delete", "pods", "--all", "-n", namespace, "--wait=false", "--grace-period=0", "--force")
    cluster.kubectl("delete", "nodes", *bench.nodes, "--wait=false")


def drawn(bench: Bench, rng: random.Random, number: int) -> Object:
    """A pod with rules of every kind that the simulation knows."""
    app = rng.choice(APPS)
    mine = {"matchLabels": {"app": app}}
    spec: dict[str, Any] = {}
    match rng.randrange(6):
        case 0:
            rule = {"topologyKey": ZONE, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": mine}
            spec["topologySpreadConstraints"] = [rule]
        case 1:
            term = {"topologyKey": keys.HOSTNAME, "labelSelector": mine}
            spec["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        case 2:
            term = {"topologyKey": ZONE, "labelSelector": mine}
            spec["affinity"] = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        case 3:
            wish = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["hdd"]}]}
            terms = [{"weight": rng.randint(1, 100), "preference": wish}]
            spec["affinity"] = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}
        case 4:
            spec["tolerations"] = [
                {"key": "landing", "value": bench.namespace},
                {"key": "shy", "operator": "Exists"},
            ]
    return bench.pod(f"p{number:02}", app, rng.choice((0, 100, 250, 700)), rng.choice((0, 128, 512, 3000)), **spec)


@pytest.mark.parametrize("seed", range(3))
def test_each_choice_is_one_of_those_that_the_simulation_finds_best(bench: Bench, seed: int) -> None:
    rng = random.Random(seed)
    for number in range(7):
        bench.add_node(
            rng.choice((1, 2, 4)),
            rng.choice((2, 4, 8)),
            f"z{number % 3}",
            hdd=rng.random() < 0.4,
            shy=rng.random() < 0.3,
        )
    bench.ready()
    there: list[Pod] = []
    wrong: list[str] = []
    ties = 0
    for number in range(30):
        body = drawn(bench, rng, number)
        bench.create(body)
        pods = bench.decided(number + 1)
        [new] = [pod for pod in pods if pod.name == body["metadata"]["name"]]
        best = bench.best(new, there)
        ties += len(best) > 1
        if (new.node or "") not in (best or {""}):
            wrong.append(f"{new.name} is on {new.node}, where {sorted(best)} seem best: {new.shape}")
        there = [pod for pod in pods if pod.node]
    assert wrong == []
    assert len({pod.node for pod in there}) > 3
    assert ties < 25, "hardly any choice was a real one"


def test_pods_of_a_replicaset_are_spread_by_the_clusters_defaults(bench: Bench) -> None:
    for number in range(6):
        bench.add_node(4, 8, f"z{number % 3}")
    bench.ready()
    template = bench.pod("", "web", 100, 128)
    replicaset = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": bench.namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": template["spec"]},
        },
    }
    bench.create(replicaset)
    there: list[Pod] = []
    wrong = []
    for count in range(1, 15):
        bench.cluster.kubectl("scale", "replicaset/web", f"--replicas={count}", "-n", bench.namespace)
        pods = bench.decided(count)
        [new] = [pod for pod in pods if pod.name not in {other.name for other in there}]
        best = bench.best(new, there)
        if new.node not in best:
            wrong.append(f"pod {count} is on {new.node}, where {sorted(best)} seem best")
        there = pods
    assert wrong == []


def test_empty_nodes_that_are_alike_are_equally_good(bench: Bench) -> None:
    for _ in range(3):
        bench.add_node(4, 8, "z0")
    bench.ready()
    for number in range(5):
        bench.create(bench.pod(f"p{number}", "web", 100, 128))
        [pod] = bench.decided(1)
        assert pod.node in bench.best(pod, []) == set(bench.nodes)
        bench.cluster.kubectl("delete", "pod", pod.name, "-n", bench.namespace, "--grace-period=0", "--force")
