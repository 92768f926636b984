"""What no scheduler refuses, and a plan has to keep: priority, shares of spot pools, what a node costs, preferences."""

from __future__ import annotations

from differential.draft import Draft
from differential.recipes_purchases import customers, own_pool, without_spot_rule
from differential.registry import constraint
from differential.scenario import Scenario, pod_specs
from differential.wishes import PREFERRED
from spotkube.model import labels as keys


def _all_alike(scenario: Scenario) -> None:
    for spec in pod_specs(scenario):
        spec.pop("priority", None)


@constraint("pod-priority", _all_alike)
def _priority(draft: Draft) -> None:
    """A limit leaves room for some, and those who were there first are of the lower priority."""
    _, label = own_pool(draft, limits={"nodes": 1})
    customers(draft, label, 4, "1", workload=False)
    customers(draft, label, draft.rng.randint(1, 4), "1", workload=False).spec["priority"] = 1000


@constraint("spot-max-fraction-per-pool", without_spot_rule("maxFractionPerPool"))
def _max_fraction_per_pool(draft: Draft) -> None:
    """What is cheapest would be bought for all of them."""
    _, label = own_pool(draft)
    rule = {"maxFractionPerPool": draft.rng.choice([0.25, 0.34, 0.5])}
    customers(draft, label, 4, "1", workload=True).workload = rule


def _nodes_for_nothing(scenario: Scenario) -> None:
    for pool in scenario.of_kind("NodePool"):
        pool["spec"].pop("perNodeCost", None)


@constraint("pool-per-node-cost", _nodes_for_nothing)
def _per_node_cost(draft: Draft) -> None:
    """Two small nodes are cheaper than one large one, but not as each of them costs something besides."""
    draft.offer("f.xlarge")
    pool, label = own_pool(draft, perNodeCost=1)
    types = {"key": keys.INSTANCE_TYPE, "operator": "In", "values": ["m.large", "f.xlarge"]}
    pool["spec"]["template"]["spec"]["requirements"] = [types]
    customers(draft, label, 4, "1", workload=False)


def _no_preferences(scenario: Scenario) -> None:
    for spec in pod_specs(scenario):
        spec.get("affinity", {}).get("nodeAffinity", {}).pop(PREFERRED, None)


@constraint("preferred-node-affinity", _no_preferences)
def _preferred(draft: Draft) -> None:
    """The preferred zone is a little dearer than the cheapest."""
    _, label = own_pool(draft)
    zone = draft.zones[-1]
    for row in draft.offerings:
        others = [one["price"] for one in draft.offerings if one["zone"] != zone and _same_but_zone(one, row)]
        row["price"] = min(others) * 101 // 100 if row["zone"] == zone and others else row["price"]
    group = customers(draft, label, 4, "1", workload=False)
    term = {"matchExpressions": [{"key": keys.ZONE, "operator": "In", "values": [zone]}]}
    preferred = {PREFERRED: [{"weight": 100, "preference": term}]}
    group.spec.setdefault("affinity", {})["nodeAffinity"] = preferred


def _same_but_zone(one: dict[str, object], other: dict[str, object]) -> bool:
    return all(one[key] == other[key] for key in ("type", "capacityType"))
