"""How queues and those who wait in them stand, as their status says it: pure functions of a cycle."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spotkube.api.common import Condition
from spotkube.api.fairqueue import (
    FairQueue,
    FairQueueStatus,
    QueueSpend,
    ResourceUsage,
    TenantStatus,
)
from spotkube.controllers.queues.seeing import Sight
from spotkube.model.resources import PODS, ResourceList
from spotkube.queueing.decisions import Decisions
from spotkube.queueing.forecast import forecast
from spotkube.queueing.jobs import USD_HOUR
from spotkube.queueing.outcomes import Start
from spotkube.queueing.scene import Scene
from spotkube.queueing.seen import Phase
from spotkube.queueing.spending import Spending
from spotkube.queueing.tenants import Tenants

# What the API takes.
MOST_TENANTS = 500
MOST_NAMESPACES = 20


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one job that waits: why, and when it will likely start. Times are seconds since the epoch."""

    uid: str
    queue: str
    reason: str
    message: str
    start: Start | None = None


def standings(scene: Scene, decisions: Decisions) -> dict[str, Standing]:
    """Of all that wait, by uid."""
    starts = forecast(scene)
    held_up = {one.uid for one in decisions.admitted if one.after}
    found = {}
    for waiting in scene.backlog:
        job, reason = waiting.job, decisions.reason(waiting)
        if reason is None and job.uid not in held_up:
            continue
        why, words = (
            (reason.why.value, reason.words) if reason else ("Admitted", "it starts as soon as others have left")
        )
        found[job.uid] = Standing(job.uid, job.queue, why, words, starts.get(job.uid))
    return found


def starts_of(told: Mapping[str, Standing]) -> dict[str, Start]:
    """By uid, of those that have one."""
    return {uid: one.start for uid, one in told.items() if one.start is not None}


def of_members(waiting: Mapping[str, Standing], sight: Sight) -> dict[str, Standing]:
    """Of each object by its uid: how the job stands that it is part of, or why it stands in no queue."""
    found = {
        member.uid: waiting[uid]
        for uid, members in sight.members.items()
        if uid in waiting
        for member in members
        if member.phase is Phase.WAITING
    }
    refused = {
        one.member.uid: Standing(one.member.uid, one.member.queue, one.reason, one.words) for one in sight.refused
    }
    return found | refused


def queue_status(
    queue: FairQueue, scene: Scene, spending: Spending, tenants: Tenants, conditions: tuple[Condition, ...]
) -> FairQueueStatus:
    """The status as it should be."""
    name = queue.name
    waiting = [one.job for one in scene.backlog if one.job.queue == name]
    running = [one for one in scene.running.values() if one.job.queue == name]
    spent = spending.of_queues().get(name)
    rate = sum(usd for (owner, _), usd in spending.rates_usd_hour.items() if owner == name)
    return FairQueueStatus(
        observed_generation=queue.metadata.generation,
        conditions=conditions,
        pending_workloads=len(waiting),
        admitted_workloads=len(running),
        usage=_usage(name, scene),
        spend=QueueSpend(
            usd_per_hour=round(rate, 4),
            usd_today=round(spent.usd_today, 2) if spent else 0.0,
            usd_this_month=round(spent.usd_this_month, 2) if spent else 0.0,
        ),
        tenants=_tenants(
            queue,
            Counter(job.tenant for job in waiting),
            Counter(one.job.tenant for one in running),
            spending,
            tenants.namespaces(),
        ),
    )


def _usage(name: str, scene: Scene) -> tuple[ResourceUsage, ...]:
    queue, ledger = scene.queues[name], scene.ledger
    return tuple(
        ResourceUsage(
            name=resource,
            used=_written(resource, ledger.used(name, resource)),
            borrowed=_written(resource, ledger.borrowed(name, resource)),
        )
        for resource in queue.quotas
        if resource not in (PODS, USD_HOUR)
    )


def _written(resource: str, amount: int) -> str:
    return ResourceList({resource: amount}).to_quantities().get(resource, "0")


def _tenants(
    queue: FairQueue,
    pending: Mapping[str, int],
    admitted: Mapping[str, int],
    spending: Spending,
    namespaces: Mapping[str, Sequence[str]],
) -> tuple[TenantStatus, ...]:
    weights = {tenant.name: tenant.weight for tenant in queue.spec.tenants}
    rates: dict[str, float] = defaultdict(float)
    for (owner, tenant), usd in spending.rates_usd_hour.items():
        if owner == queue.name:
            rates[tenant] += usd
    names = sorted({*pending, *admitted, *rates})
    return tuple(
        TenantStatus(
            name=name,
            namespaces=tuple(namespaces.get(name, ())[:MOST_NAMESPACES]),
            weight=weights.get(name, 1.0),
            pending=pending.get(name, 0),
            admitted=admitted.get(name, 0),
            usd_per_hour=round(rates[name], 4),
            usd_this_month=round(spending.of((queue.name, name)).usd_this_month, 2),
        )
        for name in names[:MOST_TENANTS]
    )
