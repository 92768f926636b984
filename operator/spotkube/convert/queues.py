"""FairQueues, and the Jobs that stand in them, as the queue sees them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spotkube.api.fairqueue import FairQueue
from spotkube.convert.declared import to_declared
from spotkube.convert.dividing import Divisible, to_divisible
from spotkube.convert.pods import to_timestamp
from spotkube.convert.queued import FOREIGN_QUEUE, to_group
from spotkube.convert.requests import pod_requests
from spotkube.convert.selectors import to_label_selector
from spotkube.model import labels as keys
from spotkube.model.queued import PodGroup
from spotkube.model.resources import ResourceList, parse_amount
from spotkube.queueing.checkpoints import NO_CHECKPOINTS, Checkpoints
from spotkube.queueing.queues import Budget, Queue, Quota, Stop

Json = Mapping[str, Any]
_JOB_CONTROLLER = "kubernetes.io/job-controller"


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """What the queue wants to know of a Job that names one. Times are seconds since the epoch.

    `held` says that the queue suspended it, and not its owner; `admitted_at` is when the queue let it go. `requests`
    are those of one pod. `mistake` is what its owner wrote and can't be used, with the remedy.
    """

    queue: str
    owner: str
    image: str
    command: tuple[str, ...]
    requests: ResourceList
    created_at: float
    held: bool = False
    admitted_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    run_seconds: float | None = None
    checkpoints: Checkpoints = field(default=NO_CHECKPOINTS, compare=False)  # a new one is no reason for a cycle
    priority_class: str = ""
    ready: int = 0
    mistake: str = ""
    group: PodGroup | None = None
    divisible: Divisible | None = None


def to_queued_job(raw: Json) -> QueuedJob | None:
    """None for a Job that names no queue, or that somebody else manages."""
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    queue = labels.get(keys.QUEUE_NAME)
    if not queue or FOREIGN_QUEUE in labels or spec.get("managedBy") not in (None, "", _JOB_CONTROLLER):
        return None
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    declared = to_declared(annotations)
    divisible, wrong = to_divisible(raw)
    owner = next((one["name"] for one in metadata.get("ownerReferences") or () if one.get("controller")), "")
    return QueuedJob(
        queue=queue,
        owner=owner or metadata["name"],
        image=container.get("image", ""),
        command=(*(container.get("command") or ()), *(container.get("args") or ())),
        requests=pod_requests(pod),
        created_at=_seconds(metadata.get("creationTimestamp")) or 0.0,
        held=annotations.get(keys.HELD_BY_QUEUE) == "true",
        admitted_at=_seconds(annotations.get(keys.ADMITTED_AT)),
        started_at=_seconds(status.get("startTime")),
        ended_at=_seconds(status.get("completionTime")),
        run_seconds=declared.run_seconds,
        checkpoints=declared.checkpoints,
        priority_class=pod.get("priorityClassName") or "",
        ready=int(status.get("ready") or 0),
        mistake="; ".join(filter(None, (*declared.mistakes, wrong))),
        group=to_group(metadata),
        divisible=divisible,
    )


def to_queue(queue: FairQueue) -> Queue:
    """Raises ValueError for quotas that are no amounts."""
    spec = queue.spec
    return Queue(
        name=queue.name,
        weight=spec.weight,
        cohort=spec.cohort,
        quotas={
            quota.name: Quota(
                parse_amount(quota.name, quota.nominal_quota),
                _optional(quota.name, quota.borrowing_limit),
                _optional(quota.name, quota.lending_limit),
            )
            for quota in spec.resources
        },
        budget=Budget(spec.budget.usd_per_hour, spec.budget.usd_per_day, spec.budget.usd_per_month),
        stop=Stop(spec.stop_policy),
        tenant_weights={tenant.name: tenant.weight for tenant in spec.tenants},
    )


def admits_namespace(queue: FairQueue, labels: Mapping[str, str]) -> bool:
    """Whether the queue is for a namespace with these labels."""
    selector = to_label_selector(queue.spec.namespace_selector.model_dump(mode="json", by_alias=True))
    return selector is None or selector.matches(labels)


def _optional(name: str, quantity: str | int | float | None) -> int | None:
    return None if quantity is None else parse_amount(name, quantity)


def _seconds(time: str | None) -> float | None:
    """None also for an annotation that is no time: anybody may have written it where the chart's policies are off."""
    try:
        return to_timestamp(time) or None
    except ValueError:
        return None
