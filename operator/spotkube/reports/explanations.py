"""Explanations as plain values for JSON and YAML."""

from collections.abc import Sequence
from typing import Any

from spotkube.model.explanation import Change, Costs
from spotkube.model.plan import PlannedNode, Unplaceable
from spotkube.reports.summary import usd


def change_values(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "object": change.name,
        "field": change.field,
        "from": change.before,
        "to": change.after,
        "words": change.words,
    }


def unplaceable_values(one: Unplaceable, pods: Sequence[str]) -> dict[str, Any]:
    return {
        "name": one.name,
        "pods": list(pods),
        "reason": one.in_words,
        "changes": [change_values(change) for change in one.changes],
        "orElse": [change_values(change) for change in one.or_else],
        "exclusions": [{"constraint": e.constraint, "offerings": e.offerings} for e in one.exclusions],
        "offerings": one.offerings,
    }


def node_choice_values(node: PlannedNode) -> dict[str, Any]:
    """How many offerings would hold the pods of the node, and the cheapest of the others."""
    return {
        "offerings": node.choice,
        "alternatives": [
            {
                "nodePool": other.pool,
                "instanceType": other.offering.instance_type,
                "zone": other.offering.zone,
                "capacityType": other.offering.capacity_type,
                "moreUSDPerHour": usd(other.more_micro_usd_hour),
            }
            for other in node.alternatives
        ],
    }


def cost_values(costs: Costs) -> dict[str, Any]:
    return {
        "tried": costs.tried,
        "notTried": list(costs.not_tried),
        "costs": [
            {
                "constraint": cost.constraint,
                "usdPerHour": None if cost.more_pods else usd(cost.micro_usd_hour),
                "certainUSDPerHour": usd(cost.certain_micro_usd_hour),
                "byBoundsUSDPerHour": usd(cost.by_bounds_micro_usd_hour),
                "morePods": cost.more_pods,
                "without": change_values(cost.without),
            }
            for cost in costs.costs
        ],
    }
