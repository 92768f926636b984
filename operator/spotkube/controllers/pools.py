"""NodePools: their status, and their end, which takes their nodes along."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from spotkube.api import NodePool
from spotkube.api.common import Condition, ConditionStatus
from spotkube.api.nodepool import Failures, NodePoolStatus
from spotkube.cluster.errors import ApiError, NotFound
from spotkube.cluster.resources import NODECLAIMS, NODEPOOLS
from spotkube.controllers.disruption.budgets import unreadable
from spotkube.controllers.headroom import Headroom
from spotkube.controllers.toolbox import Toolbox, each
from spotkube.controllers.upkeep.sickness import SickNodes
from spotkube.controllers.view import View
from spotkube.convert.kinds import MICRO, to_node_budgets, to_pool
from spotkube.model.cluster import Claim, ClaimPhase, Mode, Pool
from spotkube.model.labels import NODEPOOL, TERMINATION_FINALIZER
from spotkube.model.offerings import Offering
from spotkube.model.resources import ResourceList
from spotkube.model.selectors import Requirement, matches_all

# Reasons of conditions that keep the pool from buying, or from giving back.
ALARMING = (
    "NothingForSale", "PolicyUnsatisfiable", "LimitReached", "BudgetUnreadable", "NodesNeverReady", "TooManySick",
)  # fmt: skip
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Troubles:
    """Why a pool can't do something, in words; each "" where it can.

    `no_plan` is why the policy allows none, `not_buying` why nothing is bought for a while, `not_repairing` why sick
    nodes are left as they are.
    """

    nothing_for_sale: str = ""
    no_plan: str = ""
    not_buying: str = ""
    not_repairing: str = ""


def pool_status(
    pool: NodePool,
    model: Pool,
    claims: list[Claim],
    now: float,
    troubles: Troubles = Troubles(),
    failures: Failures | None = None,
) -> NodePoolStatus:
    """What `kubectl get nodepools.spotkube.io` shows. A claim with a notice still costs; only limits leave it out."""
    nothing_for_sale, no_plan = troubles.nothing_for_sale, troubles.no_plan
    reason = "NothingForSale" if nothing_for_sale else "PolicyUnsatisfiable" if no_plan else "Planned"
    reached = Headroom.of(model, claims).reached()
    closed = unreadable(to_node_budgets(pool))
    conditions = (
        _condition(
            pool,
            "Ready",
            reason == "Planned",
            reason,
            nothing_for_sale or no_plan or f"mode {model.mode} is in force",
            now,
        ),
        _condition(
            pool,
            "LimitReached",
            bool(reached),
            "LimitReached" if reached else "BelowLimits",
            f"nothing more may be bought: {', '.join(reached)}" if reached else "",
            now,
        ),
        _condition(
            pool, "DisruptionAllowed", not closed, "BudgetUnreadable" if closed else "BudgetsInForce", closed, now
        ),
        _fine(pool, "Buying", "NodesBecomeReady", "NodesNeverReady", troubles.not_buying, now),
        _fine(pool, "RepairAllowed", "FewSick", "TooManySick", troubles.not_repairing, now),
    )
    return NodePoolStatus(
        observed_generation=pool.metadata.generation,
        conditions=conditions,
        nodes=len(claims),
        ready_nodes=sum(1 for claim in claims if claim.phase is ClaimPhase.READY),
        usd_per_hour=round(sum(claim.price_micro_usd_hour for claim in claims) / MICRO, 6),
        resources=sum((claim.allocatable for claim in claims), ResourceList()).to_quantities(),
        failures=failures,
    )


def why_nothing_for_sale(pool: Pool, offerings: Sequence[Offering]) -> str:
    """Why the pool may buy none of them, such as for a misspelt value; empty where it may, or none are known."""

    def sells(offering: Offering, term: Iterable[Requirement]) -> bool:
        labels = {**dict(offering.labels), **dict(pool.labels), NODEPOOL: pool.name}
        return offering.interruption_percent <= pool.max_interruption_percent and matches_all(term, labels)

    if not offerings or any(sells(offering, pool.requirements) for offering in offerings):
        return ""
    alone = [str(one) for one in pool.requirements if not any(sells(offering, (one,)) for offering in offerings)]
    which = "; ".join(alone) if alone else "all of its requirements together"
    risk = ", or raise spec.spot.maxInterruptionPercent" if pool.max_interruption_percent < 100 else ""
    return f"none of {len(offerings)} offerings meets {which}: correct spec.template.spec.requirements{risk}"


class PoolController:
    def __init__(self, tools: Toolbox, sick: SickNodes) -> None:
        self._tools = tools
        self._sick = sick

    async def reconcile(self, view: View, no_plan: Mapping[Mode, str]) -> None:
        """`no_plan` is why there is none for the pools of a mode."""

        async def one(pool: NodePool) -> None:
            try:
                await self._reconcile_one(pool, view, no_plan)
            except NotFound:
                return
            except ApiError as error:
                logger.warning("NodePool %s: %s", pool.name, error)

        await each(view.pools.values(), one)

    async def _reconcile_one(self, pool: NodePool, view: View, no_plan: Mapping[Mode, str]) -> None:
        claims = [claim for claim in view.snapshot.claims if claim.pool == pool.name]
        finalizers = pool.metadata.finalizers or ()
        if pool.metadata.deletion_timestamp is not None:
            # Its claims are given back by the claim controller, which sees that their pool is going.
            if not claims and TERMINATION_FINALIZER in finalizers and not await self._has_claims(pool.name):
                await self._set_finalizers(pool, [f for f in finalizers if f != TERMINATION_FINALIZER])
            return
        if TERMINATION_FINALIZER not in finalizers:
            await self._set_finalizers(pool, [*finalizers, TERMINATION_FINALIZER])
        model = view.pool_model(pool.name)
        if model is None:
            return
        troubles = Troubles(
            why_nothing_for_sale(model, view.snapshot.offerings),
            no_plan.get(model.mode, ""),
            self._tools.brake.why(pool.name),
            self._sick.held.get(pool.name, ""),
        )
        status = pool_status(pool, to_pool(pool), claims, view.now, troubles, self._tools.brake.failures(pool.name))
        if status != pool.status:
            self._tools.require_leader()
            body = _status_patch(pool.status, status)
            raw = await self._tools.client.patch(NODEPOOLS, pool.name, body, subresource="status")
            self._tools.cache.feed(NODEPOOLS, "MODIFIED", raw)
            for alarm in _alarms(pool.status, status):
                self._tools.event(pool, alarm.reason, alarm.message, "Reconcile", "Warning")

    async def _has_claims(self, pool: str) -> bool:
        claims, _ = await self._tools.client.list(NODECLAIMS)
        return any(claim["spec"]["nodePool"] == pool for claim in claims)

    async def _set_finalizers(self, pool: NodePool, finalizers: list[str]) -> None:
        self._tools.require_leader()
        body = {"metadata": {"finalizers": finalizers, "resourceVersion": pool.metadata.resource_version}}
        raw = await self._tools.client.patch(NODEPOOLS, pool.name, body)
        if finalizers:  # without any, it is gone by that
            self._tools.cache.feed(NODEPOOLS, "MODIFIED", raw)


def _alarms(old: NodePoolStatus, new: NodePoolStatus) -> list[Condition]:
    """What keeps the pool from buying or giving back, and did not before."""
    known = {(condition.reason, condition.message) for condition in old.conditions}
    alarming = [c for c in new.conditions if c.reason in ALARMING]
    return [condition for condition in alarming if (condition.reason, condition.message) not in known]


def _status_patch(old: NodePoolStatus, new: NodePoolStatus) -> dict[str, Any]:
    """A merge patch; a resource that no node has any more must be named to vanish."""
    body = new.model_dump(mode="json", by_alias=True, exclude_none=True)
    gone = dict.fromkeys(old.resources.keys() - new.resources.keys())
    return {"status": {"failures": None, **body, "resources": {**body.get("resources", {}), **gone}}}


def _fine(pool: NodePool, type_: str, good: str, bad: str, trouble: str, now: float) -> Condition:
    return _condition(pool, type_, not trouble, bad if trouble else good, trouble, now)


def _condition(pool: NodePool, type_: str, holds: bool, reason: str, message: str, now: float) -> Condition:
    status = ConditionStatus.TRUE if holds else ConditionStatus.FALSE
    before = next((c for c in pool.status.conditions if c.type == type_), None)
    since = before.last_transition_time if before and before.status is status else datetime.fromtimestamp(now, UTC)
    return Condition(
        type=type_,
        status=status,
        observed_generation=pool.metadata.generation,
        last_transition_time=since,
        reason=reason,
        message=message,
    )
