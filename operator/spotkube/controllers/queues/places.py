"""Who waits where and why, with the numbers that explain it, as `spotkube queue` shows it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from spotkube.controllers.queues.standing import Standing
from spotkube.queueing.book import Book
from spotkube.queueing.clock import Place
from spotkube.queueing.estimates import Estimate
from spotkube.queueing.jobs import Job, Waiting
from spotkube.queueing.queues import Queue
from spotkube.queueing.scene import Scene

# Of each queue; who stands further back is counted, and has his position by it.
MOST_EXPLAINED = 500


def places(book: Book, scene: Scene, standings: Mapping[str, Standing]) -> list[dict[str, Any]]:
    """Of those that wait, in the order in which their queues come to them. Times are seconds since the epoch.

    `overall` is the position among all queues, `position` that within its own, where priority goes first.
    """

    def turn(one: Waiting) -> tuple[Any, ...]:
        queue = scene.queues.get(one.job.queue)
        last = queue is not None and queue.comes_last(one.job.tenant)
        return last, -one.job.priority, one.key, one.job.uid

    overall = {one.job.uid: n for n, one in enumerate(sorted(scene.backlog, key=lambda one: (one.key, one.job.uid)), 1)}
    positions: Counter[str] = Counter()
    found: dict[str, tuple[int, Waiting]] = {}
    for one in sorted(scene.backlog, key=turn):
        positions[one.job.queue] += 1
        if positions[one.job.queue] <= MOST_EXPLAINED:
            found[one.job.uid] = positions[one.job.queue], one
    levels = book.clock.places(found)
    return [
        _about(one.job, position, overall[uid], standings.get(uid))
        | _estimate(one.job, book.estimate_of(uid))
        | _order(levels[uid], scene.queues.get(one.job.queue), one.job.tenant)
        for uid, (position, one) in found.items()
    ]


def _about(job: Job, position: int, overall: int, standing: Standing | None) -> dict[str, Any]:
    start = standing.start if standing else None
    return {
        "uid": job.uid,
        "job": job.name,
        "queue": job.queue,
        "tenant": job.tenant,
        "position": position,
        "overall": overall,
        "reason": standing.reason if standing else "",
        "message": standing.message if standing else "",
        "estimatedStart": start.start_seconds if start else None,
        "earliestStart": start.low_seconds if start else None,
        "latestStart": start.high_seconds if start else None,
        "submitted": job.submitted_seconds,
        "priority": job.priority,
        "pods": job.parallelism,
        "usdPerHour": job.price_usd_hour,
        "preemptions": len(job.preemptors),
    }


def _estimate(job: Job, estimate: Estimate | None) -> dict[str, Any]:
    return {
        "runSeconds": job.run_seconds,
        "estimateSource": estimate.source.value if estimate else "",
        "estimate": estimate.words if estimate else "",
        "errorRatio": estimate.error_ratio if estimate else None,
    }


def _order(levels: Sequence[Place], queue: Queue | None, tenant: str) -> dict[str, Any]:
    """`weight`, `virtualStart` and `virtualDeadline` are the tenant's in its queue; the last two are absent where the
    job's turn is overdue. `queueDeadline` says its turn among all queues."""
    outer, inner = levels[0], levels[1] if len(levels) > 1 else None
    return {
        "size": outer.size,
        "weight": queue.tenant_weights.get(tenant, 1.0) if queue else 1.0,
        "leftover": queue is not None and queue.comes_last(tenant),
        "virtualStart": inner.start if inner else None,
        "virtualDeadline": inner.deadline if inner else None,
        "queueDeadline": outer.deadline,
    }
