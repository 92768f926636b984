"""A scenario while it is drawn: catalog, pools, nodes and groups of like pods, with the dice that decide."""

from __future__ import annotations

import copy
import itertools
import random
from dataclasses import dataclass, field

from differential.scenario import Json, Scenario
from spotkube.model import labels as keys

ZONES = ("zone-a", "zone-b", "zone-c")
FPGA = "example.com/fpga"
# name, arch, cpu, memory, pods, fpga, micro-dollars an hour
TYPES = (
    ("m.large", "amd64", 2, "8Gi", 8, 0, 90_000),
    ("m.xlarge", "amd64", 4, "16Gi", 12, 0, 170_000),
    ("a.xlarge", "arm64", 4, "16Gi", 12, 0, 140_000),
    ("f.xlarge", "amd64", 4, "16Gi", 12, 2, 400_000),
)


@dataclass
class Group:
    """Pods of one template. `workload` is the spec.spot of their Workload, None where they belong to none."""

    name: str
    count: int
    labels: dict[str, str]
    spec: Json
    namespace: str = "default"
    workload: Json | None = None
    node: str = ""
    status: Json = field(default_factory=dict)
    owned: bool = True

    @property
    def container(self) -> Json:
        first: Json = self.spec["containers"][0]
        return first

    @property
    def requests(self) -> Json:
        given: Json = self.container["resources"]["requests"]
        return given

    def affinity(self, kind: str) -> list[Json]:
        """The required terms of podAffinity or podAntiAffinity, to be added to."""
        part = self.spec.setdefault("affinity", {}).setdefault(kind, {})
        terms: list[Json] = part.setdefault("requiredDuringSchedulingIgnoredDuringExecution", [])
        return terms

    def node_term(self) -> Json:
        """The first term of required node affinity, to be added to."""
        part = self.spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
        terms = part.setdefault("requiredDuringSchedulingIgnoredDuringExecution", {"nodeSelectorTerms": [{}]})
        term: Json = terms["nodeSelectorTerms"][0]
        return term

    def require(self, key: str, operator: str, *values: str) -> None:
        expression = {"key": key, "operator": operator, **({"values": list(values)} if values else {})}
        self.node_term().setdefault("matchExpressions", []).append(expression)

    def spread(self, key: str, skew: int = 1, **more: object) -> Json:
        rule = {
            "maxSkew": skew,
            "topologyKey": key,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"group": self.name}},
            **more,
        }
        self.spec.setdefault("topologySpreadConstraints", []).append(rule)
        return rule


class Draft:
    """Dice, and what they have decided so far."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.offerings: list[Json] = []
        self.pools: list[Json] = []
        self.nodes: list[Json] = []
        self.groups: list[Group] = []
        self.running: list[Group] = []
        self.others: list[Json] = []
        self._numbers = itertools.count()

    def scenario(self, focus: list[str]) -> Scenario:
        pods = [pod for group in (*self.groups, *self.running) for pod in _pods(group)]
        workloads = [_workload(group) for group in self.groups if group.workload is not None]
        namespaces = sorted({"default", *(group.namespace for group in (*self.groups, *self.running))})
        there = {one["metadata"]["name"] for one in self.others if one["kind"] == "Namespace"}
        spaces = [namespace(name) for name in namespaces if name not in there]
        return Scenario(
            [*spaces, *self.others, *self.pools, *self.nodes, *workloads, *pods], copy.deepcopy(self.offerings), focus
        )

    # What there is to buy

    def catalog(self) -> None:
        zones = ZONES[: self.rng.randint(2, 3)]
        chosen = [TYPES[0], *self.rng.sample(TYPES[1:], self.rng.randint(1, 2))]
        for (name, arch, cpu, memory, pods, fpga, price), zone in itertools.product(chosen, zones):
            dear = self.rng.randint(90, 130)
            for spot in (False, True):
                room = {"cpu": cpu, "memory": memory, "pods": pods, "ephemeral-storage": "20Gi"}
                self.offerings.append(
                    {
                        "type": name,
                        "zone": zone,
                        "capacityType": "spot" if spot else "on-demand",
                        "price": price * dear // (300 if spot else 100),
                        "percent": self.rng.choice([5, 20]),
                        "arch": arch,
                        "allocatable": {**room, FPGA: fpga} if fpga else room,
                    }
                )

    def offer(self, name: str) -> None:
        """Adds a type to the catalog, if it is not there."""
        if all(row["type"] != name for row in self.offerings):
            kind = next(one for one in TYPES if one[0] == name)
            _, arch, cpu, memory, pods, fpga, price = kind
            for zone in self.zones:
                room = {"cpu": cpu, "memory": memory, "pods": pods, "ephemeral-storage": "20Gi"}
                amounts = {**room, FPGA: fpga} if fpga else room
                row = {"type": name, "zone": zone, "capacityType": "on-demand", "price": price, "percent": 5}
                self.offerings.append({**row, "arch": arch, "allocatable": amounts})

    @property
    def zones(self) -> list[str]:
        return sorted({row["zone"] for row in self.offerings})

    @property
    def types(self) -> list[str]:
        return sorted({row["type"] for row in self.offerings})

    def cheapest(self, field: str = "zone") -> str:
        """The zone (or type, or capacityType) of the offering with the lowest price for its cpu."""
        best = min(self.offerings, key=lambda row: row["price"] / row["allocatable"]["cpu"])
        return str(best[field])

    def pool(self, **spec: Json) -> Json:
        """A pool over the whole catalog, unless told otherwise."""
        name = f"pool-{next(self._numbers)}"
        made = {
            "apiVersion": keys.API_VERSION,
            "kind": "NodePool",
            "metadata": {"name": name},
            "spec": {"template": {"metadata": {"labels": {}}, "spec": {"requirements": [], "taints": []}}, **spec},
        }
        self.pools.append(made)
        return made

    # What is there

    def node(self, *, cpu: str = "4", pods: int = 8, zone: str = "", taints: list[Json] | None = None) -> Json:
        name = f"node-{next(self._numbers)}"
        zone = zone or self.rng.choice(self.zones)
        amounts = {"cpu": cpu, "memory": "16Gi", "pods": str(pods), "ephemeral-storage": "20Gi"}
        own = {keys.HOSTNAME: name, keys.ZONE: zone, keys.ARCH: "amd64", keys.OS: "linux", "own": name}
        made = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {**own, keys.CAPACITY_TYPE: "on-demand"}},
            "spec": {"taints": taints or []},
            "status": {"allocatable": amounts, "capacity": amounts},
        }
        self.nodes.append(made)
        return made

    def group(self, count: int = 0, *, cpu: str = "", workload: bool | None = None) -> Group:
        """Pods that wait. Without `workload` the dice decide whether a Workload, with all of it on spot, owns them."""
        name = f"g{next(self._numbers):02}"
        managed = self.rng.random() < 0.5 if workload is None else workload
        made = Group(
            name,
            count or self.rng.randint(1, 4),
            {"app": self.rng.choice(["red", "green", "blue"]), "group": name},
            pod_spec(cpu or self.rng.choice(["100m", "500m", "1", "1500m"])),
            workload={} if managed else None,
        )
        self.groups.append(made)
        return made

    def runs(self, node: Json, count: int = 1, *, cpu: str = "200m", **labels: str) -> Group:
        """Pods that run on the node."""
        name = f"r{next(self._numbers)}"
        own = {"app": self.rng.choice(["red", "green", "blue"]), "group": name, **labels}
        made = Group(name, count, own, pod_spec(cpu), node=node["metadata"]["name"])
        self.running.append(made)
        return made


def pod_spec(cpu: str) -> Json:
    resources = {"requests": {"cpu": cpu, "memory": "256Mi"}}
    return {"containers": [{"name": "main", "image": "image", "resources": resources}]}


def namespace(name: str, **labels: str) -> Json:
    own = {"kubernetes.io/metadata.name": name, **labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": own}}


def _pods(group: Group) -> list[Json]:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": group.name, "uid": group.name, "controller": True}
    labels = {**group.labels, **({keys.WORKLOAD: group.name} if group.workload is not None else {})}
    spec = {**group.spec, **({"nodeName": group.node} if group.node else {})}
    made = []
    for number in range(group.count):
        metadata: Json = {"name": f"{group.name}-{number}", "namespace": group.namespace, "labels": labels}
        if group.owned:
            metadata["ownerReferences"] = [owner]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        made.append(copy.deepcopy({**pod, "status": group.status} if group.status else pod))
    return made


def _workload(group: Group) -> Json:
    template = {"metadata": {"labels": dict(group.labels)}, "spec": copy.deepcopy(group.spec)}
    return {
        "apiVersion": keys.API_VERSION,
        "kind": "Workload",
        "metadata": {"name": group.name, "namespace": group.namespace},
        "spec": {"deployment": {"replicas": group.count, "template": template}, "spot": group.workload},
    }
