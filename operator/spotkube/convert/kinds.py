"""NodePools and NodeClaims from their API models to the planner's values."""

from spotkube.api import NodeClaim, NodePool
from spotkube.api.common import Taint as ApiTaint
from spotkube.api.disruption import ConsolidationPolicy
from spotkube.api.fields import parse_duration_seconds
from spotkube.convert.pods import to_labels
from spotkube.model.cluster import Claim, ClaimPhase, Mode, Pool, Rebalance
from spotkube.model.disruption import NodeBudget
from spotkube.model.offerings import OfferingKey
from spotkube.model.resources import ResourceList, parse_amount
from spotkube.model.selectors import Operator, Requirement, Taint, TaintEffect

MICRO = 1_000_000


def to_pool(pool: NodePool) -> Pool:
    spec, template, limits = pool.spec, pool.spec.template, pool.spec.limits
    policy = spec.disruption.consolidation_policy
    gives_back = policy is not ConsolidationPolicy.NEVER
    return Pool(
        name=pool.name,
        mode=Mode(spec.mode),
        weight=spec.weight,
        requirements=tuple(Requirement(r.key, Operator(r.operator), r.values) for r in template.spec.requirements),
        min_values=tuple((r.key, r.min_values) for r in template.spec.requirements if r.min_values is not None),
        per_node_micro_usd_hour=round(spec.per_node_cost * MICRO),
        labels=to_labels(template.metadata.labels),
        taints=_taints(template.spec.taints),
        startup_taints=_taints(template.spec.startup_taints),
        limit_resources=tuple(sorted((name, parse_amount(name, amount)) for name, amount in limits.resources.items())),
        limit_nodes=limits.nodes,
        limit_micro_usd_hour=None if limits.usd_per_hour is None else round(limits.usd_per_hour * MICRO),
        max_interruption_percent=int(spec.spot.max_interruption_percent),
        allow_unmanaged_on_spot=spec.spot.allow_unmanaged_pods,
        max_fraction_per_pool=spec.spot.max_fraction_per_pool,
        ready_timeout_seconds=parse_duration_seconds(spec.ready_timeout),
        empty_after_seconds=parse_duration_seconds(spec.disruption.consolidate_after) if gives_back else None,
        consolidates=policy is ConsolidationPolicy.WHEN_EMPTY_OR_UNDERUTILIZED,
        payback_seconds=parse_duration_seconds(spec.disruption.pay_back_within),
        expire_after_seconds=parse_duration_seconds(spec.disruption.expire_after) or None,
        repair_after_seconds=parse_duration_seconds(spec.disruption.repair_after) or None,
        rebalance=Rebalance(spec.spot.rebalance),
        deleting=pool.metadata.deletion_timestamp is not None,
    )


def to_node_budgets(pool: NodePool) -> tuple[NodeBudget, ...]:
    """The budgets of the pool's nodes, as they stand there."""
    return tuple(
        NodeBudget(
            count=None if budget.nodes.endswith("%") else int(budget.nodes),
            percent=int(budget.nodes.removesuffix("%")) if budget.nodes.endswith("%") else None,
            reasons=budget.reasons,
            schedule=budget.schedule,
            duration_seconds=parse_duration_seconds(budget.duration) if budget.duration else 0.0,
        )
        for budget in pool.spec.disruption.budgets
    )


def to_claim(claim: NodeClaim) -> Claim:
    spec, status, metadata = claim.spec, claim.status, claim.metadata
    return Claim(
        name=claim.name,
        uid=metadata.uid or "",
        pool=spec.node_pool,
        offering=OfferingKey(spec.instance_type, spec.zone, spec.capacity_type.value),
        price_micro_usd_hour=round(spec.price_usd_per_hour * MICRO),
        allocatable=ResourceList.from_quantities(spec.allocatable),
        labels=to_labels(spec.labels),
        taints=_taints(spec.taints),
        startup_taints=_taints(spec.startup_taints),
        phase=ClaimPhase(status.phase) if status.phase else ClaimPhase.PENDING,
        node=status.node_name,
        deadline=status.notice.deadline.timestamp() if status.notice else None,
        deleting=metadata.deletion_timestamp is not None,
        created_at=metadata.creation_timestamp.timestamp() if metadata.creation_timestamp else 0.0,
    )


def _taints(taints: tuple[ApiTaint, ...]) -> tuple[Taint, ...]:
    return tuple(Taint(taint.key, TaintEffect(taint.effect), taint.value) for taint in taints)
