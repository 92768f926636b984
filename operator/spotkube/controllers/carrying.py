"""Carries a decision out: the record first, then the claims, then the places of the pods."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from spotkube.api import CapacityPlan, NodeClaim
from spotkube.api.capacityplan import CapacityPlanSpec, CapacityPlanStatus
from spotkube.api.common import ObjectMeta
from spotkube.api.nodepool import PoolMode
from spotkube.cluster.errors import ApiError
from spotkube.cluster.events import ObjectRef
from spotkube.cluster.resources import CAPACITYPLANS, NODECLAIMS
from spotkube.cluster.transport import Object
from spotkube.controllers.archive import Archive
from spotkube.controllers.placement import PlacementController
from spotkube.controllers.plans import Decision, decided, outdated, plan_name, to_claims
from spotkube.controllers.planstatus import to_status
from spotkube.controllers.toolbox import Toolbox, each
from spotkube.controllers.view import View
from spotkube.convert.kinds import MICRO
from spotkube.model.cluster import Mode
from spotkube.model.plan import Placement

# Of pods that are alike, so many get an event: thousands of events with one reason would help nobody.
MAX_TOLD = 10
# More than evictions at once: pods that have to leave must not wait for their new nodes behind all that are leaving.
PURCHASES_AT_ONCE = 64
# What is done with the plan's name and the claims that it is about to write.
Store = Callable[[str, Sequence[NodeClaim]], Awaitable[None]]
# What is done with each claim as soon as it is stored.
Begin = Callable[[NodeClaim, View], None]
logger = logging.getLogger(__name__)


class Carrier:
    """Between the record and the last claim the operator may be killed at any moment: what was bought by then is there
    for the next plan to use, and nothing is bought for the same pods again."""

    def __init__(
        self,
        tools: Toolbox,
        placement: PlacementController,
        plan_history: int,
        archive: Archive | None = None,
        begin: Begin | None = None,
    ) -> None:
        """`begin` lets each claim take its first steps while others are stored: a node takes its time to come. Without
        it the next cycle does."""
        self._tools = tools
        self._begin = begin
        self._archive = archive
        self._placement = placement
        self._plan_history = plan_history

    async def carry_out(self, decision: Decision, view: View, store: Store | None = None) -> None:
        """Writes the CapacityPlan, in mode Apply its claims, and then what is in the plan. `store` keeps what is to
        be known before anything is bought; of moves, whose end is told later, only the record is written without it.

        Raises ApiError, NotLeading.
        """
        name = plan_name(decision.mode, view.now)
        pools = view.snapshot.pools
        applied = decision.mode is Mode.APPLY and (store is not None or not decision.moves)
        claims = to_claims(decision, pools, name, self._homes(view)) if applied else []
        recorded = await self._record(name, decision)
        _log(name, decision)
        self._tell_pods(decision, view)
        try:
            if applied:
                await self._buy(name, decision, claims, view, store, recorded["creationTimestamp"])
            else:
                await self._write_status(name, to_status(decision, view, claims, applied=False))
        finally:  # to pack it takes a good part of a second of a large cluster, which no claim shall wait for
            if self._archive is not None and decision.record is not None:
                self._archive.keep(name, recorded["uid"], decision.record)

    async def _buy(
        self,
        name: str,
        decision: Decision,
        claims: Sequence[NodeClaim],
        view: View,
        store: Store | None,
        decided_at: str,
    ) -> None:
        # Before the first claim is written, so that no cycle plans for these pods again.
        for node, claim in zip(decision.plan.additions, claims, strict=True):
            self._placement.remember(Placement(pod, claim.name) for pod in node.pods)
        bodies = [decided(claim, decided_at).to_dict() for claim in claims]

        async def create(body: dict[str, object]) -> None:
            self._tools.require_leader()
            raw = await self._tools.client.create(NODECLAIMS, {k: v for k, v in body.items() if k != "status"})
            self._tools.cache.feed(NODECLAIMS, "ADDED", raw)
            stored = NodeClaim.from_dict(raw)
            self._placement.begin(stored, view)
            if self._begin is not None:
                self._begin(stored, view)

        try:
            if store is not None:
                await store(name, claims)
            await each(bodies, create, at_once=PURCHASES_AT_ONCE)
        except ApiError as error:
            await self._write_status(name, to_status(decision, view, claims, applied=False, failed=str(error)))
            raise
        await self._write_status(name, to_status(decision, view, claims, applied=not decision.moves))

    def _homes(self, view: View) -> Mapping[str, str]:
        """The claim on whose node each pod (its uid) is, or was until it was evicted."""
        claim_of = {node: claim for claim, node in view.node_names.items()}
        where = self._tools.displaced.left | {pod.uid: pod.node for pod in view.pods.values() if pod.node is not None}
        return {uid: claim_of[node] for uid, node in where.items() if node in claim_of}

    def _tell_pods(self, decision: Decision, view: View) -> None:
        """Why they have no place, where `kubectl describe pod` shows it: no Workload tells it of pods of nobody."""
        for group in decision.plan.unplaceable:
            nobodys = [pod for uid in group.pods if (pod := view.pods.get(uid)) and pod.workload is None]
            for pod in nobodys[:MAX_TOLD]:
                ref = ObjectRef("v1", "Pod", pod.name, pod.uid, pod.namespace)
                self._tools.recorder.record(ref, "Warning", "NoPlace", group.in_short, "Plan")

    async def prune(self, plans: Sequence[CapacityPlan]) -> None:
        """Deletes the oldest CapacityPlans beyond what is kept."""
        for plan in outdated(plans, self._plan_history):
            self._tools.require_leader()
            try:
                await self._tools.client.delete(CAPACITYPLANS, plan.name, uid=plan.metadata.uid)
            except ApiError as error:
                logger.warning("CapacityPlan %s could not be pruned, which is tried again: %s", plan.name, error)

    async def _record(self, name: str, decision: Decision) -> Object:
        """That there is such a plan: what is in it is told once its claims are stored, which pods wait for. Returns the
        metadata of what was recorded."""
        self._tools.require_leader()
        spec = CapacityPlanSpec(mode=PoolMode(decision.mode), seed=decision.seed, trigger=decision.trigger[:1024])
        body = CapacityPlan(metadata=ObjectMeta(name=name), spec=spec).to_dict()
        raw = await self._tools.client.create(CAPACITYPLANS, {k: v for k, v in body.items() if k != "status"})
        metadata: Object = raw["metadata"]
        return metadata

    async def _write_status(self, name: str, status: CapacityPlanStatus) -> None:
        self._tools.require_leader()
        body = {"status": status.model_dump(mode="json", by_alias=True, exclude_none=True)}
        raw = await self._tools.client.patch(CAPACITYPLANS, name, body, subresource="status")
        self._tools.cache.feed(CAPACITYPLANS, "MODIFIED", raw)


def _log(name: str, decision: Decision) -> None:
    plan = decision.plan
    dollars = plan.cost_after_micro_usd_hour / MICRO
    logger.info(
        "CapacityPlan %s: %d nodes to buy and %d to give back, %d pods placed, %d without a place, $%.4f an hour (%s)",
        name,
        len(plan.additions),
        len(plan.drains),
        plan.placed_pods,
        sum(len(group.pods) for group in plan.unplaceable),
        dollars,
        decision.trigger,
    )
