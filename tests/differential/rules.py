"""Rules that kube-scheduler does not know, checked plainly on manifests: what pools may buy, and who may be on spot.

Shares no code with the planner.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from differential.scenario import Json, Scenario, key_of, to_offering
from spotkube.model.quantities import parse_quantity

CAPACITY_TYPE = "spotkube.io/capacity-type"
WORKLOAD = "spotkube.io/workload"


@dataclass
class Ledger:
    """What the plan bought (pool and catalog row, by node) and where every pod stands after it (pod -> node)."""

    scenario: Scenario
    bought: dict[str, tuple[str, Json]] = field(default_factory=dict)
    standing: dict[str, str] = field(default_factory=dict)

    def pool(self, name: str) -> Json:
        return {pool["metadata"]["name"]: pool for pool in self.scenario.of_kind("NodePool")}[name]

    def is_spot(self, node: str) -> bool:
        if node in self.bought:
            return bool(self.bought[node][1]["capacityType"] == "spot")
        there = {one["metadata"]["name"]: one for one in self.scenario.of_kind("Node")}
        return bool(there[node]["metadata"]["labels"].get(CAPACITY_TYPE) == "spot")

    def broken(self) -> Iterator[str]:
        """What the plan does that the NodePools and Workloads do not allow."""
        for node, (pool, row) in self.bought.items():
            if not may_buy(self.pool(pool), row):
                yield f"pool {pool} may not buy {node}: {row}"
            if lacks_choice(self.pool(pool), [one for one in self.scenario.offerings if may_buy(self.pool(pool), one)]):
                yield f"pool {pool} has not the choice that it asks for, and {node} is bought"
        for pool_manifest in self.scenario.of_kind("NodePool"):
            yield from self._over_limits(pool_manifest, [])
        pods = {key_of(pod): pod for pod in self.scenario.of_kind("Pod")}
        for name, node in self.standing.items():
            workload = pods[name]["metadata"].get("labels", {}).get(WORKLOAD)
            if (
                node in self.bought
                and self.is_spot(node)
                and not workload
                and not self._sells_spot_to_all(self.bought[node][0])
            ):
                yield f"{name} belongs to no Workload and is planned onto spot node {node}"
        for workload_manifest in self.scenario.of_kind("Workload"):
            over = self._spot_left(workload_manifest)
            if over < 0:
                yield f"Workload {workload_manifest['metadata']['name']} has {-over} pods too many on spot"

    def excuses(self, pod: Json, node: str, fresh: tuple[str, Json] | None, takers: list[tuple[str, Json]]) -> bool:
        """Whether one of these rules keeps the pod off a node (a fresh one: its pool and row) that would take it.

        `takers` are all kinds of fresh nodes that would.
        """
        pool, row = fresh or ("", {})
        spot = row["capacityType"] == "spot" if fresh else self.is_spot(node)
        name = pod["metadata"].get("labels", {}).get(WORKLOAD)
        owner = next((w for w in self.scenario.of_kind("Workload") if w["metadata"]["name"] == name), None)
        if fresh and any(self._over_limits(self.pool(pool), [row])):
            return True
        if fresh and lacks_choice(self.pool(pool), [one for name_, one in takers if name_ == pool]):
            return True
        if spot and owner is not None and self._spot_left(owner) <= 0:
            return True
        row = row or self.bought.get(node, ("", {}))[1]
        if spot and owner is not None and row and self.share_left(owner, (row["type"], row["zone"])) <= 0:
            return True
        # Nodes that are there already, whoever bought them, are kube-scheduler's to fill.
        seller = pool or self.bought.get(node, ("", {}))[0]
        return bool(seller and spot and not name and not self._sells_spot_to_all(seller))

    def _sells_spot_to_all(self, pool: str) -> bool:
        return bool(self.pool(pool)["spec"].get("spot", {}).get("allowUnmanagedPods"))

    def _spot_left(self, workload: Json) -> int:
        """How many more of its pods may be on spot; negative when there are too many."""
        spot, wanted = workload["spec"].get("spot", {}), self._wanted(workload)
        if spot.get("never"):
            most = 0
        elif "onDemandBase" in spot:
            most = max(0, wanted - spot["onDemandBase"])
        else:
            most = int(Decimal(str(spot.get("spotFraction", 1))) * wanted)
        there = [self.standing.get(pod) for pod in self._pods_of(workload)]
        return most - sum(1 for node in there if node is not None and self.is_spot(node))

    def share_left(self, workload: Json, place: tuple[str, str]) -> int:
        """How many more of its pods may be on spot nodes of one type in one zone; negative when there are too many."""
        fraction = workload["spec"].get("spot", {}).get("maxFractionPerPool", 1)
        pods = self._pods_of(workload)
        most = max(1, int(Decimal(str(fraction)) * self._wanted(workload)))
        rows = [self.bought[node][1] for pod in pods if (node := self.standing.get(pod)) in self.bought]
        spot = [row for row in rows if row["capacityType"] == "spot"]
        return most - sum((row["type"], row["zone"]) == place for row in spot)

    def bought_spot_pools(self) -> set[tuple[str, str]]:
        """Type and zone of the spot nodes that are bought."""
        return {(row["type"], row["zone"]) for _, row in self.bought.values() if row["capacityType"] == "spot"}

    def _pods_of(self, workload: Json) -> list[str]:
        name = workload["metadata"]["name"]
        pods = self.scenario.of_kind("Pod")
        return [key_of(pod) for pod in pods if pod["metadata"].get("labels", {}).get(WORKLOAD) == name]

    def _wanted(self, workload: Json) -> int:
        return max(len(self._pods_of(workload)), workload["spec"]["deployment"]["replicas"])

    def _over_limits(self, pool: Json, more: list[Json]) -> Iterator[str]:
        limits = pool["spec"].get("limits", {})
        rows = [row for name, row in self.bought.values() if name == pool["metadata"]["name"]] + more
        if not rows:
            return
        if len(rows) > limits.get("nodes", len(rows)):
            yield f"pool {pool['metadata']['name']} has {len(rows)} nodes"
        total: Counter[str] = Counter()
        for row in rows:
            for resource, amount in row["allocatable"].items():
                total[resource] += parse_quantity(str(amount))  # type: ignore[assignment]
        for resource, most in limits.get("resources", {}).items():
            if total[resource] > parse_quantity(str(most)):
                yield f"pool {pool['metadata']['name']} has {total[resource]} {resource}"
        dollars = Decimal(sum(row["price"] for row in rows)) / 1_000_000
        if "usdPerHour" in limits and dollars > Decimal(str(limits["usdPerHour"])):
            yield f"pool {pool['metadata']['name']} costs {dollars}"


def may_buy(pool: Json, row: Json) -> bool:
    """Whether the pool's requirements and its limit of interruptions allow the catalog row."""
    spec = pool["spec"]
    labels = {**dict(to_offering(row).labels), **spec["template"].get("metadata", {}).get("labels", {})}
    if row["capacityType"] == "spot" and row["percent"] > spec.get("spot", {}).get("maxInterruptionPercent", 100):
        return False
    return all(_holds(one, labels) for one in spec["template"]["spec"].get("requirements", []))


def lacks_choice(pool: Json, rows: list[Json]) -> bool:
    """Whether rows of the catalog have fewer values of a label than the pool's minValues asks for."""
    labels = [dict(to_offering(row).labels) for row in rows]
    return any(
        len({one[requirement["key"]] for one in labels if requirement["key"] in one}) < requirement.get("minValues", 0)
        for requirement in pool["spec"]["template"]["spec"].get("requirements", [])
    )


def _holds(requirement: Json, labels: dict[str, str]) -> bool:
    value, values = labels.get(requirement["key"]), requirement.get("values", [])
    match requirement["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return value is not None and int(value) > int(values[0])
        case _:
            return value is not None and int(value) < int(values[0])
