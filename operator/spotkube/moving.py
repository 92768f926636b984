"""When it is asked whether nodes in force should be replaced, and whether the answer still holds when it comes."""

from dataclasses import replace

from spotkube.controllers.plans import Decision
from spotkube.controllers.view import View
from spotkube.model.cluster import ClaimPhase, Mode, Snapshot
from spotkube.planner.consolidation.candidates import candidates, gives_back


class MovesQuestion:
    """Asked in quiet times, at most once in `every_seconds`, and not again until something that matters differs."""

    def __init__(self, every_seconds: float) -> None:
        self._every_seconds = every_seconds
        self._next_at = 0.0
        self._answered: dict[Mode, int] = {}

    def next(self, view: View) -> tuple[Mode, Snapshot] | None:
        if view.now < self._next_at or not is_quiet(view):
            return None
        self._next_at = view.now + self._every_seconds
        for mode in (Mode.RECOMMEND, Mode.APPLY):
            question = moves_question(view.snapshot, mode)
            if question is not None and self._answered.get(mode) != hash(question):
                self._answered[mode] = hash(question)
                return mode, question
        return None

    def forget(self) -> None:
        self._answered.clear()


def is_quiet(view: View) -> bool:
    """Whether no node comes or goes, and no pod is on its way to one: else the next moment may need what is free."""
    settled = all(claim.phase is ClaimPhase.READY and not claim.leaving for claim in view.snapshot.claims)
    coming = any(pod.node is None and pod.nominated for pod in view.pods.values())
    return settled and not coming and not view.displaced


def moves_question(snapshot: Snapshot, mode: Mode) -> Snapshot | None:
    """The snapshot as far as the answer depends on it; None where there is nothing that could be given back."""
    pools = tuple(pool for pool in snapshot.pools if pool.mode is mode and not pool.deleting)
    giving = {pool.name for pool in pools if gives_back(pool)}
    if not snapshot.offerings or not any(claim.pool in giving for claim in snapshot.claims):
        return None
    # Readiness comes and goes, and so do evictions that budgets allow: of these only whether there is one matters.
    pods = tuple(replace(pod, ready=False) for pod in snapshot.pods)
    budgets = tuple(replace(budget, allowed=min(budget.allowed, 1)) for budget in snapshot.budgets)
    return replace(snapshot, taken_at=0.0, pods=pods, pools=pools, budgets=budgets)


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
