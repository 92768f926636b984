"""The queue in one cycle: sees its jobs, decides whose turn it is, lets them go, and says why the others wait."""

import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Mapping

from spotkube.api import FairQueue
from spotkube.cluster.errors import ApiError, Conflict, Invalid, NotFound
from spotkube.cluster.events import ObjectRef
from spotkube.cluster.resources import FAIRQUEUES, JOBS, PRIORITYCLASSES
from spotkube.controllers.queues import patches
from spotkube.controllers.queues.capacity import ClusterCapacity, Market, total_of
from spotkube.controllers.queues.keeping import Keeper
from spotkube.controllers.queues.places import places
from spotkube.controllers.queues.seeing import Lookout, Sight, pods_of_others, rates_usd_hour
from spotkube.controllers.queues.standing import Standing, queue_status, standings, starts_of
from spotkube.controllers.toolbox import Toolbox, each
from spotkube.controllers.view import View
from spotkube.convert.queues import admits_namespace, to_queue
from spotkube.convert.workloads import Source
from spotkube.model.resources import CPU
from spotkube.queueing.book import Book
from spotkube.queueing.cycle import decide
from spotkube.queueing.decisions import Cause, Decisions
from spotkube.queueing.jobs import USD_HOUR, Amounts
from spotkube.queueing.queues import Queue
from spotkube.queueing.scene import Scene
from spotkube.queueing.spending import Spending

# What a share is a share of where neither quotas nor pool limits say so: the order goes by ratios of shares.
_UNBOUNDED_MILLI_CPU = 1_000_000
# Few are told in each cycle how they stand. Many are not, since that takes longer than to decide: about a tenth of the
# time goes into it, and a restart may forget as much of the order as came since.
_TOLD_EACH_CYCLE = 500
_TOLD_A_SECOND = 1000
# An Event costs the API server as much as an admission does.
_EVENTS_AT_ONCE = 100
logger = logging.getLogger(__name__)


class QueueController:
    """Owned by the leader. Its memory is kept in the cluster; what it remembers besides only saves calls."""

    def __init__(self, tools: Toolbox, namespace: str) -> None:
        self._tools = tools
        self._keeper = Keeper(tools, namespace)
        self._memory: tuple[Book, Spending] | None = None
        self._lookout = Lookout({}, Market(()))
        self._told: dict[str, str] = {}
        self._told_at = 0.0
        self.let_go = 0
        """How many jobs the last cycle let go."""
        self.standings: Mapping[str, Standing] = {}
        """Of jobs that wait, by uid, as they were last told."""

    def forget(self) -> None:
        """Another replica may lead meanwhile."""
        self._memory = None

    async def reconcile(self, queues: Iterable[FairQueue], view: View) -> None:
        """One cycle. Raises ApiError, NotLeading; what was not carried out is decided again."""
        self.let_go = 0
        by_name = {queue.name: queue for queue in queues}
        if not by_name and not any(one.job and one.job.queued for one in view.sources.values()):
            self.standings = {}
            return
        if self._memory is None:
            self._memory = await self._keeper.load()
        book, spending = self._memory
        models = self._models(by_name.values())
        sight = self._look(view, by_name)
        spending.accrue(view.now, rates_usd_hour(view))
        total = total_of(view)
        book.meet(view.now, models, sight.jobs, _totals(models, total))
        capacity = ClusterCapacity.of(view, total, self._lookout.market, pods_of_others(view), book.admitted())
        scene = book.scene(view.now, models, capacity, spending.of_queues())
        decisions = decide(scene)
        book.note(decisions, scene)
        await self._carry_out(decisions, sight, book, view.now)
        if not self._has_to_tell(decisions, scene):
            gone = {one.uid for one in decisions.admitted}
            self.standings = {
                uid: one
                for uid, one in self.standings.items()
                if uid not in gone and scene.backlog.get(uid) is not None
            }
            return
        self._told_at = view.now
        self.standings = {**standings(scene, decisions), **_strangers(sight)}
        book.outcomes.tell(view.now, starts_of(self.standings))
        await self._tell(by_name, scene, sight, spending, view.now)
        await self._keeper.keep(book, spending, places(book, scene, self.standings), view.now)

    def _has_to_tell(self, decisions: Decisions, scene: Scene) -> bool:
        """Whether it is time to say who waits why and until when, and to keep it; who was ended is kept at once."""
        waiting, since = len(scene.backlog), scene.now_seconds - self._told_at
        return bool(decisions.ended) or waiting <= _TOLD_EACH_CYCLE or not 0 <= since < waiting / _TOLD_A_SECOND

    def _models(self, queues: Iterable[FairQueue]) -> dict[str, Queue]:
        models = {}
        for queue in queues:
            try:
                models[queue.name] = to_queue(queue)
            except ValueError as error:
                logger.warning("FairQueue %s admits nothing: %s", queue.name, error)
        return models

    def _look(self, view: View, queues: Mapping[str, FairQueue]) -> Sight:
        offerings, priorities = view.snapshot.offerings, dict(self._tools.cache.stores[PRIORITYCLASSES].values())
        if self._lookout.market.offerings != offerings or self._lookout.priorities != priorities:
            self._lookout = Lookout(priorities, Market(offerings))
        namespaces = {name: dict(labels) for name, labels in view.snapshot.namespaces}
        admits = {
            name: frozenset(ns for ns, labels in namespaces.items() if admits_namespace(queue, labels))
            for name, queue in queues.items()
        }
        return self._lookout.look(view, admits)

    async def _carry_out(self, decisions: Decisions, sight: Sight, book: Book, now: float) -> None:
        going = [one.uid for one in decisions.admitted if not one.after]
        causes = {one.uid: one.cause for one in decisions.ended}
        await each((sight.sources[uid] for uid in causes), lambda source: self._end(source, causes[source.uid]))
        await each((sight.sources[uid] for uid in (*book.due(), *going)), lambda source: self._let_go(source, now))
        await each(sight.unheld, self._hold)

    async def _let_go(self, source: Source, now: float) -> None:
        if await self._patch(source, patches.let_go(source, now)):
            self.let_go += 1
            waited = now - (source.job.queued.created_at if source.job and source.job.queued else now)
            self._tools.metrics.queue_wait_seconds.labels(_queue_of(source), source.namespace).observe(max(0.0, waited))
            self._record(source, "Normal", "Admitted", f"queue {_queue_of(source)} let it go")

    async def _end(self, source: Source, cause: Cause) -> None:
        if source.job is None or source.job.suspended:
            return
        if await self._patch(source, patches.take_back(source)):
            self._tools.metrics.queue_preemptions_total.labels(_queue_of(source), cause.value).inc()
            self._record(source, "Warning", "TakenBack", f"{cause.value}: it waits again, at its old place")

    async def _hold(self, source: Source) -> None:
        self._tools.require_leader()
        try:
            raw = await self._tools.client.patch(JOBS, source.name, patches.hold(source), namespace=source.namespace)
        except (NotFound, Conflict, Invalid):
            return
        self._tools.cache.feed(JOBS, "MODIFIED", raw)

    async def _patch(self, source: Source, operations: list[dict[str, object]]) -> bool:
        self._tools.require_leader()
        try:
            raw = await self._tools.client.patch(JOBS, source.name, operations, namespace=source.namespace, kind="json")
        except (NotFound, Conflict, Invalid):
            return False  # it is gone, or is not as it was seen: the next cycle looks again
        self._tools.cache.feed(JOBS, "MODIFIED", raw)
        return True

    async def _tell(
        self, queues: Mapping[str, FairQueue], scene: Scene, sight: Sight, spending: Spending, now: float
    ) -> None:
        self._tell_jobs(sight)
        waiting = Counter(one.queue for one in self.standings.values())
        for name in queues:
            self._tools.metrics.queue_waiting.labels(name).set(waiting[name])

        async def one(queue: FairQueue) -> None:
            try:
                await self._write(queue, scene, spending, now)
            except NotFound:
                return
            except ApiError as error:
                logger.warning("FairQueue %s: %s", queue.name, error)

        await each((queue for queue in queues.values() if queue.name in scene.queues), one)

    def _tell_jobs(self, sight: Sight) -> None:
        """An Event on each Job that waits for another reason than before; of too many, the others have it later."""
        self._told = {uid: reason for uid, reason in self._told.items() if uid in self.standings}
        news = (
            one for uid, one in self.standings.items() if self._told.get(uid) != one.reason and uid in sight.sources
        )
        for standing in itertools.islice(news, _EVENTS_AT_ONCE):
            self._told[standing.uid] = standing.reason
            self._record(sight.sources[standing.uid], "Normal", "Waits", f"{standing.reason}: {standing.message}")

    async def _write(self, queue: FairQueue, scene: Scene, spending: Spending, now: float) -> None:
        status = queue_status(queue, scene, spending, now)
        if status == queue.status:
            return
        self._tools.require_leader()
        body = {"status": status.model_dump(mode="json", by_alias=True, exclude_none=True)}
        raw = await self._tools.client.patch(FAIRQUEUES, queue.name, body, subresource="status")
        self._tools.cache.feed(FAIRQUEUES, "MODIFIED", raw)

    def _record(self, source: Source, type_: str, reason: str, message: str) -> None:
        if source.job is not None and source.job.queued is not None and source.job.queued.mistake:
            message = f"{message}; {source.job.queued.mistake}"
        about = ObjectRef("batch/v1", "Job", source.name, source.uid, source.namespace)
        self._tools.recorder.record(about, "Warning" if type_ == "Warning" else "Normal", reason, message, "Queue")


def _queue_of(source: Source) -> str:
    return source.job.queued.queue if source.job is not None and source.job.queued is not None else ""


def _strangers(sight: Sight) -> dict[str, Standing]:
    words = "its namespace may not use queue {0}: ask for a label that the queue's namespaceSelector selects"
    return {
        source.uid: Standing(source.uid, _queue_of(source), "NotAllowed", words.format(_queue_of(source)))
        for source in sight.strangers
    }


def _totals(queues: Mapping[str, Queue], total: Amounts | None) -> dict[str, int]:
    """What a share is a share of: what the pools may have in all; where they have no limit, all quotas; else a
    thousand cores."""
    totals = dict(total or {})
    for queue in queues.values() if total is None else ():
        for name, quota in queue.quotas.items():
            if name != USD_HOUR:
                totals[name] = totals.get(name, 0) + quota.nominal
    return totals if totals.get(CPU) else {**totals, CPU: _UNBOUNDED_MILLI_CPU}
