"""What is written of a decision in the status of its CapacityPlan."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from spotkube.api import NodeClaim
from spotkube.api.capacityplan import (
    MAX_ADDITIONS,
    MAX_CHANGES,
    MAX_CONCENTRATIONS,
    MAX_DRAINS,
    MAX_FRONT,
    MAX_UNPLACEABLE,
    Addition,
    Baselines,
    CapacityPlanStatus,
    Concentration,
    Drain,
    FrontPoint,
    HelpfulChange,
    Landing,
    Moves,
    NodeCounts,
    PodCounts,
    UnplaceablePods,
    WorkDone,
)
from spotkube.api.common import Condition, ConditionStatus
from spotkube.api.nodeclaim import CapacityType
from spotkube.controllers.plans import Decision
from spotkube.controllers.view import View
from spotkube.convert.kinds import MICRO
from spotkube.model.cluster import Mode
from spotkube.model.explanation import Change
from spotkube.model.plan import Plan, PlannedDrain, PlannedNode

# Reason of condition Applied where a part of the nodes that were to go stays.
GIVEN_UP = "GivenUp"


def to_status(
    decision: Decision, view: View, claims: Sequence[NodeClaim], *, applied: bool, failed: str = ""
) -> CapacityPlanStatus:
    """The record of a decision; lists are cut at what an object can bear, counts are not."""
    plan, now = decision.plan, view.now
    unplaceable = sum(len(group.pods) for group in plan.unplaceable)
    names: list[str | None] = [claim.name for claim in claims]
    names = names or [None] * len(plan.additions)
    pools = {pool.name for pool in view.snapshot.pools if pool.mode is decision.mode}
    drains = {drain.claim for drain in plan.drains}
    keep = [c for c in view.snapshot.claims if c.pool in pools and not c.leaving and c.name not in drains]
    return CapacityPlanStatus(
        observed_generation=1,
        conditions=_conditions(decision, unplaceable, now, applied=applied, failed=failed),
        cost_now_usd_per_hour=_dollars(plan.cost_now_micro_usd_hour),
        cost_after_usd_per_hour=_dollars(plan.cost_after_micro_usd_hour),
        lower_bound_usd_per_hour=_dollars(plan.lower_bound_micro_usd_hour),
        gap_percent=round(100 * plan.gap, 3) if plan.lower_bound_micro_usd_hour else None,
        pods=PodCounts(
            total=plan.placed_pods + unplaceable,
            placed=plan.placed_pods,
            unplaceable=unplaceable,
            unmet_preferences=plan.unmet_preferences,
        ),
        nodes=NodeCounts(add=len(plan.additions), keep=len(keep), drain=len(plan.drains)),
        additions=tuple(
            _addition(node, name) for node, name in zip(plan.additions[:MAX_ADDITIONS], names, strict=False)
        ),
        drains=tuple(_drain(drain) for drain in plan.drains[:MAX_DRAINS]),
        moves=_moves(plan, view),
        unplaceable=tuple(
            UnplaceablePods(
                name=group.name[:512],
                count=len(group.pods),
                reason=group.in_words[:1024],
                changes=tuple(_helpful(change) for change in group.changes[:MAX_CHANGES]),
            )
            for group in plan.unplaceable[:MAX_UNPLACEABLE]
        ),
        front=tuple(
            FrontPoint(
                usd_per_hour=_dollars(point.micro_usd_hour),
                interruption_usd_per_hour=round(point.interruption_micro_usd_hour / MICRO, 9),
                pods_lost_together=point.pods_lost_together,
                interruptions_per_month=point.interruptions_per_month,
                moved_pods=point.moved_pods,
                chosen=point.chosen,
            )
            for point in plan.front[:MAX_FRONT]
        ),
        policy=plan.policy,
        concentrations=tuple(
            Concentration(
                node_pool=one.pool,
                instance_type=one.instance_type,
                zone=one.zone,
                pods=one.pods,
                share=round(one.share, 4),
            )
            for one in plan.concentrations[:MAX_CONCENTRATIONS]
        ),
        work=WorkDone(
            column_rounds=plan.work.column_rounds,
            generations=plan.work.generations,
            branch_programs=plan.work.branch_programs,
            landing_tries=plan.work.landing_tries,
            evaluations=plan.work.evaluations,
            replans=plan.work.replans,
        ),
        landing=Landing(
            tries=plan.landing.tries,
            failed=plan.landing.failed,
            failed_before=plan.landing.failed_before,
            nodes_added=plan.landing.nodes_added,
            usd_per_hour_added=_dollars(plan.landing.micro_usd_hour_added),
        ),
        solve_seconds=round(decision.solve_seconds, 3),
        baselines=Baselines(
            first_fit_usd_per_hour=_dollars_or_none(plan.baselines.first_fit_micro_usd_hour),
            all_on_demand_usd_per_hour=_dollars_or_none(plan.baselines.all_on_demand_micro_usd_hour),
        ),
    )


def _helpful(change: Change) -> HelpfulChange:
    return HelpfulChange(
        kind=change.kind, object=change.name[:512], field=change.field[:512], to=change.after, words=change.words
    )


def _addition(node: PlannedNode, claim: str | None) -> Addition:
    return Addition(
        node_pool=node.pool,
        instance_type=node.offering.instance_type,
        zone=node.offering.zone,
        capacity_type=CapacityType(node.offering.capacity_type),
        price_usd_per_hour=_dollars(node.offering.price_micro_usd_hour),
        pods=len(node.pods),
        claim=claim,
        reason=node.reason[:1024],
    )


def _drain(drain: PlannedDrain) -> Drain:
    return Drain(
        claim=drain.claim,
        pods=len(drain.pods),
        saved_usd_per_hour=_dollars(drain.price_micro_usd_hour),
        moves_usd=_dollars(drain.moves_micro_usd),
        reason=drain.reason[:1024],
    )


def _moves(plan: Plan, view: View) -> Moves | None:
    repack, held = plan.repack, plan.held[0] if plan.held else None
    if repack is None and held is None and not plan.moved_pods:
        return None
    holding = view.pods.get(held.pod) if held else None
    return Moves(
        pods=plan.moved_pods,
        saved_usd_per_hour=_dollars(plan.saved_micro_usd_hour),
        usd=_dollars(plan.moves_micro_usd),
        pays_back_minutes=round(plan.payback_seconds / 60, 1) if plan.moved_pods else None,
        repack_usd_per_hour=_dollars(repack.cost_after_micro_usd_hour) if repack else None,
        repack_pods=repack.pods if repack else None,
        repack_usd=_dollars(repack.moves_micro_usd) if repack else None,
        held_nodes=len(plan.held),
        held_by=f"{holding.key if holding else held.pod}: {held.reason}"[:1024] if held else "",
    )


def _conditions(
    decision: Decision, unplaceable: int, now: float, *, applied: bool, failed: str
) -> tuple[Condition, ...]:
    solved = _condition(
        "Solved",
        unplaceable == 0,
        "AllPlaced" if unplaceable == 0 else "Unplaceable",
        "" if unplaceable == 0 else f"{unplaceable} pods have no place: see status.unplaceable",
        now,
    )
    if failed:
        return solved, _condition("Applied", False, "Failed", failed[:1024], now)
    if decision.mode is Mode.RECOMMEND:
        message = "mode Recommend: set spec.mode of the NodePools to Apply to carry such plans out"
        return solved, _condition("Applied", False, "RecommendOnly", message, now)
    reason = "Applied" if applied else "InProgress"
    return solved, _condition("Applied", applied, reason, "", now)


def with_applied(plan: dict[str, Any], applied: bool, reason: str, message: str, now: float) -> list[Any] | None:
    """The conditions of a stored CapacityPlan with what became of it; None if it was given up before."""
    conditions = (plan.get("status") or {}).get("conditions") or []
    if any(one["type"] == "Applied" and one["reason"] == GIVEN_UP for one in conditions):
        return None
    new = _condition("Applied", applied, reason, message[:1024], now)
    others = [one for one in conditions if one["type"] != "Applied"]
    return [*others, new.model_dump(mode="json", by_alias=True, exclude_none=True)]


def _condition(type_: str, holds: bool, reason: str, message: str, now: float) -> Condition:
    return Condition(
        type=type_,
        status=ConditionStatus.TRUE if holds else ConditionStatus.FALSE,
        observed_generation=1,
        last_transition_time=datetime.fromtimestamp(now, UTC),
        reason=reason,
        message=message,
    )


def _dollars(micro: int) -> float:
    return round(micro / MICRO, 6)


def _dollars_or_none(micro: int | None) -> float | None:
    return None if micro is None else _dollars(micro)
