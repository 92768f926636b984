"""When a decision is due, and the search for it beside the cycles that go on meanwhile."""

import asyncio
import logging
from dataclasses import replace

from spotkube.controllers.plans import Decision
from spotkube.controllers.view import View
from spotkube.metrics import Metrics
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.plan import PlannedNode
from spotkube.planner.bins import make_bins
from spotkube.planner.build import pods_to_place
from spotkube.worker import Planned, PlannerWorker

# In this order: what Apply has no place for may get one in a recommendation.
MODES = (Mode.APPLY, Mode.RECOMMEND)
logger = logging.getLogger(__name__)


class Planning:
    """At most one search at a time. A question that was answered is not asked again until something differs."""

    def __init__(self, worker: PlannerWorker, metrics: Metrics, seed: int, budget_seconds: float) -> None:
        self._worker = worker
        self._metrics = metrics
        self._seed = seed
        self._budget_seconds = budget_seconds
        self._answered: dict[Mode, int] = {}
        self._search: asyncio.Task[Decision] | None = None

    @property
    def busy(self) -> bool:
        return self._search is not None and not self._search.done()

    def start_if_due(self, view: View) -> None:
        if self._search is not None:
            return
        for mode in MODES:
            question = question_of(view.snapshot, mode)
            if question is not None and self._answered.get(mode) != hash(question):
                self._answered[mode] = hash(question)
                self._search = asyncio.create_task(self._decide(question, mode))
                return

    def take(self, view: View) -> Decision | None:
        """The decision that was reached since last time, without what no longer holds; None if there is none."""
        if self._search is None or not self._search.done():
            return None
        search, self._search = self._search, None
        try:
            return still_valid(search.result(), view)
        except Exception:
            # Whatever it was, the nodes in force stay, and the next change asks anew.
            logger.exception("no plan was made; the nodes stay as they are")
            self._answered.clear()
            return None

    async def _decide(self, snapshot: Snapshot, mode: Mode) -> Decision:
        waiting = pods_to_place(snapshot)
        planned: Planned = await self._worker.plan(snapshot, mode, self._seed, self._budget_seconds)
        self._metrics.plan_solve_seconds.observe(planned.seconds)
        example = f"such as {waiting[0].key}" if waiting else ""
        return Decision(mode, self._seed, f"{len(waiting)} pods wait, {example}", planned.plan, planned.seconds)

    async def stop(self) -> None:
        if self._search is not None:
            self._search.cancel()
            await asyncio.gather(self._search, return_exceptions=True)
        self._worker.stop()


def question_of(snapshot: Snapshot, mode: Mode) -> Snapshot | None:
    """The snapshot as far as the decision depends on it, or None when there is nothing to decide."""
    pools = tuple(pool for pool in snapshot.pools if pool.mode is mode and not pool.deleting)
    if not pools or not snapshot.offerings:
        return None
    settled = {pod.uid for bin_ in make_bins(snapshot) for pod in bin_.residents}
    if not any(pod.uid not in settled for pod in pods_to_place(snapshot)):
        return None
    # Readiness comes and goes without changing what a plan would be.
    pods = tuple(replace(pod, ready=False) for pod in snapshot.pods)
    return replace(snapshot, taken_at=0.0, pods=pods, pools=pools)


def still_valid(decision: Decision, view: View) -> Decision | None:
    """The decision without nodes that nobody needs any more; None if nothing of it is left to do or to tell."""
    wanted = {pod.uid for pod in pods_to_place(view.snapshot)}
    pools = {pool.name for pool in view.snapshot.pools if pool.mode is decision.mode and not pool.deleting}
    plan = decision.plan
    kept = tuple(node for node in plan.additions if node.pool in pools and _is_needed(node, wanted))
    dropped = sum(n.offering.price_micro_usd_hour for n in plan.additions) - sum(
        n.offering.price_micro_usd_hour for n in kept
    )
    if dropped:
        logger.info("%d planned nodes are no longer needed and are not bought", len(plan.additions) - len(kept))
    plan = replace(plan, additions=kept, cost_after_micro_usd_hour=plan.cost_after_micro_usd_hour - dropped)
    if not (plan.additions or plan.placements or plan.unplaceable):
        return None
    return replace(decision, plan=plan)


def _is_needed(node: PlannedNode, wanted: set[str]) -> bool:
    return any(pod in wanted for pod in node.pods)
