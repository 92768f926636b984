"""Lets nodes go though nothing forces them to: as many as budgets allow, the most valuable first."""

import logging
from collections.abc import Callable, Sequence

from spotkube.api import NodeClaim
from spotkube.cluster.errors import ApiError
from spotkube.cluster.resources import CAPACITYPLANS, NODECLAIMS, NODES
from spotkube.controllers.carrying import Carrier
from spotkube.controllers.claims import patches
from spotkube.controllers.claims.acting import ClaimActor
from spotkube.controllers.claims.draining import PodAction
from spotkube.controllers.claims.evicting import Evictor
from spotkube.controllers.claims.steps import GiveBack, GiveBackReason
from spotkube.controllers.disruption import moves
from spotkube.controllers.disruption.budgets import allowed_now
from spotkube.controllers.disruption.moves import Move, has_begun, move_of, next_step
from spotkube.controllers.disruption.places import Room
from spotkube.controllers.disruption.sources import Source
from spotkube.controllers.placement import PlacementController
from spotkube.controllers.plans import Decision
from spotkube.controllers.planstatus import GIVEN_UP, with_applied
from spotkube.controllers.toolbox import Toolbox
from spotkube.controllers.view import View
from spotkube.model import labels
from spotkube.model.cluster import Mode
from spotkube.model.disruption import Disruptable, DisruptionReason
from spotkube.model.plan import Placement, Plan, PlannedDrain

UNDERUTILIZED = DisruptionReason.UNDERUTILIZED
logger = logging.getLogger(__name__)


class DisruptionController:
    """Level-triggered: a move stands on the claims of its nodes, so that a restart goes on with it or gives it up."""

    def __init__(
        self,
        tools: Toolbox,
        carrier: Carrier,
        actor: ClaimActor,
        placement: PlacementController,
        sources: Sequence[Source] = (),
    ) -> None:
        """`sources` say which nodes should go, whoever comes first having the first claim on the budgets."""
        self._tools = tools
        self._carrier = carrier
        self._actor = actor
        self._placement = placement
        self._sources = sources
        self._evictor = Evictor(tools)

    async def begin(self, decision: Decision, view: View) -> bool:
        """Stores a decision about moves on the claims whose nodes go, then buys. False if budgets let none go now.

        Raises ApiError, NotLeading: what is stored by then is given up by the next `reconcile`.
        """
        pools = {view.claims[drain.claim].spec.node_pool for drain in decision.plan.drains}
        if any(allowed_now(pool, UNDERUTILIZED, view) < 1 for pool in pools):
            return False

        async def store(plan: str, bought: Sequence[NodeClaim]) -> None:
            new = zip(decision.plan.additions, bought, strict=True)
            where = {uid: claim.name for node, claim in new for uid in node.pods}
            where |= {placement.pod: placement.target for placement in decision.plan.placements}
            for drain in decision.plan.drains:
                pool = view.pool_model(view.claims[drain.claim].spec.node_pool)
                until = view.now + (pool.payback_seconds if pool else 0.0)
                move = Move(plan, until, {uid: where.get(uid, "") for uid in drain.pods})
                await self._annotate(view.claims[drain.claim], move.to_text())

        await self._carrier.carry_out(decision, view, store)
        return True

    async def reconcile(self, view: View, must_wait: Callable[[], bool]) -> bool:
        """One step of each move, and the nodes that the sources name, unless pods are about to need these
        (`must_wait`). False if a move was given up."""
        taken, fine = await self._go_on(view)
        awaited = {to for _, move, _ in _under_way(view) for to in move.places.values()}
        due = [one for source in self._sources for one in source(view) if one.claim not in awaited]
        allowed = [one for one in _in_turn(due, view) if self._take_budget(one, view, taken)]
        if allowed and not must_wait():
            await self._give_back(allowed, view)
        return fine

    def _take_budget(self, one: Disruptable, view: View, taken: set[str]) -> bool:
        claim = view.claims[one.claim]
        if claim.name in taken or allowed_now(claim.spec.node_pool, one.reason, view, frozenset(taken)) < 1:
            return False
        taken.add(claim.name)
        return True

    async def _give_back(self, due: Sequence[Disruptable], view: View) -> None:
        """Records the decision first."""
        await self._carrier.carry_out(_decision(due, view), view)
        for one in due:
            try:
                step = GiveBack(GiveBackReason(one.reason.value), one.message)
                await self._actor.give_back(view.claims[one.claim], step)
            except ApiError as error:
                logger.warning("claim %s could not be given back, which is tried again: %s", one.claim, error)

    async def _go_on(self, view: View) -> tuple[set[str], bool]:
        """Each move's next step. Returns the claims that are on their way out, and whether no move was given up."""
        taken, over, room = set[str](), set[str](), Room(view)
        for claim, move, begun in _under_way(view):
            staying = {pod.uid for pod in moves.staying_pods(claim, view)}
            self._placement.remember(Placement(uid, to) for uid, to in move.places.items() if uid in staying)
            budget_allows = allowed_now(claim.spec.node_pool, UNDERUTILIZED, view, frozenset(taken)) > 0
            step = next_step(claim, move, view, room, budget_allows=budget_allows)
            if move.plan in over and not begun:
                step = moves.GiveUp("the move of other nodes that it belongs to was given up")
            if isinstance(step, moves.GiveUp):
                over.add(move.plan)
            elif begun or isinstance(step, moves.Evict | moves.GiveBackEmptied):
                taken.add(claim.name)
            try:
                await self._take(step, claim, move, view)
            except ApiError as error:
                logger.warning("the move of claim %s is tried again: %s", claim.name, error)
        return taken, not over

    async def _take(self, step: moves.Step, claim: NodeClaim, move: Move, view: View) -> None:
        node = view.node_of(claim)
        match step:
            case moves.Close() if node is not None:
                await self._tools.patched(NODES, None, node.name, patches.closing_patch(node))
            case moves.Evict():
                self._placement.remember([Placement(step.pod.uid, step.to)])
                await self._evictor.act((PodAction(step.pod),))
            case moves.GiveBackEmptied():
                message = f"its pods were moved as CapacityPlan {move.plan} says"
                await self._actor.give_back(claim, GiveBack(GiveBackReason.UNDERUTILIZED, message))
                if not any(other.name != claim.name and one.plan == move.plan for other, one, _ in _under_way(view)):
                    await self._tell(move.plan, True, "Applied", "")
            case moves.GiveUp():
                # Opened before it is forgotten, so that no node stays closed for ever.
                if node is not None and moves.is_closed(node):
                    await self._tools.patched(NODES, None, node.name, patches.reopening_patch(node))
                await self._annotate(claim, None)
                self._tools.event(claim, "MoveGivenUp", step.reason, "Consolidate", "Warning")
                logger.info("claim %s stays, its move is given up: %s", claim.name, step.reason)
                await self._tell(move.plan, False, GIVEN_UP, f"NodeClaim {claim.name} stays: {step.reason}")

    async def _annotate(self, claim: NodeClaim, text: str | None) -> None:
        self._tools.require_leader()
        body = patches.guarded(claim, {"metadata": {"annotations": {labels.MOVING: text}}})
        raw = await self._tools.client.patch(NODECLAIMS, claim.name, body)
        self._tools.cache.feed(NODECLAIMS, "MODIFIED", raw)

    async def _tell(self, plan: str, applied: bool, reason: str, message: str) -> None:
        """Writes into the CapacityPlan what became of it; it may have been pruned."""
        raw = await self._tools.client.get(CAPACITYPLANS, plan) if plan else None
        if raw is None:
            return
        conditions = with_applied(raw, applied, reason, message, self._tools.clock())
        if conditions is not None:
            self._tools.require_leader()
            body = {"status": {"conditions": conditions}}
            await self._tools.client.patch(CAPACITYPLANS, plan, body, subresource="status")


def _under_way(view: View) -> list[tuple[NodeClaim, Move, bool]]:
    """Claims whose pods are being moved, and whether one has left: those first, then the dearest."""
    found = [
        (claim, move, has_begun(claim, move, view))
        for claim in view.claims.values()
        if claim.metadata.deletion_timestamp is None and (move := move_of(claim)) is not None
    ]
    return sorted(found, key=lambda one: (not one[2], -one[0].spec.price_usd_per_hour, one[0].name))


def _in_turn(due: Sequence[Disruptable], view: View) -> list[Disruptable]:
    """In the order of their sources, and of each the dearest first; one that several name goes for the first reason."""
    reasons = list(dict.fromkeys(one.reason for one in due))
    known = {one.claim: one for one in reversed(due) if one.claim in view.claims}.values()
    price = {one.claim: view.claims[one.claim].spec.price_usd_per_hour for one in known}
    return sorted(known, key=lambda one: (reasons.index(one.reason), -price[one.claim], one.claim))


def _decision(due: Sequence[Disruptable], view: View) -> Decision:
    price = {claim.name: claim.price_micro_usd_hour for claim in view.snapshot.claims}
    now, saved = sum(price.values()), sum(price[one.claim] for one in due)
    plan = Plan(
        cost_now_micro_usd_hour=now,
        cost_after_micro_usd_hour=now - saved,
        drains=tuple(PlannedDrain(one.claim, (), price[one.claim], 0, one.message) for one in due),
        saved_micro_usd_hour=saved,
    )
    reasons = ", ".join(sorted({one.reason.value for one in due}))
    return Decision(Mode.APPLY, 0, f"{len(due)} nodes are to go: {reasons}", plan, 0.0)
