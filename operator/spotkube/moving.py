"""When it is asked whether nodes in force should be replaced, and whether the answer still holds when it comes."""

from dataclasses import replace

from spotkube.controllers.disruption.budgets import allowed_now
from spotkube.controllers.disruption.quiet import QuietNodes
from spotkube.controllers.plans import Decision
from spotkube.controllers.view import View
from spotkube.model.cluster import ClaimPhase, Mode, Snapshot
from spotkube.model.disruption import DisruptionReason
from spotkube.model.offerings import OfferingKey
from spotkube.planner.consolidation.candidates import candidates, gives_back

# What kept a move from being done, a pod that opted out or a node that did not come, lasts a while.
GIVEN_UP_SECONDS = 600.0


class MovesQuestion:
    """Asked in quiet times, at most once in `every_seconds`, and not again until something that matters differs."""

    def __init__(self, every_seconds: float) -> None:
        self._every_seconds = every_seconds
        self._next_at = 0.0
        self._answered: dict[Mode, int] = {}
        self._quiet = QuietNodes()

    def next(self, view: View, unproven: frozenset[OfferingKey] = frozenset()) -> tuple[Mode, Snapshot] | None:
        """`unproven` are offerings that failed lately: nobody is moved to them."""
        quiet = self._quiet.look(view)
        if view.now < self._next_at or not is_quiet(view):
            return None
        self._next_at = view.now + self._every_seconds
        for mode in (Mode.RECOMMEND, Mode.APPLY):
            snapshot = view.steady if mode is Mode.RECOMMEND else with_staying(view, quiet)
            question = moves_question(replace(snapshot, resting=snapshot.resting | unproven), mode)
            if question is not None and self._answered.get(mode) != (asked := view.fingerprint(question)):
                self._answered[mode] = asked
                return mode, question
        return None

    def forget(self) -> None:
        self._answered.clear()

    def rest(self, now: float) -> None:
        """A move was given up, so the question is asked again only after a while."""
        self.forget()
        self._next_at = now + GIVEN_UP_SECONDS


def with_staying(view: View, quiet: frozenset[str]) -> Snapshot:
    """The steady snapshot in which nodes stay that are not quiet, or that their pool's budgets let not go now."""
    reason = DisruptionReason.UNDERUTILIZED
    open_ = {pool for pool in view.pools if allowed_now(pool, reason, view) > 0}
    claims = (replace(one, stays=one.name not in quiet or one.pool not in open_) for one in view.snapshot.claims)
    return replace(view.steady, claims=tuple(claims))


def is_quiet(view: View) -> bool:
    """Whether no node comes or goes, and no pod is on its way to one: else the next moment may need what is free."""
    settled = all(claim.phase is ClaimPhase.READY and not claim.leaving for claim in view.snapshot.claims)
    coming = any(pod.node is None and pod.nominated for pod in view.pods.values())
    return settled and not coming and not view.displaced and not view.closing_nodes


def moves_question(snapshot: Snapshot, mode: Mode) -> Snapshot | None:
    """The steady snapshot as far as the answer depends on it; None where there is nothing that could be given back."""
    pools = tuple(pool for pool in snapshot.pools if pool.mode is mode and not pool.deleting)
    giving = {pool.name for pool in pools if gives_back(pool)}
    if not snapshot.offerings or not any(claim.pool in giving for claim in snapshot.claims):
        return None
    # Evictions that budgets allow come and go: only whether there is one matters.
    budgets = tuple(replace(budget, allowed=min(budget.allowed, 1)) for budget in snapshot.budgets)
    return replace(snapshot, pools=pools, budgets=budgets)


def moves_still_valid(decision: Decision, view: View) -> Decision | None:
    """The decision, if all of it still holds: the nodes are in force, may be given back, and hold the same pods, what
    they move to is there, and nothing began to come or go. Otherwise nothing of it, and the question is asked anew."""
    plan, snapshot = decision.plan, view.snapshot
    if not plan.drains or not is_quiet(view):
        return None
    pools = [pool for pool in snapshot.pools if pool.mode is decision.mode and not pool.deleting]
    now = {candidate.name: candidate for candidate in candidates(snapshot, pools)}
    for drain in plan.drains:
        candidate = now.get(drain.claim)
        if candidate is None or {pod.uid for pod in candidate.pods} != set(drain.pods):
            return None
    there = {claim.name for claim in snapshot.claims} | {node.name for node in snapshot.nodes}
    targets = {placement.target for placement in plan.placements}
    sold = {offering.key for offering in snapshot.offerings} - snapshot.resting
    bought = {node.offering.key for node in plan.additions}
    return decision if targets <= there and bought <= sold else None
