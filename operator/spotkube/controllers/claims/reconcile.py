"""Takes each claim its next steps: asks `deciding` what is due, does it, and looks again."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from spotkube.api import NodeClaim
from spotkube.api.nodeclaim import NodeClaimStatus, Phase
from spotkube.cluster.errors import ApiError, NotFound
from spotkube.cluster.resources import NODECLAIMS, NODES
from spotkube.controllers.claims import patches, steps
from spotkube.controllers.claims.deciding import next_step
from spotkube.controllers.claims.doors import Doors
from spotkube.controllers.claims.evicting import Evictor
from spotkube.controllers.claims.looking import pods_on_node, waiting_for_successors
from spotkube.controllers.claims.overtaken import overtaken
from spotkube.controllers.claims.settled import SettledClaims
from spotkube.controllers.claims.steps import Facts, Step
from spotkube.controllers.claims.surging import not_succeeded_yet
from spotkube.controllers.disruption.places import Room, movable
from spotkube.controllers.ongoing import TURN_SECONDS, Ongoing
from spotkube.controllers.placement import pods_landing
from spotkube.controllers.toolbox import Toolbox, each
from spotkube.controllers.view import View
from spotkube.convert.nodes import to_node
from spotkube.convert.termination import termination_rules
from spotkube.model import labels
from spotkube.model.cluster import Node
from spotkube.model.offerings import Offering, OfferingKey
from spotkube.model.termination import TerminationRule
from spotkube.providers.port import InstanceState, InsufficientCapacity, ProviderError

# A claim goes from notice to the first eviction in five steps; more than this in one go would be a loop.
MAX_STEPS = 8
# Reasons of events that nobody wanted.
_UNWANTED = frozenset(
    {
        steps.GiveBackReason.NOTICE,
        steps.GiveBackReason.REBALANCE,
        steps.GiveBackReason.NODE_LOST,
        steps.GiveBackReason.INSTANCE_GONE,
        steps.GiveBackReason.NOT_READY,
        steps.GiveBackReason.NO_CAPACITY,
    }
)
# What is done for all claims before anything is done for one.
_AT_ONCE = steps.RecordNotice | steps.Cordon
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Walk:
    """One claim on its way, as the view of its beginning knows it. `room` is shared by all of that view."""

    claim: NodeClaim
    view: View
    room: Room
    offerings: Mapping[OfferingKey, Offering]


class ClaimController:
    """Level-triggered: what is done depends on the claim, its Node and its instance as they are now."""

    def __init__(self, tools: Toolbox, doors: Doors) -> None:
        self._tools = tools
        self._doors = doors
        self._evictor = Evictor(tools)
        # By plan: how many of its pods are still to be bound, and since when so many.
        self._landing: dict[str, tuple[int, float]] = {}
        self._rules: Mapping[str, TerminationRule] = {}
        self._succeeded_later: frozenset[str] = frozenset()
        self._overtaken: frozenset[str] = frozenset()
        self._settled = SettledClaims()
        self._walks = Ongoing(self._walk)

    async def close(self, view: View) -> bool:
        """Stores notices that are new and closes their Nodes: before anything else is looked at, since evictions and
        plans take their time when many go at once. Whether there were any, so that the view is out of date."""
        news = [claim for claim in self._unsettled(view) if isinstance(self._first_step(claim, view), _AT_ONCE)]

        async def one(claim: NodeClaim) -> None:
            facts = self._facts(claim, view)
            try:
                while isinstance(step := next_step(claim, facts), _AT_ONCE):
                    self._tools.require_leader()
                    if (after := await self._take(step, claim, facts, {})) is None:
                        return
                    claim, facts = after
            except NotFound:
                return
            except ApiError as error:
                logger.warning("claim %s: %s", claim.name, error)

        await each(news, one)
        return bool(news)

    def _unsettled(self, view: View) -> list[NodeClaim]:
        """Claims that something may be due for. Messages come from beside the view."""
        told = self._tools.inbox.instances
        others = self._settled.others(view)
        if not told:
            return others
        names = {claim.name for claim in others}
        return [c for c in view.claims.values() if c.name in names or self._tools.inbox.of(c.status.provider_id)]

    def _first_step(self, claim: NodeClaim, view: View) -> Step:
        return next_step(claim, self._facts(claim, view))

    def forget(self) -> None:
        """Another replica may lead meanwhile."""
        self._walks.forget()

    async def reconcile(self, view: View) -> None:
        """One sweep over all claims, for as long as it takes: what is not done by then goes on beside the next cycle,
        which has the newer view for those that still wait. An error on one of them is logged and tried again."""
        offerings = {offering.key: offering for offering in view.snapshot.offerings}
        self._landing = {
            plan: before if (before := self._landing.get(plan)) and before[0] == left else (left, view.now)
            for plan, left in pods_landing(view).items()
        }
        self._overtaken = overtaken(view.claims.values())

        self._rules = termination_rules(view.workloads)
        self._succeeded_later = waiting_for_successors(view, self._rules)
        room = Room(view)
        walks = {claim.name: _Walk(claim, view, room, offerings) for claim in self._unsettled(view)}
        await self._walks.go_on(walks, TURN_SECONDS)

    async def _walk(self, walk: "_Walk") -> None:
        try:
            await self._step_by_step(walk, walk.claim)
        except NotFound:
            return  # somebody else finished it
        except (ApiError, ProviderError) as error:
            logger.warning("claim %s: %s", walk.claim.name, error)

    async def _step_by_step(self, walk: "_Walk", claim: NodeClaim) -> None:
        facts = self._facts(claim, walk.view)
        for _ in range(MAX_STEPS):
            if claim.metadata.deletion_timestamp is not None and facts.movable is None:
                facts = replace(facts, movable=movable(claim, facts.pods, walk.view, walk.room))
            step = next_step(claim, facts)
            if isinstance(step, steps.Wait):
                self._settled.looked_at(claim, step, walk.view)
                await self._say(claim, step.message)
                return
            self._tools.require_leader()
            after = await self._take(step, claim, facts, walk.offerings)
            if after is None:
                return
            claim, facts = after

    def _facts(self, claim: NodeClaim, view: View) -> Facts:
        node, instance = view.node_of(claim), (view.instances or {}).get(claim.metadata.uid or "")
        pods = view.pods_on.get(node.name, ()) if node else ()
        leaves = node is not None and node.name in view.leaving_nodes
        return Facts(
            now=view.now,
            pool=view.pool_model(claim.spec.node_pool),
            pool_unreadable=claim.spec.node_pool in view.unreadable_pools,
            node=node,
            instance=instance,
            instances_known=view.instances is not None,
            pods=pods,
            landing_since=self._landing[plan][1] if (plan := claim.spec.plan) in self._landing else None,
            margin_seconds=self._tools.notice_margin_seconds,
            # A cloud that does not answer while many nodes go at once must not keep their notices from being stored.
            told=self._tools.inbox.of(instance.provider_id if instance else claim.status.provider_id),
            balancer_seconds=self._tools.balancer_seconds,
            rules=self._rules,
            succeeded_later=self._succeeded_later if leaves else not_succeeded_yet(pods, self._rules),
            attached=view.attached.get(node.name, ()) if node else (),
            overtaken=claim.name in self._overtaken,
        )

    async def _take(
        self, step: Step, claim: NodeClaim, facts: Facts, offerings: Mapping[OfferingKey, Offering]
    ) -> tuple[NodeClaim, Facts] | None:
        """Carries out one step. Returns what is known after it, or None when the rest is for another cycle."""
        match step:
            case steps.Launch():
                return await self._launch(claim, facts, offerings)
            case steps.Advance():
                return await self._advance(claim, step, facts)
            case steps.Open() | steps.Avoid() if facts.node is not None:
                return claim, await self._patch_node(facts, patches.door_patch(facts.node, step))
            case steps.RecordNotice() | steps.RecordWarning():
                return await self._record(claim, step, facts.now), facts
            case steps.GiveBack():
                if await self._is_there_all_the_same(claim, step.reason):
                    return None
                left = await self.give_back(claim, step)
                return (left, facts) if left else None
            case steps.Cordon() if facts.node is not None:
                facts = replace(facts, node=await self._doors.close(step.node))
                # Its pods were counted before it was closed: where there seemed to be none, the next cycle looks anew.
                return (claim, facts) if facts.pods else None
            case steps.Drain():
                await self._evictor.act(step.actions)
                await self._say(claim, step.message)
                return None
            case steps.RecordDrained() | steps.LookAgain():
                return await self._before_the_end(step, claim, facts)
            case steps.EndInstance():
                await self._tools.provider.delete(step.provider_id)
                self._event(claim, "Terminating", "its instance is being ended", "Terminate")
                return None
            case steps.RemoveNode() if facts.node is not None:
                return await self._tidy(claim, facts.node, facts)
            case steps.Finish():
                await self._finish(claim)
        return None

    async def _record(self, claim: NodeClaim, step: steps.RecordNotice | steps.RecordWarning, now: float) -> NodeClaim:
        after = await self._write(claim, patches.noticed(claim, step, now))
        kind = step.notice.kind.value
        self._tools.metrics.notices_total.labels(kind).inc()
        reason = "TerminationNotice" if isinstance(step, steps.RecordNotice) else "TerminationWarning"
        self._event(claim, reason, f"{kind} by {step.notice.source}", "Record")
        return after

    async def _before_the_end(
        self, step: steps.RecordDrained | steps.LookAgain, claim: NodeClaim, facts: Facts
    ) -> tuple[NodeClaim, Facts]:
        if isinstance(step, steps.RecordDrained):
            return await self._write(claim, patches.drained(claim, facts.now)), facts
        pods = await pods_on_node(self._tools, step.node)
        return claim, replace(facts, pods=pods, looked_again=True)

    async def _tidy(self, claim: NodeClaim, node: Node, facts: Facts) -> tuple[NodeClaim, Facts] | None:
        if await self._is_there_all_the_same(claim, steps.GiveBackReason.INSTANCE_GONE):
            return None
        await self.remove_node(node)
        return claim, replace(facts, node=None)

    async def _finish(self, claim: NodeClaim) -> None:
        rest = [name for name in claim.metadata.finalizers or () if name != labels.TERMINATION_FINALIZER]
        if len(rest) < len(claim.metadata.finalizers or ()):
            body = patches.guarded(claim, {"metadata": {"finalizers": rest}})
            await self._tools.client.patch(NODECLAIMS, claim.name, body)

    async def _launch(
        self, claim: NodeClaim, facts: Facts, offerings: Mapping[OfferingKey, Offering]
    ) -> tuple[NodeClaim, Facts] | None:
        kind = (claim.spec.node_pool, claim.spec.capacity_type.value)
        try:
            instance = await self._tools.provider.create(patches.order_of(claim, offerings))
        except InsufficientCapacity as error:
            await self.give_back(claim, steps.GiveBack(steps.GiveBackReason.NO_CAPACITY, str(error), rest=True))
            return None
        except ProviderError as error:
            await self._say(claim, str(error))
            raise
        if instance.state is InstanceState.TERMINATED:
            gone = steps.GiveBack(steps.GiveBackReason.INSTANCE_GONE, "its instance ended before it joined", rest=True)
            await self.give_back(claim, gone)
            return None
        self._tools.metrics.claims_launched_total.labels(*kind).inc()
        self._event(claim, "Launched", f"bought {claim.spec.instance_type} in {claim.spec.zone}", "Launch")
        step = steps.Advance(Phase.LAUNCHED, provider_id=instance.provider_id)
        facts = replace(facts, instance=instance)
        return await self._enter(claim, step, facts), facts

    async def _advance(self, claim: NodeClaim, step: steps.Advance, facts: Facts) -> tuple[NodeClaim, Facts]:
        if step.phase is Phase.REGISTERED:
            facts = await self._guard_node(facts)
        if step.phase is Phase.READY and claim.metadata.creation_timestamp:
            waited = facts.now - claim.metadata.creation_timestamp.timestamp()
            self._tools.metrics.claim_ready_seconds.observe(waited)
            self._tools.brake.succeeded(claim.spec.node_pool)
            self._event(claim, "Ready", f"Node {step.node} takes pods", "Register")
        return await self._enter(claim, step, facts), facts

    async def _enter(self, claim: NodeClaim, step: steps.Advance, facts: Facts) -> NodeClaim:
        """Writes the phase together with what the claim waits for in it."""
        status = patches.advanced(claim, step, facts.now)
        ahead = next_step(claim.model_copy(update={"status": status}), facts)
        message = ahead.message if isinstance(ahead, steps.Wait) else ""
        return await self._write(claim, status.model_copy(update={"message": message or None}))

    async def _guard_node(self, facts: Facts) -> Facts:
        """Puts our finalizer onto the Node, so that deleting it drains it first."""
        node = facts.node
        if node is None or labels.TERMINATION_FINALIZER in node.finalizers:
            return facts
        return await self._patch_node(facts, patches.finalizer_added(node.finalizers))

    async def _patch_node(self, facts: Facts, operations: list[patches.Json]) -> Facts:
        assert facts.node is not None
        raw = await self._tools.client.patch(NODES, facts.node.name, operations, kind="json")
        self._tools.cache.feed(NODES, "MODIFIED", raw)
        return replace(facts, node=to_node(raw))

    async def give_back(self, claim: NodeClaim, step: steps.GiveBack) -> NodeClaim | None:
        """Deletes the claim, which its finalizer turns into a drain. Returns it as it is then, None when it is gone.

        Raises ApiError, NotLeading.
        """
        self._tools.require_leader()
        if step.reason is steps.GiveBackReason.NOT_READY:
            self._tools.brake.failed(claim.spec.node_pool, self._tools.clock())
        if step.rest:
            spec = claim.spec
            self._tools.resting.rest(OfferingKey(spec.instance_type, spec.zone, spec.capacity_type.value))
        await self._tools.client.delete(NODECLAIMS, claim.name, uid=claim.metadata.uid)
        self._tools.metrics.claims_failed_total.labels(step.reason.value).inc()
        self._event(claim, step.reason.value, step.message, "GiveBack")
        logger.info("claim %s is given back: %s", claim.name, step.message)
        return await self._reread(claim)

    async def remove_node(self, node: Node) -> None:
        """Deletes a Node whose instance is gone; never another that has its name by now."""
        try:
            if labels.TERMINATION_FINALIZER in node.finalizers:
                await self._tools.client.patch(NODES, node.name, patches.finalizer_removed(node), kind="json")
            await self._tools.client.delete(NODES, node.name, uid=node.uid)
        except NotFound:
            return

    async def _is_there_all_the_same(self, claim: NodeClaim, reason: steps.GiveBackReason) -> bool:
        """What seems to be gone is asked for by itself: a cache that lags, or an old listing, must not cost a node."""
        if reason is steps.GiveBackReason.NODE_LOST:
            return await self._tools.client.get(NODES, claim.status.node_name or claim.name) is not None
        if reason is steps.GiveBackReason.INSTANCE_GONE and claim.status.provider_id is not None:
            instance = await self._tools.provider.get(claim.status.provider_id)
            return instance is not None and instance.state in (InstanceState.PENDING, InstanceState.RUNNING)
        return False

    async def _reread(self, claim: NodeClaim) -> NodeClaim | None:
        raw = await self._tools.client.get(NODECLAIMS, claim.name)
        if raw is None or raw["metadata"]["uid"] != claim.metadata.uid:
            return None
        self._tools.cache.feed(NODECLAIMS, "MODIFIED", raw)
        return NodeClaim.from_dict(raw)

    async def _say(self, claim: NodeClaim, message: str) -> None:
        if (claim.status.message or "") != message:
            await self._write(claim, patches.told(claim, message))

    async def _write(self, claim: NodeClaim, status: NodeClaimStatus) -> NodeClaim:
        """Raises Conflict when the claim is not as we read it any more."""
        self._tools.require_leader()
        body = patches.guarded(claim, patches.status_patch(status))
        raw = await self._tools.client.patch(NODECLAIMS, claim.name, body, subresource="status")
        self._tools.cache.feed(NODECLAIMS, "MODIFIED", raw)
        return NodeClaim.from_dict(raw)

    def _event(self, claim: NodeClaim, reason: str, message: str, action: str) -> None:
        self._tools.event(claim, reason, message, action, "Warning" if reason in _UNWANTED else "Normal")
