"""The one cycle: act on what was decided, observe, ask anew, take each claim its next step, care for the rest.

What fails in one step does not keep the others from being taken: a Workload that can't be written must not hold up a
drain.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass

from spotkube.api.nodeclaim import Phase
from spotkube.closing import Closing
from spotkube.cluster.errors import ApiError
from spotkube.controllers.carrying import Carrier
from spotkube.controllers.claims.doors import Doors
from spotkube.controllers.claims.reconcile import ClaimController
from spotkube.controllers.disruption.carry import DisruptionController
from spotkube.controllers.garbage import GarbageCollector
from spotkube.controllers.history import InterruptionHistory
from spotkube.controllers.placement import PlacementController
from spotkube.controllers.pools import PoolController
from spotkube.controllers.queues.reconcile import QueueController
from spotkube.controllers.toolbox import NotLeading, Toolbox
from spotkube.controllers.view import View
from spotkube.controllers.workloads.reconcile import WorkloadController, WorkloadView
from spotkube.controllers.workloads.status import node_facts
from spotkube.controllers.workloads.waiting import Outlook
from spotkube.enacting import Enactor
from spotkube.health import Health
from spotkube.model.labels import QUEUE_GATE
from spotkube.observe import Observer
from spotkube.pacing import Pace, until_next
from spotkube.planning import Planning
from spotkube.recording import record_view

# While claims are walked on, it is looked so often whether more nodes are about to end.
BESIDE_SECONDS = 2.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Controllers:
    """What each cycle runs."""

    doors: Doors
    claims: ClaimController
    placement: PlacementController
    workloads: WorkloadController
    pools: PoolController
    queues: QueueController
    garbage: GarbageCollector
    carrier: Carrier
    disruption: DisruptionController
    history: InterruptionHistory


class Loop:
    def __init__(
        self, tools: Toolbox, observer: Observer, planning: Planning, controllers: Controllers, pace: Pace
    ) -> None:
        self._tools = tools
        self._observer = observer
        self._planning = planning
        self._controllers = controllers
        self._pace = pace
        self._closing = Closing(controllers.doors, controllers.claims, observer)
        self._enactor = Enactor(
            tools.metrics, planning, controllers.placement, controllers.carrier, controllers.disruption
        )
        self._led = False

    async def run(self, stopping: asyncio.Event, health: Health) -> None:
        """Until `stopping` is set. Errors do not end the loop; without the lease it only keeps watch."""
        seen = 0
        while not stopping.is_set():
            began = asyncio.get_running_loop().time()
            health.beat()
            if self._tools.is_leader():
                self._led = True
                await self._guarded_cycle()
            elif self._led:
                self._forget()
            took = asyncio.get_running_loop().time() - began
            busy = self._planning.busy or self._planning.gathers or self._in_motion()
            news = [stopping.wait(), *(self._news() if self._tools.is_leader() else [])]
            haste = {"moves_on": self._controllers.queues.moves_on, "gathers": self._planning.gathers}
            seen = await until_next(self._tools.cache, self._pace, news, seen, took, busy=busy, **haste)
        await self._planning.stop()

    def _news(self) -> list[Coroutine[None, None, object]]:
        """What the next cycle does not wait for changes for."""
        gathered = self._planning.due_at - self._tools.clock()
        return [self._planning.decided(), *([asyncio.sleep(gathered)] if 0.0 < gathered < math.inf else [])]

    async def cycle(self) -> bool:
        """One decision's way, as far as it can go now; whether every step went well.

        Raises NotLeading when the lease is lost on the way, and what keeps us from seeing the cluster at all.
        """
        decided = not self._planning.done or await self._isolated("decision", self.act)
        # What was decided is carried on at once, and the next plan is searched for meanwhile.
        view = await self._closing.look(self._isolated)
        queued = await self._isolated("queues", lambda: self._queue(view))
        if self._controllers.queues.let_go and _holds_pods(view):  # they are planned for with those that wait already
            view = await self._observer.look()
        asked = await self._isolated("question", lambda: self._ask(view))
        return await self._carry_on(view) and decided and queued and asked

    async def _queue(self, view: View) -> None:
        await self._controllers.queues.reconcile(self._observer.queues.values(), view)

    async def _carry_on(self, view: View) -> bool:
        controllers, observer = self._controllers, self._observer
        steps: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("workloads", lambda: controllers.workloads.reconcile(self._workload_view(view))),
            ("pools", lambda: controllers.pools.reconcile(view, self._planning.blocked)),
            ("garbage", lambda: controllers.garbage.collect(view)),
            ("messages", lambda: self._tools.inbox.acknowledge(view)),
            ("interruptions", lambda: controllers.history.reconcile(view)),
            ("history", lambda: controllers.carrier.prune(observer.plans.values())),
            ("disruption", lambda: self._disrupt(view)),
            ("planning", lambda: self._ask_again(view)),
        ]
        # Thousands of pods to be placed must not hold up the nodes that they wait for, nor a thousand that are evicted
        # what is bought for them.
        long = [
            asyncio.create_task(self._isolated("claims", lambda: controllers.claims.reconcile(view))),
            asyncio.create_task(self._isolated("placement", lambda: controllers.placement.reconcile(view))),
        ]
        waiting = self._planning.busy
        fine = await self._together(*long, self._decide_beside(long))
        if waiting and not self._planning.busy:  # nodes that seemed to be empty may be used by now
            view = await observer.look()
        fine += [await self._isolated(name, step) for name, step in steps]
        record_view(self._tools.metrics, self._tools.cache, view)
        return all(fine)

    async def _decide_beside(self, others: Sequence[asyncio.Task[bool]]) -> bool:
        """While the others go on: carries out the decision that is reached, and asks the next one for what was closed
        since. Moves can wait for them, which reckon with the nodes as they were."""
        fine = True
        while going_on := [task for task in others if not task.done()]:
            decided = asyncio.create_task(self._planning.decided())
            try:
                await asyncio.wait([decided, *going_on], timeout=BESIDE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            finally:
                decided.cancel()
            if self._planning.moving or all(task.done() for task in others):
                break
            if self._planning.done and not await self._isolated("decision", self.act):
                return False  # the next cycle tries again: here it would be tried without a pause
            if not self._planning.busy and self._closing.has_unasked:
                fine &= await self._isolated("question", self._ask_beside)
        return fine

    async def _ask_beside(self) -> None:
        await self._ask(await self._closing.look(self._isolated))

    @staticmethod
    async def _together(*steps: Awaitable[bool]) -> list[bool]:
        results = await asyncio.gather(*steps, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result is True for result in results]

    async def _isolated(self, name: str, step: Callable[[], Awaitable[None]]) -> bool:
        # In a large cluster each step takes its time, and nodes that are about to end are closed in between.
        await asyncio.sleep(0)
        self._tools.require_leader()
        try:
            await step()
        except NotLeading:
            raise
        except ApiError as error:
            logger.warning("%s: not finished in this cycle, which is tried again: %s", name, error)
            return False
        except Exception:
            # Level-triggered: whatever it was, the next cycle begins anew from what is.
            logger.exception("%s: failed in this cycle, which is tried again", name)
            return False
        return True

    async def _guarded_cycle(self) -> None:
        metrics = self._tools.metrics
        fine = False
        try:
            with metrics.cycle_seconds.time():
                fine = await self.cycle()
        except NotLeading:
            logger.info("the lease is lost: nothing more is done")
            self._forget()
            return
        except Exception:
            logger.exception("the cycle ended early and is tried again")
        metrics.cycles_total.labels("ok" if fine else "error").inc()
        if fine:
            metrics.last_cycle_timestamp_seconds.set(self._tools.clock())

    def _forget(self) -> None:
        """Another replica may lead now and decide: what we decided before says nothing any more."""
        self._led = False
        self._planning.forget()
        self._controllers.claims.forget()
        self._controllers.placement.forget()
        self._controllers.history.forget()
        self._tools.brake.forget()
        self._tools.resting.forget()
        self._controllers.queues.forget()

    async def _ask(self, view: View) -> None:
        if not self._planning.busy:
            self._closing.asked()
        self._planning.start_if_due(view, self._tools.resting.unproven())

    async def _ask_again(self, view: View) -> None:
        """Looks again first: what this cycle has changed must be in the question. Where all was at rest, whatever was
        begun now can wait for the next cycle: to look at a large cluster takes long. So it can while pods wait for
        company."""
        if not (self._planning.busy or self._planning.gathers) and (view.unsettled or self._in_motion()):
            self._planning.start_if_due(await self._observer.look(), self._tools.resting.unproven())

    async def act(self) -> None:
        """Carries out the decision that was reached."""
        view = await self._observer.look()
        decision = self._planning.take(view)
        if decision is not None:
            await self._enactor.enact(decision, view)

    async def _disrupt(self, view: View) -> None:
        def must_wait() -> bool:  # a plan is about to use the nodes that are empty
            return self._planning.busy or self._planning.has_question(view)

        if not await self._controllers.disruption.reconcile(view, must_wait):
            self._planning.rest_moves(view.now)

    def _workload_view(self, view: View) -> WorkloadView:
        expected = {
            uid: pod.nominated
            for uid, pod in view.pods.items()
            if pod.node is None and pod.nominated is not None and pod.nominated in view.claims
        }
        return WorkloadView(
            now=view.now,
            workloads=view.workloads,
            sources=view.sources,
            budgets=view.budgets,
            pods=tuple(view.pods_as_stored.values()),
            nodes=node_facts(view.snapshot.nodes, view.snapshot.claims),
            outlook=Outlook(
                view.claims,
                expected,
                self._enactor.reasons(view),
                self._enactor.recommended(view),
                self._controllers.queues.standings,
            ),
        )

    def _in_motion(self) -> bool:
        """Whether claims are on their way, in or out."""
        claims = self._observer.claims.values()
        return any(c.metadata.deletion_timestamp is not None or c.status.phase is not Phase.READY for c in claims)


def _holds_pods(view: View) -> bool:
    """Whether pods stand in a queue by themselves; those of a Job are made only once it is let go."""
    return any(QUEUE_GATE in pod.gates for pod in view.pods_as_stored.values())
