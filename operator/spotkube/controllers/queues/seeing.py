"""From the cluster to what the queue sees: its jobs, where they are, and what they cost."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from spotkube.controllers.queues.capacity import Market
from spotkube.controllers.queues.widths import divided
from spotkube.controllers.view import View
from spotkube.controllers.workloads.status import cost_micro_usd_hour, node_facts
from spotkube.convert.queues import QueuedJob
from spotkube.convert.workloads import JobEnd, JobFacts, Source
from spotkube.model.pods import Pod
from spotkube.model.resources import PODS, ResourceList
from spotkube.queueing.book import Phase, Seen
from spotkube.queueing.jobclasses import JobClass, owner_pattern
from spotkube.queueing.jobs import MICRO, Job, PodSet
from spotkube.queueing.spending import Account

# A Job that began before anybody could hold it back is let be; suspending it would end its pods.
HOLD_WITHIN_SECONDS = 60.0


@dataclass
class Sight:
    """`jobs` stand in a queue, `strangers` name one that their namespace may not use, `unheld` run past theirs."""

    jobs: list[Seen] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    strangers: list[Source] = field(default_factory=list)
    unheld: list[Source] = field(default_factory=list)


class Lookout:
    """Looks at the jobs of each cycle; of those that are as they were it says again what it said."""

    def __init__(self, priorities: Mapping[str, int], market: Market) -> None:
        """`priorities` is the value of each PriorityClass."""
        self.priorities = priorities
        self.market = market
        self._known: dict[str, tuple[Source, Seen]] = {}

    def look(self, view: View, admits: Mapping[str, frozenset[str]]) -> Sight:
        """`admits` names the namespaces of each queue.

        Jobs that their owner suspended stand in no queue until he lets them go. Of an unknown queue they wait for it.
        """
        sight, known = Sight(), {}
        for source in view.sources.values():
            job = source.job
            if job is None or job.queued is None:
                continue
            sight.sources[source.uid] = source
            namespaces = admits.get(job.queued.queue)
            if namespaces is not None and source.namespace not in namespaces:
                if job.suspended and job.queued.held:
                    sight.strangers.append(source)
                continue
            phase = _phase(job, job.queued)
            if phase is Phase.RUNNING and _is_unheld(job, job.queued, view.now):
                sight.unheld.append(source)
            elif phase is not None:
                known[source.uid] = source, self._see(source, job, job.queued, phase)
                sight.jobs.append(known[source.uid][1])
        self._known = known
        return sight

    def _see(self, source: Source, job: JobFacts, queued: QueuedJob, phase: Phase) -> Seen:
        last = self._known.get(source.uid)
        if last is not None and last[0] is source:  # The cache keeps an object until it changes.
            return last[1]
        return _seen(source, job, queued, phase, self.priorities, self.market)


def rates_usd_hour(view: View) -> dict[Account, float]:
    """What the pods of queues cost now, by queue and tenant: their share of the price of the nodes that they run on."""
    pods: dict[Account, list[Pod]] = defaultdict(list)
    for pod in view.pods.values():
        queue = _queue_of(view, pod)
        if queue is not None and pod.node is not None:
            pods[queue, pod.namespace].append(pod)
    nodes = node_facts(view.snapshot.nodes, view.snapshot.claims)
    return {account: cost_micro_usd_hour(some, nodes) / MICRO for account, some in pods.items()}


def pods_of_others(view: View) -> Iterable[Pod]:
    """Pods that no queue admitted."""
    return (pod for pod in view.snapshot.pods if _queue_of(view, pod) is None)


def _queue_of(view: View, pod: Pod) -> str | None:
    source = view.sources.get((pod.namespace, pod.owner))
    if source is None or source.job is None or source.job.queued is None:
        return None
    return source.job.queued.queue


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


def _seen(
    source: Source, job: JobFacts, queued: QueuedJob, phase: Phase, priorities: Mapping[str, int], market: Market
) -> Seen:
    requests = ResourceList({name: amount for name, amount in queued.requests.items() if name != PODS})
    divisible = queued.divisible
    width = max(1, source.replicas) if divisible is None else divisible.parallelism
    price = market.usd_hour(queued.requests)
    single_wave = divisible is None and width > 1 and job.completions in (None, width)
    ran = queued.ended_at - queued.started_at if queued.ended_at and queued.started_at else None
    return Seen(
        Job(
            uid=source.uid,
            name=f"Job {source.namespace}/{source.name}",
            queue=queued.queue,
            tenant=source.namespace,
            pod_sets=(PodSet("main", width, requests),),
            submitted_seconds=queued.created_at,
            priority=priorities.get(queued.priority_class, 0),
            price_usd_hour=None if price is None else price * width,
            min_parallelism=None if divisible is None else divisible.min_parallelism,
            gang=single_wave,
        ),
        JobClass(source.namespace, owner_pattern(queued.owner), queued.image, queued.command, queued.requests),
        phase,
        declared_seconds=queued.run_seconds,
        admitted_seconds=queued.admitted_at,
        run_seconds=ran,
        ready=queued.ready + job.succeeded >= width,
        divided=divided(job) if phase in (Phase.RUNNING, Phase.LEAVING) else None,
    )
