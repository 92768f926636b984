"""What a Workload's status says: a pure function of its pods, their nodes and the object that makes them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from spotkube.api.common import Condition, ConditionStatus, with_condition
from spotkube.api.workload import QueuePlace, Workload, WorkloadStatus
from spotkube.api.workloadsources import PodManagementPolicy
from spotkube.controllers.workloads.waiting import Outlook, count_of, in_one_line, pods_waiting
from spotkube.convert.workloads import JobEnd, Source, source_of, to_spot_rule, wanted_replicas
from spotkube.model.cluster import Claim, Node
from spotkube.model.offerings import SPOT
from spotkube.model.pods import Pod
from spotkube.model.resources import ResourceList
from spotkube.queueing.outcomes import Start

PLACED: Final = "Placed"
READY: Final = "Ready"
JOB_COMPLETE: Final = "JobComplete"
JOB_FAILED: Final = "JobFailed"
MICRO: Final = 1_000_000
# An estimated start is written anew when it moved by more than both of these: seconds, and part of the wait.
LEAST_NEWS_SECONDS, NEWS = 30.0, 0.1
# The year 9999 is the last that a time can be written of.
LAST_MOMENT: Final = 253_370_764_800.0


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node as far as a Workload's status counts on it; a node that we did not buy costs nothing here."""

    allocatable: ResourceList
    price_micro_usd_hour: int = 0
    spot: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something of the Workload could not be made: the reason of its conditions and a message with the remedy.

    `holds_pods` is False where its pods run nevertheless, as without their budget.
    """

    reason: str
    message: str
    holds_pods: bool = True


@dataclass(frozen=True, slots=True)
class _Counts:
    """Pods of one moment. `wanted` counts those of a job that have ended well as well, so that ready <= wanted."""

    wanted: int
    ready: int
    to_place: int
    placed: int
    on_spot: int
    spot_allowed: int
    waiting: tuple[Pod, ...]

    @property
    def missing(self) -> int:
        """Pods that do not exist yet."""
        return max(0, self.to_place - self.placed - len(self.waiting))


def node_facts(nodes: Iterable[Node], claims: Iterable[Claim]) -> dict[str, NodeFacts]:
    """Of all nodes, by name."""
    bought = {claim.name: claim for claim in claims}
    facts = {}
    for node in nodes:
        claim = bought.get(node.claim) if node.claim is not None else None
        facts[node.name] = (
            NodeFacts(node.allocatable)
            if claim is None
            else NodeFacts(node.allocatable, claim.price_micro_usd_hour, claim.offering.capacity_type == SPOT)
        )
    return facts


def workload_status(
    workload: Workload,
    *,
    pods: Sequence[Pod],
    nodes: Mapping[str, NodeFacts],
    source: Source | None,
    outlook: Outlook,
    now: float,
    problem: Problem | None = None,
) -> WorkloadStatus:
    """The status as it should be.

    `pods` are the Workload's live pods, `source` its child or target as the cache has it, `now` seconds since the
    epoch. `usdPerHour` is, summed over its nodes, the node's price times the dominant share: of all resources, the
    largest part of the node's allocatable that the Workload's pods there request, at most 1. What a node has left over
    is nobody's, so the shares of all Workloads need not add up to the price of the fleet.
    """
    pods = [pod for pod in pods if not pod.deleting]
    placed = [pod for pod in pods if pod.node is not None]
    on_spot = sum(1 for pod in placed if pod.node is not None and pod.node in nodes and nodes[pod.node].spot)
    counts = _count(workload, source, pods, on_spot)
    return WorkloadStatus(
        observed_generation=workload.metadata.generation,
        conditions=_conditions(workload, source, counts, problem, now),
        source=source_of(workload),
        replicas=counts.wanted,
        ready_replicas=counts.ready,
        nodes=len({pod.node for pod in placed}),
        spot_replicas=on_spot,
        spot_percent=round(100 * on_spot / len(placed), 1) if placed else None,
        usd_per_hour=round(cost_micro_usd_hour(placed, nodes) / MICRO, 6),
        waiting_for=in_one_line(_waiting(workload, source, counts, outlook, problem)),
        queue=_queue_place(workload, source, outlook, now),
    )


def _queue_place(workload: Workload, source: Source | None, outlook: Outlook, now: float) -> QueuePlace | None:
    """Where it stands in its queue. What was told stays until it is wrong by much: a clock that runs is no news."""
    standing = outlook.queued.get(source.uid) if source is not None else None
    if standing is None:
        return None
    told, start = workload.status.queue, standing.start
    if told is not None and told.reason == standing.reason and _still_says(told.estimated_start, start, now):
        return told
    moments = [None] * 3 if start is None else [start.start_seconds, start.low_seconds, start.high_seconds]
    estimated, earliest, latest = (_moment(seconds) for seconds in moments)
    return QueuePlace(reason=standing.reason, estimated_start=estimated, earliest_start=earliest, latest_start=latest)


def _still_says(told: datetime | None, start: Start | None, now: float) -> bool:
    if told is None or start is None:
        return told is None and start is None
    return abs(told.timestamp() - start.start_seconds) <= max(LEAST_NEWS_SECONDS, NEWS * (start.start_seconds - now))


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(int(min(seconds, LAST_MOMENT)), UTC)


def is_over(workload: Workload) -> bool:
    """Whether its status says that its job has ended: such a job is never made again, though somebody deletes it."""
    return any(
        condition.type == READY and condition.reason in (JOB_COMPLETE, JOB_FAILED)
        for condition in workload.status.conditions
    )


def _count(workload: Workload, source: Source | None, pods: Sequence[Pod], on_spot: int) -> _Counts:
    ready = sum(1 for pod in pods if pod.ready)
    wanted = to_place = wanted_replicas(workload, source)
    if source is not None and source.job is not None:
        # The cache drops a finished pod before the Job counts it, so that ready may lag, but never exceeds wanted.
        to_place = source.job.running_wanted
        wanted = source.job.succeeded + to_place
        ready += source.job.succeeded
    return _Counts(
        wanted=wanted,
        ready=min(ready, wanted),
        to_place=to_place,
        placed=sum(1 for pod in pods if pod.node is not None),
        on_spot=on_spot,
        spot_allowed=to_place - to_spot_rule(workload.spec.spot).on_demand_count(to_place),
        waiting=tuple(pod for pod in pods if pod.node is None),
    )


def cost_micro_usd_hour(placed: Iterable[Pod], nodes: Mapping[str, NodeFacts]) -> float:
    """What the pods are charged for: of each node that they run on, its price times the dominant share."""
    requested: dict[str, ResourceList] = defaultdict(ResourceList)
    for pod in placed:
        if pod.node is not None and pod.node in nodes:
            requested[pod.node] += pod.shape.requests
    return sum(
        nodes[name].price_micro_usd_hour * _dominant_share(requests, nodes[name].allocatable)
        for name, requests in sorted(requested.items())
    )


def _dominant_share(requests: ResourceList, allocatable: ResourceList) -> float:
    shares = (amount / allocatable[name] for name, amount in requests.items() if allocatable[name])
    return min(1.0, max(shares, default=0.0))


def _waiting(
    workload: Workload, source: Source | None, counts: _Counts, outlook: Outlook, problem: Problem | None
) -> list[str]:
    sentences = [problem.message] if problem is not None and problem.holds_pods else []
    if source is None:
        return sentences
    if source.job is not None and source.job.suspended and source.job.end is None:
        standing = outlook.queued.get(source.uid)
        if standing is not None:
            return [*sentences, f"waits in queue {standing.queue}: {standing.message}"]
        sentences.append(f"{source.key[1]} is suspended: it makes pods when spec.suspend of it becomes false")
    sentences += pods_waiting(counts.waiting, outlook)
    if counts.missing:
        sentences.append(f"{count_of(counts.missing, 'pod')} not made yet{_why_missing(workload, source)}")
    return sentences


def _why_missing(workload: Workload, source: Source) -> str:
    if source.message:
        return f": {source.message}"
    own = workload.spec.stateful_set
    if own is not None and own.pod_management_policy is PodManagementPolicy.ORDERED_READY:
        return ": OrderedReady makes a pod when the one before it is ready"
    return ""


def _conditions(
    workload: Workload, source: Source | None, counts: _Counts, problem: Problem | None, now: float
) -> tuple[Condition, ...]:
    """Those that others set stay as they are."""
    conditions = workload.status.conditions
    for type_, (status, reason, message) in (
        (PLACED, _placed(source, counts, problem)),
        (READY, _ready(source, counts, problem)),
    ):
        new = Condition(
            type=type_,
            status=ConditionStatus.TRUE if status else ConditionStatus.FALSE,
            observed_generation=workload.metadata.generation,
            last_transition_time=datetime.fromtimestamp(now, UTC),
            reason=reason,
            message=message,
        )
        conditions = with_condition(conditions, new)
    return conditions


_Verdict = tuple[bool, str, str]


def _placed(source: Source | None, counts: _Counts, problem: Problem | None) -> _Verdict:
    if source is None:
        return (False, problem.reason, problem.message) if problem else (False, "NotMade", "its pods are not made yet")
    if source.job is not None and source.job.end is not None:
        return True, "JobEnded", "the job has no more pods to place"
    if source.job is not None and source.job.suspended:
        return False, "Suspended", f"{source.key[1]} is suspended"
    if counts.waiting or counts.missing:
        return False, "PodsWaiting", f"{counts.placed} of {count_of(counts.to_place, 'pod')} have a node"
    if source.job is None and counts.on_spot > counts.spot_allowed:
        message = f"{counts.on_spot} pods are on spot where {counts.spot_allowed} may be: "
        return True, "TooMuchSpot", message + "delete pods on spot nodes; placement Pinned keeps the rule from then on"
    return True, "AllPlaced", "every pod has a node"


def _ready(source: Source | None, counts: _Counts, problem: Problem | None) -> _Verdict:
    if source is not None and source.job is not None and source.job.end is not None:
        return _ended(source, source.job.end)
    if problem is not None:
        return False, problem.reason, problem.message
    if source is None:
        return False, "NotMade", "its pods are not made yet"
    if source.job is not None and source.job.suspended:
        return False, "Suspended", f"{source.key[1]} is suspended"
    if counts.ready < counts.wanted:
        return False, "PodsNotReady", f"{counts.ready} of {count_of(counts.wanted, 'pod')} are ready"
    return True, "AllReady", "every pod is ready"


def _ended(source: Source, end: JobEnd) -> _Verdict:
    if end is JobEnd.COMPLETE:
        return True, JOB_COMPLETE, "all pods of the job have ended well"
    return False, JOB_FAILED, source.message or "the job has failed"
