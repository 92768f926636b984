"""Decisions, the CapacityPlans that they are written down as, and the claims of what they buy."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from spotkube.api import CapacityPlan, NodeClaim
from spotkube.api.common import ObjectMeta
from spotkube.api.common import Taint as ApiTaint
from spotkube.api.nodeclaim import MAX_REPLACED, CapacityType, NodeClaimSpec
from spotkube.convert.kinds import MICRO
from spotkube.convert.snapshots import Record
from spotkube.model import labels
from spotkube.model.cluster import Mode, Pool
from spotkube.model.plan import Plan, PlannedNode
from spotkube.model.selectors import Taint
from spotkube.planner.formulation.kinds import node_labels


@dataclass(frozen=True, slots=True)
class Decision:
    """A Plan with what the CapacityPlan needs: why it was made and how long it took.

    `record` is what the plan was made from, None where no search was needed.
    One that `fills` only gives pods the room that there is: of it there is nothing to record. One of `moves` is about
    nodes in force.
    """

    mode: Mode
    seed: int
    trigger: str
    plan: Plan
    solve_seconds: float
    record: Record | None = None
    fills: bool = False
    moves: bool = False


def plan_name(mode: Mode, now: float) -> str:
    """Sorts by time; the tail keeps two within one second apart."""
    return f"{mode.lower()}-{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def claim_name(pool: str) -> str:
    return f"{pool}-{secrets.token_hex(4)}"


def to_claims(decision: Decision, pools: Sequence[Pool], plan: str, homes: Mapping[str, str]) -> list[NodeClaim]:
    """The NodeClaims of the plan's additions, in their order, named anew. Their finalizer is on them from the start.

    `homes` names the claims on whose nodes pods (their uids) run by now.
    """
    by_name = {pool.name: pool for pool in pools}
    return [_to_claim(node, by_name[node.pool], plan, homes) for node in decision.plan.additions]


def decided(claim: NodeClaim, at: str) -> NodeClaim:
    """The claim with when its plan was recorded, so that one written late by a stale head is known for it."""
    annotations = {**(claim.metadata.annotations or {}), labels.DECIDED_AT: at}
    return claim.model_copy(update={"metadata": claim.metadata.model_copy(update={"annotations": annotations})})


def _to_claim(node: PlannedNode, pool: Pool, plan: str, homes: Mapping[str, str]) -> NodeClaim:
    name, offering = claim_name(pool.name), node.offering
    replaced = sorted({homes[uid] for uid in node.pods if uid in homes})
    return NodeClaim(
        metadata=ObjectMeta(
            name=name,
            labels={labels.NODEPOOL: pool.name, labels.CAPACITY_TYPE: offering.capacity_type},
            annotations={labels.PLANNED_PODS: ",".join(node.pods)},
            finalizers=(labels.TERMINATION_FINALIZER,),
        ),
        spec=NodeClaimSpec(
            node_pool=pool.name,
            instance_type=offering.instance_type,
            zone=offering.zone,
            capacity_type=CapacityType(offering.capacity_type),
            arch=offering.arch,
            price_usd_per_hour=offering.price_micro_usd_hour / MICRO,
            allocatable=offering.allocatable.to_quantities(),
            labels={**dict(node_labels(pool, offering)), labels.NODECLAIM: name},
            taints=_api_taints(pool.taints),
            startup_taints=_api_taints(pool.startup_taints),
            plan=plan,
            reason=node.reason[:1024],
            replaces=tuple(replaced[:MAX_REPLACED]),
        ),
    )


def outdated(plans: Sequence[CapacityPlan], keep: int) -> list[CapacityPlan]:
    """The plans beyond the `keep` newest of each mode."""
    gone = []
    for mode in {plan.spec.mode for plan in plans}:
        of_mode = [plan for plan in plans if plan.spec.mode is mode]
        of_mode.sort(key=lambda plan: (plan.metadata.creation_timestamp or datetime.min.replace(tzinfo=UTC), plan.name))
        gone += of_mode[: max(0, len(of_mode) - keep)]
    return gone


def _api_taints(taints: Sequence[Taint]) -> tuple[ApiTaint, ...]:
    return tuple(ApiTaint.model_validate({"key": t.key, "value": t.value, "effect": t.effect.value}) for t in taints)
