"""Workloads, what makes their pods, and whose a pod is."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from spotkube.api.fields import parse_duration_seconds
from spotkube.api.workload import Workload
from spotkube.api.workloadsources import JobRole, SourceKind, SpotPolicy
from spotkube.convert.queues import QueuedJob, to_queued_job
from spotkube.convert.selectors import to_label_selector
from spotkube.convert.templates import to_template
from spotkube.model import labels as keys
from spotkube.model.cluster import DisruptionBudget, WorkloadRule
from spotkube.model.pods import NEVER_ON_SPOT, Pod, SpotRule
from spotkube.model.selectors import LabelSelector

Json = Mapping[str, Any]
SourceKey = tuple[str, str]
"""Namespace and "Kind/name", as in `Pod.owner`."""
# What an interruption is taken to cost where the Workload does not say: to start and warm up, or half an hour's run.
SERVICE_RESTART_SECONDS = 300.0
JOB_RESTART_SECONDS = 1800.0


class JobEnd(StrEnum):
    COMPLETE = "Complete"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What only a Job has. `completions` is None for one that ends when its first pod has ended well."""

    parallelism: int = 1
    completions: int | None = 1
    backoff_limit: int = 6
    succeeded: int = 0
    active: int = 0
    suspended: bool = False
    end: JobEnd | None = None
    queued: QueuedJob | None = None

    @property
    def own_parallelism(self) -> int:
        """What its owner gave it, where its queue gives it fewer pods as well."""
        divisible = self.queued.divisible if self.queued is not None else None
        return self.parallelism if divisible is None else divisible.parallelism

    @property
    def running_wanted(self) -> int:
        """How many pods shall run now."""
        if self.end is not None or self.suspended:
            return 0
        if self.completions is None:
            return self.active if self.succeeded else self.parallelism
        return min(self.parallelism, max(0, self.completions - self.succeeded))


@dataclass(frozen=True, slots=True)
class Source:
    """A Job, Deployment or StatefulSet that makes a Workload's pods: its own child, or its target.

    `controller` is the uid of the object's controller, `workload` that controller's name if it is a Workload.
    `replicas` is what the spec asks for (of a Job as many as run at the same time). `message` tells why it failed, or
    why its pods can't be made. `applied` is the annotation by which a child knows what it was made from;
    `spec_digest` changes when anybody changes the spec, except for the number of replicas. `template` is what a
    Deployment's next pod will be, where that is known before it is made.
    """

    kind: SourceKind
    namespace: str
    name: str
    uid: str
    replicas: int
    controller: str = ""
    workload: str = ""
    job: JobFacts | None = None
    message: str = ""
    selector: Json = field(default_factory=dict)
    applied: str = ""
    spec_digest: str = ""
    template: Pod | None = None
    key: SourceKey = field(init=False, repr=False, compare=False)
    """Namespace and "Kind/name"; kept, like the next one, as each cycle asks for those of thousands."""
    wanted: int = field(init=False, repr=False, compare=False)
    """How many pods it shall have now."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", (self.namespace, f"{self.kind}/{self.name}"))
        object.__setattr__(self, "wanted", self.replicas if self.job is None else self.job.running_wanted)


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget: whether it is ours, what it was made from, and how many of its pods may be evicted now."""

    namespace: str
    name: str
    uid: str
    controller: str = ""
    applied: str = ""
    spec_digest: str = ""
    selector: LabelSelector | None = None
    allowed: int = 0

    @property
    def model(self) -> DisruptionBudget:
        return DisruptionBudget(self.namespace, self.name, self.selector, self.allowed)


def digest(value: Any) -> str:
    """A short name for a JSON value; equal values have equal names."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def to_source(raw: Json) -> Source:
    """A Job, Deployment or StatefulSet as the API server gives it."""
    metadata, spec, kind = raw["metadata"], raw["spec"], SourceKind(raw["kind"])
    controller = _controller(metadata)
    job = _to_job(raw) if kind is SourceKind.JOB else None
    return Source(
        kind=kind,
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        replicas=_at_once(job) if job is not None else int(_or(spec.get("replicas"), 1)),
        controller=str(controller.get("uid", "")),
        workload=_workload_name(controller),
        job=job,
        message=_message(raw),
        selector=spec.get("selector") or {},
        applied=_applied(metadata),
        spec_digest="" if job is not None else digest({k: v for k, v in spec.items() if k != "replicas"}),
        template=to_template(raw) if kind is SourceKind.DEPLOYMENT else None,
    )


def to_budget(raw: Json) -> Budget:
    """A PodDisruptionBudget as the API server gives it."""
    metadata = raw["metadata"]
    controller = str(_controller(metadata).get("uid", ""))
    return Budget(
        metadata["namespace"],
        metadata["name"],
        metadata["uid"],
        controller,
        _applied(metadata),
        digest(raw.get("spec") or {}),
        to_label_selector((raw.get("spec") or {}).get("selector")),
        int((raw.get("status") or {}).get("disruptionsAllowed") or 0),
    )


def to_spot_rule(spot: SpotPolicy) -> SpotRule:
    if spot.never:
        return NEVER_ON_SPOT
    if spot.on_demand_base is not None:
        return SpotRule(on_demand_base=spot.on_demand_base)
    return SpotRule(fraction=1.0 if spot.spot_fraction is None else spot.spot_fraction)


def wanted_replicas(workload: Workload, target: Source | None = None) -> int:
    """How many pods the Workload wants at the same time: by its own template, or else by its target (0 without)."""
    spec = workload.spec
    jobs = [role.job for role in spec.roles] or ([spec.job] if spec.job is not None else [])
    if jobs:
        return sum(min(job.parallelism, job.completions) for job in jobs)
    service = spec.deployment or spec.stateful_set
    if service is not None:
        return service.replicas
    return target.replicas if target is not None else 0


def to_workload_rule(workload: Workload, replicas: int) -> WorkloadRule:
    """`replicas` as `wanted_replicas` gives it."""
    spot = workload.spec.spot
    return WorkloadRule(
        key_of(workload), to_spot_rule(spot), replicas, spot.max_fraction_per_pool, restart_seconds(workload)
    )


def restart_seconds(workload: Workload) -> float:
    """How much work of a pod an interruption destroys. A job without checkpoints loses half of its run on average, one
    with them half of the time between two."""
    spec = workload.spec
    if spec.restart_time is not None:
        return parse_duration_seconds(spec.restart_time)
    if not spec.is_job:
        return SERVICE_RESTART_SECONDS
    told = [text for text in (spec.expected_run_time, spec.checkpoint_interval) if text is not None]
    return min(parse_duration_seconds(text) for text in told) / 2 if told else JOB_RESTART_SECONDS


def key_of(workload: Workload) -> str:
    """ "namespace/name", as in `Pod.workload`."""
    return f"{workload.metadata.namespace}/{workload.name}"


def child_name(workload: Workload, role: JobRole | None = None) -> str:
    return workload.name if role is None else f"{workload.name}-{role.name}"


def source_key(workload: Workload, role: JobRole | None = None) -> SourceKey:
    """Where its source is found: the target, the child of its own name, or that of a role."""
    target = workload.spec.target_ref
    name = target.name if target is not None else child_name(workload, role)
    return workload.metadata.namespace or "", f"{workload.spec.source_kind}/{name}"


def source_of(workload: Workload) -> str:
    """What runs, in words of at most 320 characters: "Kind/name", or "Roles/" with the names of the roles."""
    roles = ",".join(role.name for role in workload.spec.roles)
    return f"Roles/{roles}"[:320] if roles else source_key(workload)[1]


def targets_of(workloads: Iterable[Workload]) -> dict[SourceKey, str]:
    """Which Workload (its key) each target belongs to. Of two that name the same target the first by name has it."""
    targets: dict[SourceKey, str] = {}
    for workload in sorted(workloads, key=key_of):
        if workload.spec.target_ref is not None:
            targets.setdefault(source_key(workload), key_of(workload))
    return targets


def workload_of(pod: Pod, targets: Mapping[SourceKey, str]) -> str | None:
    """The key of the pod's Workload: by its label, which our children's pods have, or by its owner."""
    return pod.workload or targets.get((pod.namespace, pod.owner))


def _to_job(raw: Json) -> JobFacts:
    spec, status = raw["spec"], raw.get("status") or {}
    true = {condition["type"] for condition in status.get("conditions") or () if condition["status"] == "True"}
    return JobFacts(
        parallelism=int(_or(spec.get("parallelism"), 1)),
        completions=spec.get("completions"),
        backoff_limit=int(_or(spec.get("backoffLimit"), 6)),
        succeeded=int(status.get("succeeded") or 0),
        active=int(status.get("active") or 0),
        suspended=bool(spec.get("suspend")),
        end=next((end for end in JobEnd if end in true), None),
        queued=to_queued_job(raw),
    )


def _at_once(job: JobFacts) -> int:
    return job.parallelism if job.completions is None else min(job.parallelism, job.completions)


def _message(raw: Json) -> str:
    """Why a job failed, or why a ReplicaSet can't make pods (a quota, an admission policy)."""
    for condition in (raw.get("status") or {}).get("conditions") or ():
        if condition["type"] in ("Failed", "ReplicaFailure") and condition["status"] == "True":
            return str(condition.get("message") or condition.get("reason") or "")
    return ""


def _controller(metadata: Json) -> Json:
    return next((owner for owner in metadata.get("ownerReferences") or () if owner.get("controller")), {})


def _workload_name(controller: Json) -> str:
    """Kueue has a kind of the same name."""
    ours = controller.get("kind") == "Workload" and str(controller.get("apiVersion", "")).startswith(f"{keys.GROUP}/")
    return str(controller["name"]) if ours else ""


def _applied(metadata: Json) -> str:
    return str((metadata.get("annotations") or {}).get(keys.APPLIED) or "")


def _or(value: Any, default: int) -> Any:
    return default if value is None else value
