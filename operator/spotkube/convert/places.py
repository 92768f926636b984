"""Who waits in queues, and why, as the operator keeps it in a ConfigMap; or as Workloads' own status says it."""

import base64
import json
import lzma
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from spotkube.api.workload import Workload

CONFIG_MAP = "spotkube-queues"
PLACES_KEY = "places.json.xz"
PLACES_VERSION = 1


class Origin(StrEnum):
    """Where it is known from."""

    OPERATOR = "Operator"
    WORKLOADS = "Workloads"
    """No positions, and none of the numbers that make the order."""
    NOTHING = "Nothing"


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a job's place follows from.

    `size` is its estimated run times the part of the whole capacity that it takes, in seconds of the whole. `leftover`:
    its queue or tenant has weight 0. Without `virtual_start` and `virtual_deadline`, the tenant's and the job's within
    the queue, its turn is overdue. `queue_deadline` counts among queues and compares within the queue as well.
    `error_ratio` is the factor by which half of such estimates were off at most.
    """

    submitted_seconds: float
    priority: int
    pods: int
    usd_per_hour: float | None
    preemptions: int
    run_seconds: float
    estimate_source: str
    estimate: str
    error_ratio: float | None
    size: float
    weight: float
    leftover: bool
    virtual_start: float | None
    virtual_deadline: float | None
    queue_deadline: float

    @property
    def overdue(self) -> bool:
        return self.virtual_deadline is None


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """`name` is "Kind namespace/name". Starts are Unix times, the range is meant for four of five."""

    name: str
    queue: str
    tenant: str
    reason: str
    message: str
    estimated_start: float | None
    earliest_start: float | None
    latest_start: float | None
    position: int | None = None
    """In its queue, where priority goes first."""
    overall: int | None = None
    """Among all queues."""
    numbers: Numbers | None = None

    @property
    def key(self) -> str:
        """namespace/name."""
        return self.name.rpartition(" ")[2]

    @property
    def namespace(self) -> str:
        return self.key.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Places:
    """In the order in which their queues come to them. `as_of` is the Unix time at which the operator kept it."""

    origin: Origin
    jobs: tuple[WaitingJob, ...] = ()
    as_of: float | None = None

    def of_queue(self, name: str) -> list[WaitingJob]:
        return [job for job in self.jobs if job.queue == name]


def to_places(config_map: Mapping[str, Any] | None) -> Places:
    """What the operator kept. Raises ValueError for what this version can't read."""
    text = ((config_map or {}).get("binaryData") or {}).get(PLACES_KEY)
    if text is None:
        return Places(Origin.NOTHING)
    try:
        told = json.loads(lzma.decompress(base64.b64decode(text)))
        if told["version"] != PLACES_VERSION:
            raise ValueError(f"version {told['version']}, and not {PLACES_VERSION}")
        return Places(Origin.OPERATOR, tuple(_waiting(one) for one in told["places"]), told["asOf"])
    except (ValueError, KeyError, TypeError, lzma.LZMAError) as error:
        raise ValueError(
            f"ConfigMap {CONFIG_MAP}: {PLACES_KEY} is unreadable: {error!r}; use the operator's version of spotkube"
        ) from error


def of_workloads(workloads: Iterable[Workload]) -> Places:
    """What their status says of those that wait, those that start first in front."""
    waiting = [_of_workload(one) for one in workloads if one.status.queue is not None]
    last = float("inf")
    ordered = sorted(waiting, key=lambda job: (job.queue, job.estimated_start or last, job.name))
    return Places(Origin.WORKLOADS, tuple(ordered))


def _waiting(told: Mapping[str, Any]) -> WaitingJob:
    return WaitingJob(
        name=told["job"],
        queue=told["queue"],
        tenant=told["tenant"],
        reason=told["reason"],
        message=told["message"],
        estimated_start=told["estimatedStart"],
        earliest_start=told["earliestStart"],
        latest_start=told["latestStart"],
        position=told["position"],
        overall=told["overall"],
        numbers=Numbers(
            submitted_seconds=told["submitted"],
            priority=told["priority"],
            pods=told["pods"],
            usd_per_hour=told["usdPerHour"],
            preemptions=told["preemptions"],
            run_seconds=told["runSeconds"],
            estimate_source=told["estimateSource"],
            estimate=told["estimate"],
            error_ratio=told["errorRatio"],
            size=told["size"],
            weight=told["weight"],
            leftover=told["leftover"],
            virtual_start=told["virtualStart"],
            virtual_deadline=told["virtualDeadline"],
            queue_deadline=told["queueDeadline"],
        ),
    )


def _of_workload(workload: Workload) -> WaitingJob:
    place, namespace, queue = workload.status.queue, workload.metadata.namespace or "", workload.spec.queue_name or ""
    assert place is not None, "only of those that wait"
    words = workload.status.waiting_for or ""
    return WaitingJob(
        name=f"Workload {namespace}/{workload.name}",
        queue=queue,
        tenant=namespace,
        reason=place.reason,
        message=words.removeprefix(f"waits in queue {queue}: "),
        estimated_start=_seconds(place.estimated_start),
        earliest_start=_seconds(place.earliest_start),
        latest_start=_seconds(place.latest_start),
    )


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
