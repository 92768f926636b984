"""batch/v1 Jobs, those of Workloads and of CronJobs among them: suspended while they wait."""

from collections import defaultdict
from collections.abc import Iterable
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
        self._known: dict[str, tuple[Source, _Saved, Member]] = {}
        self._terms: Terms | None = None

    def members(self, view: View, terms: Terms) -> Iterable[Member]:
        before = self._known if terms is self._terms else {}
        found, known, saved = list[Member](), dict[str, tuple[Source, _Saved, Member]](), _saved_by_pods(view)
        for source in view.sources.values():
            if source.job is None or source.job.queued is None:
                continue
            last, pods = before.get(source.uid), saved.get(source.key, ())
            if last is None or last[0] is not source or last[1] != pods or last[2].unheld:
                queued = source.job.queued
                queued = replace(queued, checkpoints=replace(queued.checkpoints, pods=pods)) if pods else queued
                member = self._member(source, source.job, queued, terms, view.now)
                if member is None:
                    continue
                last = source, pods, member
            known[source.uid] = last
            found.append(last[2])
        self._known, self._terms = known, terms
        return found

    def _member(self, source: Source, job: JobFacts, queued: QueuedJob, terms: Terms, now: float) -> Member | None:
        phase = _phase(job, queued)
        if phase is None:
            return None
        return Member(
            self,
            ObjectRef("batch/v1", "Job", source.name, source.uid, source.namespace),
            _seen(source, job, queued, phase, terms),
            queued.group,
            unheld=phase is Phase.RUNNING and _is_unheld(job, queued, now),
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


def _is_unheld(job: JobFacts, queued: QueuedJob, now: float) -> bool:
    begun = queued.ready or job.succeeded
    return queued.admitted_at is None and not begun and now - queued.created_at < HOLD_WITHIN_SECONDS


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
