"""Carries out one step of a claim's life, whoever decided it."""

import logging
from collections.abc import Mapping
from dataclasses import replace

from spotkube.api import NodeClaim
from spotkube.api.nodeclaim import NodeClaimStatus, Phase
from spotkube.cluster.errors import NotFound
from spotkube.cluster.resources import NODECLAIMS, NODES
from spotkube.cluster.transport import Object
from spotkube.controllers.claims import patches, steps
from spotkube.controllers.claims.deciding import next_step
from spotkube.controllers.claims.doors import Doors
from spotkube.controllers.claims.evicting import Evictor
from spotkube.controllers.claims.leaving import is_cordoned
from spotkube.controllers.claims.looking import pods_on_node
from spotkube.controllers.claims.steps import Facts, Step
from spotkube.controllers.toolbox import Toolbox
from spotkube.convert.nodes import to_node
from spotkube.model import labels
from spotkube.model.cluster import Node
from spotkube.model.offerings import Offering, OfferingKey
from spotkube.model.pods import Pod
from spotkube.providers.port import InstanceState, InsufficientCapacity, ProviderError

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
logger = logging.getLogger(__name__)


class ClaimActor:
    """What it does may be done again: each write is of the claim as it was read, each call to the cloud repeatable."""

    def __init__(self, tools: Toolbox, doors: Doors) -> None:
        self._tools = tools
        self._doors = doors
        self._evictor = Evictor(tools)

    def has_asked(self, pod: Pod) -> bool:
        """Whether the pod was asked to go lately, whatever came of it."""
        return self._evictor.has_asked(pod)

    async def take(
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
                return await self._record(claim, step, facts), facts
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
                await self._drain(step, claim)
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

    async def _record(
        self, claim: NodeClaim, step: steps.RecordNotice | steps.RecordWarning, facts: Facts
    ) -> NodeClaim:
        status = patches.noticed(claim, step, facts.now)
        if isinstance(step, steps.RecordNotice) and facts.node is not None and is_cordoned(facts.node):
            status = patches.draining(claim.model_copy(update={"status": status}), facts.instance, facts.now)
        after = await self._write(claim, status)
        kind = step.notice.kind.value
        self._tools.metrics.notices_total.labels(kind).inc()
        reason = "TerminationNotice" if isinstance(step, steps.RecordNotice) else "TerminationWarning"
        self._event(claim, reason, f"{kind} by {step.notice.source}", "Record")
        return after

    async def _drain(self, step: steps.Drain, claim: NodeClaim) -> None:
        """Whoever was asked just now is given the time to go before anything is said of it: a write for each of a
        thousand nodes costs the time that some of their pods would need."""
        if not await self._evictor.act(step.actions) and step.message:
            await self.say(claim, step.message)

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
            await self.say(claim, str(error))
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
        if step.phase in (Phase.REGISTERED, Phase.READY):
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
        left = await self._tools.client.delete(NODECLAIMS, claim.name, uid=claim.metadata.uid)
        self._tools.metrics.claims_failed_total.labels(step.reason.value).inc()
        if step.reason is not steps.GiveBackReason.NOTICE:  # which was told when it was recorded
            self._event(claim, step.reason.value, step.message, "GiveBack")
        logger.info("claim %s is given back: %s", claim.name, step.message)
        return self._as_stored(claim, left)

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

    async def reread(self, claim: NodeClaim) -> NodeClaim | None:
        """The claim as it is stored, also in the cache: a watch may not tell of it for a while. None when it is gone.

        Raises ApiError.
        """
        return self._as_stored(claim, await self._tools.client.get(NODECLAIMS, claim.name))

    def _as_stored(self, claim: NodeClaim, raw: Object | None) -> NodeClaim | None:
        if raw is None or raw["metadata"].get("uid") != claim.metadata.uid:
            return None
        self._tools.cache.feed(NODECLAIMS, "MODIFIED", raw)
        return NodeClaim.from_dict(raw)

    async def say(self, claim: NodeClaim, message: str) -> None:
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
