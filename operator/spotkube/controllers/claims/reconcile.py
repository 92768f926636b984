"""Takes each claim its next steps: asks `deciding` what is due, does it, and looks again."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from spotkube.api import NodeClaim
from spotkube.api.nodeclaim import Phase
from spotkube.cluster.errors import ApiError, Conflict, NotFound
from spotkube.controllers.claims import steps
from spotkube.controllers.claims.acting import ClaimActor
from spotkube.controllers.claims.deciding import next_step
from spotkube.controllers.claims.draining import must_leave
from spotkube.controllers.claims.looking import waiting_for_successors
from spotkube.controllers.claims.overtaken import overtaken
from spotkube.controllers.claims.settled import SettledClaims
from spotkube.controllers.claims.steps import Facts, Step
from spotkube.controllers.claims.surging import not_succeeded_yet
from spotkube.controllers.disruption.places import Room, movable
from spotkube.controllers.ongoing import TURN_SECONDS, Ongoing
from spotkube.controllers.placement import pods_landing
from spotkube.controllers.toolbox import Toolbox, each
from spotkube.controllers.view import View
from spotkube.convert.termination import termination_rules
from spotkube.model.termination import TerminationRule
from spotkube.providers.port import ProviderError

# A claim goes from notice to the first eviction in five steps; more than this in one go would be a loop.
MAX_STEPS = 8
# What is done for all claims before anything is done for one.
_AT_ONCE = steps.RecordNotice | steps.Cordon
SECONDS_A_WALK, LONGEST_TURN_SECONDS = 0.05, 30.0
# What a claim that arrives waits for is written once it has waited for so long: most have it before.
SAID_AFTER_SECONDS = 10.0
# Notices of maintenance come days ahead: nobody is kept waiting for what can be told then.
SOON_SECONDS = 300.0
logger = logging.getLogger(__name__)


def turn_seconds(leaving: int) -> float:
    """How long a cycle waits for claims of which so many leave: in a large cluster its own steps would else leave no
    time for the evictions of hundreds of nodes, which have deadlines. A decision is carried out meanwhile. Those that
    arrive go on beside the next cycle: for their pods, which come meanwhile, it has more to do than to wait."""
    return min(LONGEST_TURN_SECONDS, TURN_SECONDS + SECONDS_A_WALK * leaving)


@dataclass(frozen=True, slots=True)
class _Walk:
    """One claim on its way, as the view of its beginning knows it. `room` is shared by all of that view."""

    claim: NodeClaim
    view: View
    room: Room


class ClaimController:
    """Level-triggered: what is done depends on the claim, its Node and its instance as they are now."""

    def __init__(self, tools: Toolbox, actor: ClaimActor) -> None:
        self._tools = tools
        self._actor = actor
        # By plan: how many of its pods are still to be bound, and since when so many.
        self._landing: dict[str, tuple[int, float]] = {}
        # By claim: since when its Node is there; and what it waits for, since when.
        self._joined: dict[str, float] = {}
        self._waits: dict[str, tuple[str, float]] = {}
        self._rules: Mapping[str, TerminationRule] = {}
        self._succeeded_later: frozenset[str] = frozenset()
        self._overtaken: frozenset[str] = frozenset()
        self._pods_wait = False
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
                    if (after := await self._actor.take(step, claim, facts, {})) is None:
                        return
                    claim, facts = after
            except NotFound:
                return
            except Conflict:
                await self._reread(claim)
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
        """One sweep over all claims, waited for as `turn_seconds` says: what is not done by then goes on beside the
        next cycle, which has the newer view for those that still wait. An error on one is logged and tried again."""
        self._landing = {
            plan: before if (before := self._landing.get(plan)) and before[0] == left else (left, view.now)
            for plan, left in pods_landing(view).items()
        }
        launched = [claim for claim in view.claims.values() if claim.status.phase is Phase.LAUNCHED]
        self._joined = {c.name: self._joined.get(c.name, view.now) for c in launched if view.node_of(c) is not None}
        self._waits = {name: one for name, one in self._waits.items() if name in view.claims}
        self._overtaken = overtaken(view.claims.values())
        self._rules = termination_rules(view.workloads)
        self._succeeded_later = waiting_for_successors(view, self._rules)
        self._pods_wait = self._have_to_be_told(view)
        room = Room(view)
        walks = {claim.name: _Walk(claim, view, room) for claim in self._unsettled(view)}
        leaving = sum(walk.claim.metadata.deletion_timestamp is not None for walk in walks.values())
        await self._walks.go_on(walks, turn_seconds(leaving))

    def _have_to_be_told(self, view: View) -> bool:
        """Whether pods wait to be told that their nodes end soon."""
        leaving = ((c, c.status.notice) for c in view.claims.values() if c.metadata.deletion_timestamp is not None)
        soon = (claim for claim, notice in leaving if notice and notice.deadline.timestamp() - view.now < SOON_SECONDS)
        pods = (pod for claim in soon for pod in view.pods_on.get(view.node_names[claim.name], ()))
        return any(not pod.deleting and must_leave(pod) and not self._actor.has_asked(pod) for pod in pods)

    def begin(self, claim: NodeClaim, view: View) -> None:
        """Lets one that was stored just now, and that the view does not know, take its first steps."""
        self._walks.add(claim.name, _Walk(claim, view, Room(view)))

    async def _walk(self, walk: "_Walk") -> None:
        try:
            await self._step_by_step(walk, walk.claim)
        except NotFound:
            return  # somebody else was quicker
        except Conflict:
            await self._reread(walk.claim)  # so here, as who stores a notice meanwhile: the next cycle looks anew
        except (ApiError, ProviderError) as error:
            logger.warning("claim %s: %s", walk.claim.name, error)

    async def _reread(self, claim: NodeClaim) -> None:
        """A watch that hangs must not keep a claim from its next step, whoever else writes to it."""
        try:
            await self._actor.reread(claim)
        except ApiError as error:
            logger.warning("claim %s has changed and can't be read: %s", claim.name, error)

    async def _step_by_step(self, walk: "_Walk", claim: NodeClaim) -> None:
        facts = self._facts(claim, walk.view)
        for _ in range(MAX_STEPS):
            if claim.metadata.deletion_timestamp is not None and facts.movable is None:
                facts = replace(facts, movable=movable(claim, facts.pods, walk.view, walk.room))
            step = next_step(claim, facts)
            if isinstance(step, steps.Wait):
                self._settled.looked_at(claim, step, walk.view)
                if not self._is_brief(claim, step.message, walk.view.now):
                    await self._actor.say(claim, step.message)
                return
            if self._pods_wait and _can_wait(step, claim):
                return
            self._tools.require_leader()
            after = await self._actor.take(step, claim, facts, walk.view.offered)
            if after is None:
                return
            claim, facts = after

    def _is_brief(self, claim: NodeClaim, message: str, now: float) -> bool:
        """Whether a claim that arrives waits for this since a moment only."""
        if claim.metadata.deletion_timestamp is not None or not message:
            self._waits.pop(claim.name, None)
            return False
        before = self._waits.get(claim.name)
        if before is None or before[0] != message:
            before = self._waits[claim.name] = message, now
        return now - before[1] < SAID_AFTER_SECONDS

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
            joined_at=self._joined.get(claim.name, -math.inf),
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


def _can_wait(step: Step, claim: NodeClaim) -> bool:
    """An instance that was given notice ends by itself. To end it before costs as many calls as its pods did, which are
    better made for those that have still to be told."""
    return isinstance(step, steps.LookAgain | steps.EndInstance) and claim.status.notice is not None
