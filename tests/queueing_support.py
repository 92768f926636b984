"""Arrivals for the order's tests, a serial server that follows a clock, and the fluid reference worked out plainly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spotkube.queueing.clock import VirtualClock


@dataclass(frozen=True)
class Arrival:
    """`path` is (tenant,) or (queue, tenant)."""

    id: str
    path: tuple[str, ...]
    at: float
    size: float


Weights = Mapping[tuple[str, ...], float]


def serve(
    arrivals: Sequence[Arrival], weights: Weights | None = None, capacity: float = 1.0, levels: int = 1
) -> dict[str, float]:
    """When each job ends on a server that runs one at a time, in the clock's order, never idle while one waits."""
    clock = VirtualClock(levels)
    clock.advance(0.0, capacity)
    for path, weight in (weights or {}).items():
        clock.weigh(path, weight)
    coming = sorted(arrivals, key=lambda job: job.at)
    sizes = {job.id: job.size for job in arrivals}
    ends: dict[str, float] = {}
    now = 0.0
    while len(ends) < len(arrivals):
        while coming and coming[0].at <= now:
            # All that came during the last run, each at its own moment.
            _submit(clock, coming.pop(0), capacity)
        clock.advance(now, capacity)
        job = clock.first()
        if job is None:
            now = coming[0].at
            continue
        clock.dispatch(job)
        now += sizes[job] / capacity
        ends[job] = now
        while coming and coming[0].at < now:
            _submit(clock, coming.pop(0), capacity)
        clock.advance(now, capacity)
        clock.finish(job)
    return ends


def _submit(clock: VirtualClock, job: Arrival, capacity: float) -> None:
    clock.advance(job.at, capacity)
    clock.submit(job.id, job.path, job.size)


def fluid_done(
    arrivals: Sequence[Arrival], weights: Weights | None = None, capacity: float = 1.0
) -> dict[str, list[tuple[float, float]]]:
    """When all work of a tenant is done that had come by then, under ideal sharing by weight at every moment: by
    tenant, a list of (when, how much in all). The outermost name of a path is the tenant."""
    coming = sorted(arrivals, key=lambda job: job.at)
    left: dict[str, float] = defaultdict(float)
    served: dict[str, float] = defaultdict(float)
    done: dict[str, list[tuple[float, float]]] = defaultdict(list)
    now = 0.0
    while coming or any(left.values()):
        while coming and coming[0].at <= now:
            job = coming.pop(0)
            left[job.path[0]] += job.size
        active = {tenant: (weights or {}).get((tenant,), 1.0) for tenant, work in left.items() if work > 0}
        if not active:
            now = coming[0].at
            continue
        rate = capacity / sum(active.values())
        until_end = min(left[tenant] / (weight * rate) for tenant, weight in active.items())
        step = min([until_end, *([coming[0].at - now] if coming else [])])
        now += step
        for tenant, weight in active.items():
            work = min(left[tenant], step * rate * weight)
            left[tenant] -= work
            served[tenant] += work
            if left[tenant] <= 1e-9:
                left[tenant] = 0.0
                done[tenant].append((now, served[tenant]))
    return done


def nested_fluid_done(
    arrivals: Sequence[Arrival], weights: Weights | None = None
) -> dict[tuple[str, ...], list[tuple[float, float]]]:
    """As `fluid_done` on a capacity of 1, by (queue, tenant): queues share by their weights at every moment, and the
    tenants of each queue share what it has by theirs (hierarchical processor sharing)."""
    coming = sorted(arrivals, key=lambda job: job.at)
    left: dict[tuple[str, ...], float] = defaultdict(float)
    served: dict[tuple[str, ...], float] = defaultdict(float)
    done: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
    now = 0.0
    while coming or any(left.values()):
        while coming and coming[0].at <= now:
            job = coming.pop(0)
            left[job.path] += job.size
        rates = _nested_rates([path for path, work in left.items() if work > 0], weights or {})
        if not rates:
            now = coming[0].at
            continue
        until_end = min(left[path] / rate for path, rate in rates.items())
        step = min([until_end, *([coming[0].at - now] if coming else [])])
        now += step
        for path, rate in rates.items():
            work = min(left[path], step * rate)
            left[path] -= work
            served[path] += work
            if left[path] <= 1e-9:
                left[path] = 0.0
                done[path].append((now, served[path]))
    return done


def _nested_rates(active: Sequence[tuple[str, ...]], weights: Weights) -> dict[tuple[str, ...], float]:
    queues = {path[0]: weights.get(path[:1], 1.0) for path in active}
    within: dict[str, float] = defaultdict(float)
    for path in active:
        within[path[0]] += weights.get(path, 1.0)
    total = sum(queues.values())
    return {path: queues[path[0]] / total * weights.get(path, 1.0) / within[path[0]] for path in active}
