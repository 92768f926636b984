"""batch/v1 Jobs, those of Workloads and of CronJobs among them: suspended while they wait."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from spotkube.cluster.events import ObjectRef
from spotkube.cluster.resources import JOBS
from spotkube.cluster.transport import Object, Objects
from spotkube.controllers.expected import owner_of
from spotkube.controllers.queues.kinds import jobpatches
from spotkube.controllers.queues.kinds.protocol import Member, Terms
from spotkube.controllers.queues.widths import divided
from spotkube.controllers.toolbox import Toolbox
from spotkube.controllers.view import View
from spotkube.convert.queues import QueuedJob
from spotkube.convert.workloads import JobEnd, JobFacts, Source, SourceKey
from spotkube.model.kept import Kept
from spotkube.model.pods import Pod
from spotkube.model.resources import PODS, ResourceList
from spotkube.queueing.checkpoints import PodSaved
from spotkube.queueing.jobclasses import JobClass, owner_pattern
from spotkube.queueing.jobs import Job, PodSet
from spotkube.queueing.seen import Phase, Seen

_Saved = tuple[PodSaved, ...]
# A Job that began before anybody could hold it back is let be; suspending it would end its pods.
HOLD_WITHIN_SECONDS = 60.0


class JobKind:
    """Jobs that their owner suspended stand in no queue until he lets them go."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        self._terms: Terms | None = None
        self._known: Kept[Source, Member | None]
        self._saved: dict[str, tuple[Member, _Saved, Member]] = {}

    def members(self, view: View, terms: Terms) -> Iterable[Member]:
        if terms is not self._terms:
            self._terms, self._known = terms, Kept(lambda source: self._member(source, terms))
        found = [one for one in self._known.of_all(view.sources.values()) if one is not None]
        return [one if not one.unheld else _while_young(one, view.now) for one in self._with_saved(found, view)]

    def set_aside(self, ended: Iterable[Member]) -> None:
        """Not those of which Workloads tell, and not as long as a pod of one is paid for."""
        sources: list[Source] = [one.made_of for one in ended]
        idle = [one for one in sources if not one.workload and one.job is not None and not one.job.active]
        self._tools.cache.stores[JOBS].set_aside({(one.namespace, one.name): one for one in idle})

    def _with_saved(self, members: list[Member], view: View) -> list[Member]:
        """With what their pods say of when they saved their work, which few do."""
        before, self._saved = self._saved, {}
        saved = _saved_by_pods(view)
        if not saved:
            return members
        return [
            self._saying(one, saved[one.made_of.key], before) if one.made_of.key in saved else one for one in members
        ]

    def _saying(self, member: Member, pods: _Saved, before: Mapping[str, tuple[Member, _Saved, Member]]) -> Member:
        last = before.get(member.uid)
        if last is None or last[0] is not member or last[1] != pods:
            checkpoints = replace(member.made_of.job.queued.checkpoints, pods=pods)
            last = member, pods, replace(member, seen=replace(member.seen, checkpoints=checkpoints))
        self._saved[member.uid] = last
        return last[2]

    def _member(self, source: Source, terms: Terms) -> Member | None:
        """One that is `unheld` is so only while it is young."""
        job = source.job
        if job is None or (queued := job.queued) is None or (phase := _phase(job, queued)) is None:
            return None
        return Member(
            self,
            ObjectRef("batch/v1", "Job", source.name, source.uid, source.namespace),
            _seen(source, job, queued, phase, terms),
            queued.group,
            unheld=phase is Phase.RUNNING and _is_unheld(job, queued),
            mistake=queued.mistake,
            made_of=source,
        )

    def queue_of(self, pod: Pod, view: View) -> str | None:
        source = view.sources.get((pod.namespace, pod.owner))
        queued = source.job.queued if source is not None and source.job is not None else None
        return queued.queue if queued is not None else None

    async def let_go(self, member: Member, width: int | None, now: float) -> bool:
        return await self._patch(member, jobpatches.let_go(member.made_of, now, width))

    async def take_back(self, member: Member) -> bool:
        return await self._patch(member, jobpatches.take_back(member.made_of))

    async def hold(self, member: Member) -> None:
        await self._patch(member, jobpatches.hold(member.made_of))

    async def _patch(self, member: Member, change: Object | Objects) -> bool:
        return await self._tools.patched(JOBS, member.namespace, member.about.name, change)


def _saved_by_pods(view: View) -> dict[SourceKey, _Saved]:
    """Of Jobs of which a pod says when it saved its work: what each of their pods says that has begun."""
    speaking = {owner_of(pod) for pod in view.pods_as_stored.values() if pod.saved_at and pod.batch}
    found: dict[SourceKey, list[PodSaved]] = defaultdict(list)
    for pod in view.pods_as_stored.values() if speaking else ():
        if owner_of(pod) in speaking and pod.started_at and not pod.deleting:
            found[owner_of(pod)].append(PodSaved(pod.started_at, pod.saved_at or None))
    return {key: tuple(pods) for key, pods in found.items()}


def _phase(job: JobFacts, queued: QueuedJob) -> Phase | None:
    if job.end is not None:
        return Phase.SUCCEEDED if job.end is JobEnd.COMPLETE else Phase.FAILED
    if not job.suspended:
        return Phase.RUNNING
    if not queued.held:
        return None
    return Phase.LEAVING if job.active else Phase.WAITING


def _is_unheld(job: JobFacts, queued: QueuedJob) -> bool:
    return queued.admitted_at is None and not (queued.ready or job.succeeded)


def _while_young(member: Member, now: float) -> Member:
    age = now - member.seen.job.submitted_seconds
    return member if age < HOLD_WITHIN_SECONDS else replace(member, unheld=False)


def _seen(source: Source, job: JobFacts, queued: QueuedJob, phase: Phase, terms: Terms) -> Seen:
    requests = ResourceList({name: amount for name, amount in queued.requests.items() if name != PODS})
    divisible, price = queued.divisible, terms.market.usd_hour(queued.requests)
    width = max(1, source.replicas) if divisible is None else divisible.parallelism
    single_wave = divisible is None and width > 1 and job.completions in (None, width)
    ran = queued.ended_at - queued.started_at if queued.ended_at and queued.started_at else None
    return Seen(
        Job(
            uid=source.uid,
            name=f"Job {source.namespace}/{source.name}",
            queue=queued.queue,
            tenant=terms.tenants.of(source.namespace),
            pod_sets=(PodSet("main", width, requests),),
            submitted_seconds=queued.created_at,
            priority=terms.priorities.get(queued.priority_class, 0),
            price_usd_hour=None if price is None else price * width,
            min_parallelism=None if divisible is None else divisible.min_parallelism,
            gang=single_wave,
        ),
        # By namespace, so that estimates stand when the namespace is given to another tenant.
        JobClass(source.namespace, owner_pattern(queued.owner), queued.image, queued.command, queued.requests),
        phase,
        declared_seconds=queued.run_seconds,
        admitted_seconds=queued.admitted_at,
        run_seconds=ran,
        ended_seconds=queued.ended_at,
        checkpoints=queued.checkpoints,
        ready=queued.ready + job.succeeded >= width,
        divided=divided(job) if phase in (Phase.RUNNING, Phase.LEAVING) else None,
    )
