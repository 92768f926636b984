"""The queue in one cycle: sees its jobs, decides whose turn it is, lets them go, and says why the others wait."""

import logging
from collections.abc import Iterable, Mapping

from spotkube.api import FairQueue
from spotkube.api.fairqueue import INVALID
from spotkube.cluster.errors import ApiError, Invalid, NotFound
from spotkube.cluster.events import ObjectRef
from spotkube.cluster.resources import FAIRQUEUES, JOBS, PRIORITYCLASSES
from spotkube.controllers.queues.accounting import pods_of_others, rates_usd_hour
from spotkube.controllers.queues.capacity import ClusterCapacity, Market, total_of
from spotkube.controllers.queues.conditions import LASTING, Troubles, conditions, of_invalid, overlaps, to_models, told
from spotkube.controllers.queues.figures import Figures
from spotkube.controllers.queues.keeping import Keeper
from spotkube.controllers.queues.kinds import Member, Successors, Terms, all_kinds
from spotkube.controllers.queues.overruns import Overruns
from spotkube.controllers.queues.places import places
from spotkube.controllers.queues.seeing import Lookout, Sight
from spotkube.controllers.queues.standing import Standing, of_members, queue_status, standings, starts_of
from spotkube.controllers.queues.tempo import Tempo
from spotkube.controllers.queues.turns import Turns
from spotkube.controllers.queues.widths import WidthController, crews, pod_starts
from spotkube.controllers.toolbox import Toolbox, each
from spotkube.controllers.view import View
from spotkube.convert.queues import admits_namespace
from spotkube.model.labels import API_VERSION
from spotkube.model.resources import CPU
from spotkube.queueing.book import Book
from spotkube.queueing.decisions import Cause, Decisions
from spotkube.queueing.gangs import is_late
from spotkube.queueing.jobs import USD_HOUR, Amounts
from spotkube.queueing.queues import Queue
from spotkube.queueing.scene import Scene
from spotkube.queueing.seen import Phase
from spotkube.queueing.spending import Spending
from spotkube.queueing.tenants import Tenants
from spotkube.queueing.widths import share

# What a share is a share of where neither quotas nor pool limits say so: the order goes by ratios of shares.
_UNBOUNDED_MILLI_CPU = 1_000_000
# An Event costs the API server as much as an admission does.
_EVENTS_AT_ONCE = 25
logger = logging.getLogger(__name__)


class QueueController:
    """Owned by the leader. Its memory is kept in the cluster; what it remembers besides only saves calls."""

    def __init__(self, tools: Toolbox, namespace: str, tenant_label: str = "") -> None:
        """`tenant_label` as in `Tenants.by_label`."""
        self._tools = tools
        self._tenant_label = tenant_label
        successors = Successors()
        self._keeper = Keeper(tools, namespace, successors)
        self._overruns = Overruns(tools.recorder)
        self._figures = Figures(tools.metrics, self._overruns)
        self._memory: tuple[Book, Spending] | None = None
        self._kinds = all_kinds(tools, successors)
        self._lookout = Lookout(self._kinds)
        self._terms = Terms({}, Market(()), Tenants())
        self._widths = WidthController(tools)
        self._causes: dict[str, Cause] = {}
        self._told: dict[str, str] = {}
        self._troubles = Troubles()
        self._told_invalid: Mapping[str, str] = {}
        self._tempo = Tempo()
        self._turns = Turns(tools, self._figures)
        self.let_go = 0
        """How many objects the last cycle let go, or made room for in Jobs that are divided."""
        self.standings: Mapping[str, Standing] = {}
        """Of Jobs and pods that wait, by uid, as they were last told."""

    @property
    def moves_on(self) -> bool:
        """Whether somebody was let go lately."""
        return self._tempo.moves_on(self._tools.clock())

    def forget(self) -> None:
        """Another replica may lead meanwhile."""
        self._memory = None
        self._tools.cache.stores[JOBS].show_all()
        self._lookout.forget()
        self._turns.forget()
        self._figures.clear()

    async def reconcile(self, queues: Iterable[FairQueue], view: View) -> None:
        """One cycle. Raises ApiError, NotLeading; what was not carried out is decided again."""
        self.let_go, before = 0, self._turns.let_go
        by_name, rejected = {queue.name: queue for queue in queues}, self._rejected()
        sight, admits = self._look(view, by_name)
        if not (by_name or rejected or sight.members):
            self.standings = {}
            self._figures.clear()
            return
        if self._memory is None:
            self._memory = await self._keeper.load()
            sight, admits = self._look(view, by_name)  # again, by who stands in whose stead
        book, spending = self._memory
        models, invalid = to_models(by_name.values(), rejected)
        self._figures.spent(spending.accrue(view.now, rates_usd_hour(view, self._kinds, self._terms.tenants)))
        self._figures.ended(sight.jobs, book)
        total = total_of(view)
        totals = _totals(models, total)
        book.let_go(self._turns.under_way(sight))
        book.meet(view.now, models, sight.jobs, totals)
        self._lookout.settled(sight)
        others = pods_of_others(view, self._kinds)
        capacity = ClusterCapacity.of(view, total, self._terms.market, others, book.admitted())
        scene = book.scene(view.now, models, capacity, spending.of_queues())
        crew_of = crews(view, view.sources.values())
        shared = share(scene, pod_starts(crew_of, view.now))
        scene, decisions = shared.scene, shared.decisions
        book.note(decisions, scene)
        await self._carry_out(decisions, sight, book, view.now)
        self.let_go += self._turns.let_go - before + await self._widths.carry_out(crew_of, shared.widths)
        self._tempo.let_go(view.now, self.let_go)
        # Who was ended is kept at once.
        if not decisions.ended and not self._tempo.has_to_tell(view.now, len(scene.backlog)):
            gone = {one.uid for one in decisions.admitted}
            self.standings = {
                uid: one
                for uid, one in self.standings.items()
                if one.uid not in gone and scene.backlog.get(one.uid) is not None
            }
            return
        began = self._tools.clock()
        self._troubles = Troubles(invalid, overlaps(tuple(admits.items())))
        waiting = told(standings(scene, decisions), self._troubles)
        book.outcomes.tell(view.now, starts_of(waiting))
        self.standings = told(of_members(waiting, sight), self._troubles)
        there = {self._terms.tenants.of(name) for name, _ in view.snapshot.namespaces}
        by_job = {one.uid: one for one in self.standings.values()}
        self._figures.stand(scene, totals, by_job, spending.rates_usd_hour, there)
        self._overruns.look(view, by_name, self._terms.tenants)
        await self._tell(by_name, scene, sight, spending, view.now)
        await self._keeper.keep(book, spending, places(book, scene, waiting), view.now)
        self._tempo.told(view.now, self._tools.clock() - began)

    def _rejected(self) -> dict[str, str]:
        """Queues of which nothing is known but why they can't be read."""
        store = self._tools.cache.stores[FAIRQUEUES]
        return {name: words for (_, name), words in store.rejected.items() if store.get(name) is None}

    def _look(self, view: View, queues: Mapping[str, FairQueue]) -> tuple[Sight, dict[str, frozenset[str]]]:
        """The jobs, and which namespaces each queue is for."""
        offerings, priorities = view.snapshot.offerings, dict(self._tools.cache.stores[PRIORITYCLASSES].values())
        namespaces = {name: dict(labels) for name, labels in view.snapshot.namespaces}
        tenants, terms = Tenants.by_label(self._tenant_label, namespaces.items()), self._terms
        if (terms.market.offerings, terms.priorities, terms.tenants) != (offerings, priorities, tenants):
            self._terms = Terms(priorities, Market(offerings), tenants)
        admits = {
            name: frozenset(ns for ns, labels in namespaces.items() if admits_namespace(queue, labels))
            for name, queue in queues.items()
        }
        return self._lookout.look(view, admits, self._terms), admits

    async def _carry_out(self, decisions: Decisions, sight: Sight, book: Book, now: float) -> None:
        """Who is ended first. Of groups all members; what a killed operator left undone is found in the cluster."""
        leaving = book.leaving()
        self._note_causes(decisions, leaving, sight)
        admitted = (one.uid for one in decisions.admitted if not one.after)
        going = dict.fromkeys([*book.due(), *admitted, *sorted(sight.late(book.covers) - leaving)])
        await each(sight.members_of(leaving, Phase.RUNNING), lambda found: self._take_back(*found))
        await self._turns.take(going, sight, book, now)
        await each(sight.unheld, lambda member: member.kind.hold(member))

    def _note_causes(self, decisions: Decisions, leaving: frozenset[str], sight: Sight) -> None:
        news = {one.uid: one.cause for one in decisions.ended if one.uid in leaving and one.uid not in self._causes}
        for uid, cause in news.items():
            self._tools.metrics.queue_preemptions_total.labels(sight.members[uid][0].queue, cause.value).inc()
        self._causes = {uid: cause for uid, cause in {**self._causes, **news}.items() if uid in leaving}

    async def _take_back(self, uid: str, member: Member) -> None:
        if await member.kind.take_back(member):
            why = f"{self._causes[uid].value}: " if uid in self._causes else ""
            self._record(member, "Warning", "TakenBack", f"{why}it waits again, at its old place")

    async def _tell(
        self, queues: Mapping[str, FairQueue], scene: Scene, sight: Sight, spending: Spending, now: float
    ) -> None:
        self._tell_members(sight)
        self._tell_of_late_ones(scene, sight)
        await self._tell_invalid(queues, now)

        async def one(queue: FairQueue) -> None:
            try:
                await self._write(queue, scene, spending, now)
            except NotFound:
                return
            except ApiError as error:
                logger.warning("FairQueue %s: %s", queue.name, error)

        await each((queue for queue in queues.values() if queue.name in scene.queues), one)

    def _tell_members(self, sight: Sight) -> None:
        """An Event on each that waits for another reason than before; of too many, the others have it later."""
        self._told = {uid: reason for uid, reason in self._told.items() if uid in self.standings}
        there = {one.uid: one for some in sight.members.values() for one in some}
        there |= {one.member.uid: one.member for one in sight.refused}
        news = [(uid, one) for uid, one in self.standings.items() if self._told.get(uid) != one.reason and uid in there]
        news.sort(key=lambda item: item[1].reason not in LASTING)
        for uid, standing in news[:_EVENTS_AT_ONCE]:
            self._told[uid] = standing.reason
            type_ = "Warning" if standing.reason in LASTING else "Normal"
            self._record(there[uid], type_, "Waits", f"{standing.reason}: {standing.message}")

    def _tell_of_late_ones(self, scene: Scene, sight: Sight) -> None:
        """What can't be taken back keeps its room: only its owner can do something about it."""
        words = "its pods are not all ready in time, and nobody would make them anew: delete them to free their room"
        for uid, one in scene.running.items():
            if not one.job.preemptible and is_late(one, scene.now_seconds, scene.rules):
                for member in sight.members.get(uid, ())[:1]:
                    self._record(member, "Warning", "NotReady", words)

    async def _tell_invalid(self, queues: Mapping[str, FairQueue], now: float) -> None:
        """Once of each that can't be read; the conditions of the others are written with the rest of their status."""
        known, self._told_invalid = self._told_invalid, self._troubles.invalid
        for name, words in self._troubles.invalid.items():
            if known.get(name) == words:
                continue
            queue = queues.get(name)
            about = ObjectRef(API_VERSION, "FairQueue", name, (queue.metadata.uid if queue else None) or "", None)
            self._tools.recorder.record(about, "Warning", INVALID, words, "Queue")
            if queue is None:
                self._tools.require_leader()
                condition = of_invalid(words, now).model_dump(mode="json", by_alias=True, exclude_none=True)
                body = {"status": {"conditions": [condition]}}
                try:
                    await self._tools.client.patch(FAIRQUEUES, name, body, subresource="status")
                except (NotFound, Invalid) as error:
                    logger.warning("FairQueue %s: %s", name, error)

    async def _write(self, queue: FairQueue, scene: Scene, spending: Spending, now: float) -> None:
        found = conditions(queue, self._troubles, now)
        status = queue_status(queue, scene, spending, self._terms.tenants, found)
        status = status.model_copy(update={"overruns": self._overruns.of(queue.name)})
        if status == queue.status:
            return
        self._tools.require_leader()
        body = {"status": status.model_dump(mode="json", by_alias=True, exclude_none=True)}
        raw = await self._tools.client.patch(FAIRQUEUES, queue.name, body, subresource="status")
        self._tools.cache.feed(FAIRQUEUES, "MODIFIED", raw)

    def _record(self, member: Member, type_: str, reason: str, message: str) -> None:
        words = member.said(message)
        self._tools.recorder.record(member.about, "Warning" if type_ == "Warning" else "Normal", reason, words, "Queue")


def _totals(queues: Mapping[str, Queue], total: Amounts | None) -> dict[str, int]:
    """What a share is a share of: what the pools may have in all; where they have no limit, all quotas; else a
    thousand cores."""
    totals = dict(total or {})
    for queue in queues.values() if total is None else ():
        for name, quota in queue.quotas.items():
            if name != USD_HOUR:
                totals[name] = totals.get(name, 0) + quota.nominal
    return totals if totals.get(CPU) else {**totals, CPU: _UNBOUNDED_MILLI_CPU}
