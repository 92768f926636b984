"""When a decision is due, and the search for it beside the cycles that go on meanwhile."""

import asyncio
import logging
import math
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace

from spotkube.batching import Batch
from spotkube.controllers.plans import Decision
from spotkube.controllers.view import View
from spotkube.convert.snapshots import to_record
from spotkube.metrics import Metrics
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.offerings import OfferingKey
from spotkube.model.plan import Plan
from spotkube.model.pods import Pod
from spotkube.model.policy import PolicyUnsatisfiable
from spotkube.moving import MovesQuestion, moves_still_valid
from spotkube.validity import in_force, still_valid
from spotkube.worker import Planned, PlannerFailed, PlannerWorker

# In this order: what Apply has no place for may get one in a recommendation.
MODES = (Mode.APPLY, Mode.RECOMMEND)
# A planner that fails fails for a reason that most likely lasts.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
# A spot notice may be of half a minute only, and what one node held is soon planned for.
URGENT_SECONDS = 2.0
# What is found for few pods, or for pods of few kinds, is found soon: more time would only let them wait.
LEAST_SECONDS, SECONDS_PER_POD = 0.5, 0.01
KINDS_SECONDS, SECONDS_PER_KIND = 0.3, 0.1
# Whoever comes meanwhile waits for the end of the search, and in a stream somebody always does.
FLOWING_SECONDS = 0.25
# Pods that come meanwhile wait for it.
MOVES_SECONDS = 5.0
# What changes in so long in a large cluster is sent to the planner in a moment.
KEEP_UP_SECONDS = 10.0
# kube-scheduler fills what there is without us, and in a burst the pods that wait are others each time we look.
FILL_PAUSE_SECONDS = 0.25
logger = logging.getLogger(__name__)


class Planning:
    """At most one search at a time. A question that was answered is not asked again until something differs.

    Pods that have room on what is there get it at once; only for the others, company is waited for and a search made.
    """

    def __init__(
        self,
        worker: PlannerWorker,
        metrics: Metrics,
        seed: int,
        budget_seconds: float,
        batch: Batch | None = None,
        moves: MovesQuestion | None = None,
    ) -> None:
        """`moves` None: nodes in force are left as they are."""
        self._worker = worker
        self._batch = batch or Batch(0.0, 0.0)
        self._moves = moves
        self._metrics = metrics
        self._seed = seed
        self._budget_seconds = budget_seconds
        self._answered: dict[Mode, int] = {}
        self._filled: int | None = None
        self._filled_at = -math.inf
        self._search: asyncio.Task[Decision] | None = None
        self._moving = False
        self._asked = Mode.PAUSED
        self._blocked: dict[Mode, str] = {}
        self._outdated = False
        self._failures = 0
        self._paused_until = 0.0
        self._keeping_up: asyncio.Task[None] | None = None
        self._kept_up_at = -math.inf

    @property
    def busy(self) -> bool:
        """Whether a decision is being made, or waits to be taken."""
        return self._search is not None

    @property
    def done(self) -> bool:
        """Whether a decision waits to be taken."""
        return self._search is not None and self._search.done()

    @property
    def moving(self) -> bool:
        """Whether the decision is about nodes in force, for which nobody waits."""
        return self._moving

    @property
    def gathers(self) -> bool:
        """Whether pods wait for company: that no more come is news, too."""
        return self._batch.is_open

    @property
    def due_at(self) -> float:
        """When pods will have waited for company for long enough, whatever comes."""
        return self._batch.due_at

    @property
    def blocked(self) -> Mapping[Mode, str]:
        """Why there is no plan that the policy allows, until there is one."""
        return self._blocked

    async def decided(self) -> None:
        """Sleeps until a decision waits to be taken; for ever where none is being made."""
        await (asyncio.wait([self._search]) if self._search is not None else asyncio.Event().wait())

    def start_if_due(self, view: View, unproven: frozenset[OfferingKey] = frozenset()) -> None:
        """Asks the next question, if there is one that has not been answered. `unproven` as in `MovesQuestion.next`."""
        waiting = [pod for pod in view.snapshot.pods if pod.uid in view.unsettled] if view.unsettled else []
        complete = self._batch.is_complete(
            len(waiting), view.now, growing=view.coming, search_seconds=search_seconds(waiting)
        )
        if self._search is not None or view.now < self._paused_until:
            return
        mode, question, fingerprint = self._next_question(view)
        if question is None:
            # Pods for which nothing may be bought yet have not waited for company.
            self._batch.close()
            self._blocked.clear()
            if self._moves is not None and (asked := self._moves.next(view, unproven)) is not None:
                self._start(asked[0], self._decide_moves(*asked), moving=True)
            else:
                self._keep_up(view)
            return
        urgent = _is_urgent(view)
        # What is for sale plays no part in filling, but must not be left out of what is sent: it would have to be sent
        # anew with the next question, which takes up to a second of a busy machine.
        room = view.fingerprint(replace(question, offerings=()))
        if urgent or complete:
            self._batch.close()
            self._answered[mode] = fingerprint
            seconds = min(self._budget_seconds, self._worth(waiting, urgent=urgent))
            self._start(mode, self._decide(question, mode, waiting, seconds))
        elif (view.snapshot.nodes or view.snapshot.claims) and self._filled != room and self._fills_again(view.now):
            self._filled, self._filled_at = room, view.now
            self._start(mode, self._fill(question, mode))

    def _fills_again(self, now: float) -> bool:
        """Not where the batch is about to be planned for: that fills too, and would wait for the end of this."""
        return now - self._filled_at >= FILL_PAUSE_SECONDS and self._batch.due_at - now > FILL_PAUSE_SECONDS

    def _keep_up(self, view: View) -> None:
        """While nothing is asked, the planner is told what there is: the next question may be one that can't wait."""
        if view.now - self._kept_up_at < KEEP_UP_SECONDS or (self._keeping_up and not self._keeping_up.done()):
            return
        self._kept_up_at = view.now
        self._keeping_up = asyncio.create_task(self._tell(replace(view.steady, budgets=())))

    async def _tell(self, snapshot: Snapshot) -> None:
        try:
            await self._worker.keep_up(snapshot)
        except PlannerFailed as error:
            logger.warning("the planner could not be told what there is, so that its next plan takes longer: %s", error)

    def _start(self, mode: Mode, search: Coroutine[None, None, Decision], *, moving: bool = False) -> None:
        self._outdated, self._moving = False, moving
        self._asked = mode
        self._search = asyncio.create_task(search)

    def has_question(self, view: View) -> bool:
        """Whether something waits for a decision that has not been made."""
        return self._next_question(view)[1] is not None

    def _next_question(self, view: View) -> tuple[Mode, Snapshot | None, int]:
        """With its fingerprint."""
        for mode in MODES:
            question = question_of(view, mode)
            if question is not None and self._answered.get(mode) != (fingerprint := view.fingerprint(question)):
                return mode, question, fingerprint
        return Mode.PAUSED, None, 0

    def take(self, view: View) -> Decision | None:
        """The decision that was reached since last time, without what no longer holds; None if there is none."""
        if self._search is None or not self._search.done():
            return None
        search, self._search = self._search, None
        error = None if search.cancelled() else search.exception()
        if search.cancelled() or error is not None:
            self.postpone(view.now)
            if isinstance(error, PolicyUnsatisfiable):
                self._blocked[self._asked] = str(error)
            _log_failure(self._paused_until - view.now, error)
            return None
        decision = in_force(search.result(), view.heirs)
        if not decision.fills:
            self._blocked.pop(decision.mode, None)
        if self._outdated:
            return None
        return self._still_moves(decision, view) if decision.moves else still_valid(decision, view)

    def _still_moves(self, decision: Decision, view: View) -> Decision | None:
        """What no longer holds is asked again."""
        valid = moves_still_valid(decision, view)
        if valid is None and decision.plan.drains and self._moves is not None:
            logger.info("the cluster changed while moves were planned: they are dropped, and planned anew")
            self._moves.forget()
        return valid

    def forget(self) -> None:
        """Lets every question be asked anew: an answer was not carried out, or another replica led meanwhile, so that
        the answer to come is to a question of old."""
        self._answered.clear()
        self._filled, self._filled_at = None, -math.inf
        self._outdated = True
        if self._moves is not None:
            self._moves.forget()

    def forget_moves(self) -> None:
        """They could not begin now: the question is asked again."""
        if self._moves is not None:
            self._moves.forget()

    def rest_moves(self, now: float) -> None:
        """A move was given up: nobody is moved again for a while."""
        if self._moves is not None:
            self._moves.rest(now)

    def postpone(self, now: float) -> None:
        """A decision could not be made or carried out: the question is asked again, later each time."""
        self._paused_until = now + min(FIRST_PAUSE_SECONDS * 2**self._failures, LONGEST_PAUSE_SECONDS)
        self._failures = min(self._failures + 1, 10)
        self.forget()

    def succeeded(self) -> None:
        """A decision was made and, if need be, carried out."""
        self._failures = 0

    def _worth(self, waiting: Sequence[Pod], *, urgent: bool) -> float:
        """How many seconds a search for these is worth."""
        if urgent:
            return min(search_seconds(waiting), URGENT_SECONDS)
        return FLOWING_SECONDS if self._batch.flows else search_seconds(waiting)

    async def _decide(self, snapshot: Snapshot, mode: Mode, waiting: Sequence[Pod], seconds: float) -> Decision:
        planned: Planned = await self._worker.plan(snapshot, mode, self._seed, seconds)
        self._metrics.plan_solve_seconds.observe(planned.seconds)
        example = f"such as {waiting[0].key}" if waiting else ""
        record = to_record(snapshot, mode, self._seed, seconds, planned.plan)
        trigger = f"{len(waiting)} pods wait, {example}"
        return Decision(mode, self._seed, trigger, planned.plan, planned.seconds, record=record)

    async def _fill(self, snapshot: Snapshot, mode: Mode) -> Decision:
        plan = Plan(placements=await self._worker.fill(snapshot))
        return Decision(mode, self._seed, "", plan, 0.0, fills=True)

    async def _decide_moves(self, mode: Mode, snapshot: Snapshot) -> Decision:
        seconds = min(self._budget_seconds, MOVES_SECONDS)
        planned: Planned = await self._worker.plan(snapshot, mode, self._seed, seconds, moves=True)
        plan = planned.plan
        trigger = f"{len(plan.drains)} nodes in force cost more than it does to move their {plan.moved_pods} pods"
        record = to_record(snapshot, mode, self._seed, seconds, plan, moves=True)
        return Decision(mode, self._seed, trigger, plan, planned.seconds, record=record, moves=True)

    async def stop(self) -> None:
        for task in filter(None, (self._search, self._keeping_up)):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._worker.stop()


def search_seconds(waiting: Sequence[Pod]) -> float:
    """How long it is worth to search for places for these pods."""
    kinds = len({pod.shape for pod in waiting})
    return max(LEAST_SECONDS, min(SECONDS_PER_POD * len(waiting), KINDS_SECONDS + SECONDS_PER_KIND * kinds))


def _is_urgent(view: View) -> bool:
    """Whether nodes are leaving whose pods need others: these don't wait for company, and their search is short."""
    return bool(view.displaced) or any(pod.node in view.leaving_nodes for pod in view.pods.values())


def _log_failure(pause_seconds: float, error: BaseException | None) -> None:
    known = error is None or isinstance(error, PlannerFailed | PolicyUnsatisfiable)
    logger.error(
        "no plan was made, the nodes stay as they are; the next try is in %.0f s: %s",
        pause_seconds,
        error or "it was given up",
        exc_info=None if known else error,
    )


def question_of(view: View, mode: Mode) -> Snapshot | None:
    """The snapshot as far as the decision depends on it, or None when there is nothing to decide."""
    snapshot = view.snapshot
    pools = tuple(pool for pool in snapshot.pools if pool.mode is mode and not pool.deleting)
    if not pools or not snapshot.offerings or not view.unsettled:
        return None
    return replace(view.steady, pools=pools, budgets=())
