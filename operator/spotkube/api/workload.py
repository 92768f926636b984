"""Workload: what has to run, and how much of it may run on spot."""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from spotkube.api.common import Column, KubeObject, ObservedStatus, Resource
from spotkube.api.fields import (
    Count,
    CountOrPercent,
    Duration,
    Percent,
    PositiveDuration,
    Text,
    Time,
    UsdPerHour,
)
from spotkube.api.rules import Keyed, Rule, SpecModel, StatusModel
from spotkube.api.termination import TerminationPolicy
from spotkube.api.workloadsources import (
    DeploymentSource,
    JobRole,
    JobSource,
    Placement,
    SourceKind,
    SpotPolicy,
    StatefulSetSource,
    TargetRef,
)

_SOURCES_CEL: Final = (
    "[has(self.job), has(self.roles) && size(self.roles) > 0, has(self.deployment), has(self.statefulSet),"
    " has(self.targetRef)]"
)
_IS_JOB_CEL: Final = "(has(self.job) || has(self.roles) || (has(self.targetRef) && self.targetRef.kind == 'Job'))"


class WorkloadSpec(SpecModel):
    """What runs (exactly one of job, roles, deployment, statefulSet and targetRef), and under which rules."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"{_SOURCES_CEL}.filter(is_set, is_set).size() == 1",
            "a Workload says once what runs: set exactly one of job, roles, deployment, statefulSet and targetRef",
            lambda spec: [spec.job, spec.roles or None, *_others(spec)].count(None) == 4,
        ),
        Rule(
            "has(self.job) == has(oldSelf.job) && has(self.roles) == has(oldSelf.roles)"
            " && has(self.deployment) == has(oldSelf.deployment)"
            " && has(self.statefulSet) == has(oldSelf.statefulSet) && has(self.targetRef) == has(oldSelf.targetRef)",
            "what runs can't turn into another kind: create a second Workload for it and delete this one",
        ),
        Rule(
            "!has(self.roles) || !has(oldSelf.roles) || (size(self.roles) == size(oldSelf.roles)"
            " && self.roles.all(role, oldSelf.roles.exists(old, old.name == role.name)))",
            "roles can't be added, renamed or taken out: create a second Workload with them and delete this one",
        ),
        Rule(
            "!has(self.targetRef) || !has(oldSelf.targetRef) || self.targetRef == oldSelf.targetRef",
            "targetRef can't change: create a second Workload for the other target and delete this one",
        ),
        Rule(
            f"!has(self.expectedRunTime) || {_IS_JOB_CEL}",
            "expectedRunTime is for jobs only, a service does not end: remove it",
            lambda spec: spec.expected_run_time is None or spec.is_job,
        ),
        Rule(
            f"!has(self.checkpointInterval) || {_IS_JOB_CEL}",
            "checkpointInterval is for jobs only, a service does not end: remove it",
            lambda spec: spec.checkpoint_interval is None or spec.is_job,
        ),
        Rule(
            "!has(self.minParallelism) || (has(self.job) && has(self.queueName)"
            " && self.minParallelism <= self.job.parallelism && self.job.parallelism < self.job.completions)",
            "minParallelism needs queueName, and a job with parallelism of at least that and more completions than "
            "parallelism: correct these, or remove it",
            lambda spec: spec.min_parallelism is None or _can_be_divided(spec, spec.min_parallelism),
        ),
        Rule(
            f"!has(self.minAvailable) || !{_IS_JOB_CEL}",
            "minAvailable is for services only: remove it; to keep a job off spot, set spot.never to true",
            lambda spec: spec.min_available is None or not spec.is_job,
        ),
        Rule(
            "!has(self.placement) || !has(self.targetRef)",
            "placement is not allowed with targetRef, whose pods are not made by us: remove it",
            lambda spec: spec.placement is None or spec.target_ref is None,
        ),
        Rule(
            "!has(self.termination) || !has(self.termination.surge) || !self.termination.surge || has(self.deployment)"
            " || (has(self.targetRef) && self.targetRef.kind == 'Deployment')",
            "termination.surge is for Deployments only, whose pods are alike: remove it",
            lambda spec: not spec.termination.surge or spec.source_kind is SourceKind.DEPLOYMENT,
        ),
    )

    job: JobSource | None = None
    """A batch job: pods that run to their end. Made as a batch/v1 Job of the Workload's name."""
    roles: Annotated[tuple[JobRole, ...], Field(max_length=16), Keyed(("name",))] = ()
    """A job of several roles, such as a leader and its workers: at most 16 batch/v1 Jobs, each of its own name. In a
    queue they start together or not at all. When one fails for good, the others are suspended, and the Workload has
    failed."""
    deployment: DeploymentSource | None = None
    """A service of interchangeable pods. Made as an apps/v1 Deployment of the Workload's name."""
    stateful_set: StatefulSetSource | None = None
    """A service whose pods have names and volumes of their own. Made as an apps/v1 StatefulSet of the Workload's
    name."""
    target_ref: TargetRef | None = None
    """A Job, Deployment or StatefulSet of yours in the same namespace; we plan for its pods and leave it alone.
    Can't change."""
    spot: SpotPolicy = SpotPolicy()
    """How much of it may run on spot nodes. Left out, all of it may."""
    queue_name: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """The FairQueue that its job stands in. Left out, it runs at once, as services do."""
    min_parallelism: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """With how many pods at the same time its job can do. Its queue then gives it from so many to job.parallelism: more
    where nobody else is entitled to the room, fewer when others come, as its pods end. None is ended for it. Its pods
    are born with the scheduling gate spotkube.io/queue, so that none of them starts while SpotKube is down. Read when
    the job is made. Left out, it runs with all of them."""
    expected_run_time: PositiveDuration | None = None
    """How long a pod of the job will run, such as 20m or 1h30m; for jobs only. Left out, it is estimated from
    earlier runs."""
    checkpoint_interval: PositiveDuration | None = None
    """How often a pod of the job saves its work, such as 10m; for jobs only. When somebody needs its queue's room, what
    was done since then is what ending the job costs. Left out, that is all of its run, unless its pods write the
    annotation spotkube.io/last-checkpoint on themselves or on the Job. With targetRef it says the same of nodes alone:
    write the annotation spotkube.io/checkpoint-interval on the Job."""
    restart_time: Duration | None = None
    """How much work of a pod is lost when its node is interrupted, as time: starting anew, warming up, and what it had
    done since its last checkpoint; such as 0s, 90s or 2h. It counts at the price of the pod's room on demand, and says
    how much it is worth to keep the pod from interruptions. Left out: for a job half of expectedRunTime or of
    checkpointInterval, whichever is less, or 30m without both; for services 5m."""
    min_available: CountOrPercent | None = None
    """How many pods (2) or which share of them (50%) must stay available while nodes come and go; for services only.
    A PodDisruptionBudget is made of it: leave it out where one of your own covers the same pods, since pods that two
    budgets cover can't be evicted."""
    placement: Placement | None = None
    """Who chooses the node among those planned. Pinned: pods are born with the scheduling gate spotkube.io/placement
    and are nominated onto the node planned for them. Scheduler: kube-scheduler is free, and pods start also while
    SpotKube is down. Left out: Pinned for a job, Scheduler for services. Not allowed with targetRef."""

    termination: TerminationPolicy = TerminationPolicy()
    """How its pods leave a node: what they are told and given time for."""

    @property
    def source_kind(self) -> SourceKind:
        """What runs: the kind that is made, or the kind of the target."""
        if self.target_ref is not None:
            return self.target_ref.kind
        if self.job is not None or self.roles:
            return SourceKind.JOB
        return SourceKind.DEPLOYMENT if self.deployment is not None else SourceKind.STATEFUL_SET

    @property
    def is_job(self) -> bool:
        return self.source_kind is SourceKind.JOB

    @property
    def effective_placement(self) -> Placement:
        """`placement` with its default in place; the pods of a target are always the scheduler's."""
        if self.target_ref is not None:
            return Placement.SCHEDULER
        return self.placement or (Placement.PINNED if self.is_job else Placement.SCHEDULER)


def _others(spec: WorkloadSpec) -> list[SpecModel | None]:
    return [spec.deployment, spec.stateful_set, spec.target_ref]


def _can_be_divided(spec: WorkloadSpec, least: int) -> bool:
    job = spec.job
    return job is not None and spec.queue_name is not None and least <= job.parallelism < job.completions


class QueuePlace(StatusModel):
    """How it stands in its queue. `spotkube queue` shows positions."""

    reason: Annotated[str, Field(max_length=64)]
    """Why it waits: Quota, Budget, NoCapacity, Reservation, GangIncomplete, Backoff, QueueHeld, TooLarge, UnknownQueue,
    QueueInvalid, NotAllowed, GroupInvalid; Admitted when its turn has come."""
    estimated_start: Time | None = None
    """When it will likely start, as far as estimates of run times go; absent where nothing that is known leads to it.
    Written anew when it has moved by more than 30 s and a tenth of the wait."""
    earliest_start: Time | None = None
    """Four of five jobs start between this and latestStart."""
    latest_start: Time | None = None
    """See earliestStart."""


class WorkloadStatus(ObservedStatus):
    """How the Workload stands. Written by SpotKube. Conditions: Placed (all pods have a node), Ready (all pods are
    ready, or the job is done)."""

    source: Annotated[str, Field(max_length=320)] | None = None
    """What runs, as kind/name."""
    replicas: Count | None = None
    """How many pods shall run now."""
    ready_replicas: Count | None = None
    """How many of them are ready; of a job also those that have ended well."""
    nodes: Count | None = None
    """On how many nodes its pods stand."""
    spot_replicas: Count | None = None
    """How many of its pods stand on spot nodes."""
    spot_percent: Percent | None = None
    """The share of its placed pods on spot nodes, from 0 to 100."""
    usd_per_hour: UsdPerHour | None = None
    """Its share of the price of the nodes that it stands on, in dollars an hour."""
    waiting_for: Text | None = None
    """Why pods wait, in words; absent when none does."""
    queue: QueuePlace | None = None
    """How it stands in its queue; absent when it does not wait there."""


class Workload(KubeObject):
    """Something that has to run, a batch job or a service, and how much spot it bears. SpotKube buys the cheapest
    nodes that surely hold all Workloads together. Write `workloads.spotkube.io` in commands: Kueue has a kind of the
    same name."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "size(self.metadata.name) <= (has(self.spec.statefulSet) ? 52 : 63)",
            "the name becomes a label value and part of pod names: choose one of at most 63 characters, or 52 "
            "for a statefulSet",
            lambda workload: len(workload.name) <= (52 if workload.spec.stateful_set is not None else 63),
        ),
        Rule(
            "!has(self.spec.roles) || self.spec.roles.all(role, size(self.metadata.name) + size(role.name) < 63)",
            "the Job of a role is called WORKLOAD-ROLE, at most 63 characters: shorten one of the two names",
            lambda workload: all(len(workload.name) + len(role.name) < 63 for role in workload.spec.roles),
        ),
    )
    resource: ClassVar[Resource] = Resource(
        kind="Workload",
        plural="workloads",
        short_name="swl",
        namespaced=True,
        columns=(
            Column("Source", ".status.source"),
            Column("Ready", ".status.readyReplicas", "integer"),
            Column("Pods", ".status.replicas", "integer"),
            Column("Nodes", ".status.nodes", "integer", priority=1),
            Column("Spot%", ".status.spotPercent", "number"),
            Column("$/h", ".status.usdPerHour", "number"),
            Column("Waiting", ".status.waitingFor"),
        ),
    )

    kind: Literal["Workload"] = "Workload"
    spec: WorkloadSpec
    status: WorkloadStatus = WorkloadStatus()
