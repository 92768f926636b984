"""What of a decision still holds by the time that it can be carried out. Pure."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from spotkube.controllers.headroom import Headroom
from spotkube.controllers.plans import Decision
from spotkube.controllers.view import View
from spotkube.model.plan import Plan, PlannedNode

logger = logging.getLogger(__name__)


def in_force(decision: Decision, heirs: Mapping[str, str]) -> Decision:
    """The decision with the pods that came while it was made, in the stead of those that they were planned as."""
    plan = decision.plan
    additions = tuple(replace(node, pods=tuple(heirs.get(uid, uid) for uid in node.pods)) for node in plan.additions)
    placements = tuple(replace(one, pod=heirs.get(one.pod, one.pod)) for one in plan.placements)
    return replace(decision, plan=replace(plan, additions=additions, placements=placements)) if heirs else decision


def still_valid(decision: Decision, view: View) -> Decision | None:
    """The decision without nodes that nobody needs any more, or that may not be bought any more; None if nothing of it
    is left to do or to tell."""
    wanted = view.unsettled
    left = {
        pool.name: Headroom.of(pool, view.snapshot.claims)
        for pool in view.snapshot.pools
        if pool.mode is decision.mode and not pool.deleting
    }
    kept: list[PlannedNode] = []
    dropped: list[PlannedNode] = []
    for node in decision.plan.additions:
        needed = any(pod in wanted for pod in node.pods)
        allowed = node.pool in left and node.offering.key not in view.snapshot.resting
        (kept if needed and allowed and left[node.pool].take(node.offering) else dropped).append(node)
    plan = _without(decision.plan, dropped, tuple(kept))
    if not (plan.additions or plan.placements or plan.unplaceable):
        return None
    return replace(decision, plan=plan)


def _without(plan: Plan, dropped: Sequence[PlannedNode], kept: tuple[PlannedNode, ...]) -> Plan:
    """The bound goes down with the cost: who adds the dropped nodes to the cheapest fleet for the pods that are left
    holds all pods, so it can't be cheaper than the old bound less these nodes."""
    if not dropped:
        return plan
    logger.info("%d planned nodes are not needed or not allowed any more and are not bought", len(dropped))
    saved = sum(node.offering.price_micro_usd_hour for node in dropped)
    return replace(
        plan,
        additions=kept,
        cost_after_micro_usd_hour=plan.cost_after_micro_usd_hour - saved,
        lower_bound_micro_usd_hour=max(0, plan.lower_bound_micro_usd_hour - saved),
        placed_pods=plan.placed_pods - sum(len(node.pods) for node in dropped),
    )
