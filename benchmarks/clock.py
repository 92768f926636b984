#!/usr/bin/env python3
"""What an event costs the virtual clock with many jobs queued, beside the form that was published."""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "operator"))

from results import Row
from spotkube.queueing.clock import VirtualClock
from spotkube.queueing.published import PublishedClock

EPILOG = """\
Jobs of drawn sizes are queued by tenants of drawn weights. Then each round is one of each: a submission, the first in
order begins to run, one that runs ends with another size than was told, a tenant is given a new weight. Each event
includes the time that passes before it, so that tenants come and go in the reference. `two levels` has the tenants in
ten queues. The published form knows submissions only, and is given fewer of them.

example:
  benchmarks/clock.py --jobs 100000 --tenants 1000
exit codes: 0 the target is met, 1 it is missed, 2 bad arguments
"""
T = TypeVar("T")
TARGET_MS = 1.0
CAPACITY = 1000.0


class Stopwatch:
    def __init__(self) -> None:
        self.milliseconds: list[float] = []

    def __call__(self, work: Callable[..., T], *told: Any) -> T:
        started = time.perf_counter()
        done = work(*told)
        self.milliseconds.append((time.perf_counter() - started) * 1000)
        return done

    def row(self, name: str) -> Row:
        ordered = sorted(self.milliseconds)
        median, p99 = statistics.median(ordered), ordered[int(0.99 * len(ordered))]
        return {"name": name, "events": len(ordered), "median_ms": round(median, 4), "p99_ms": round(p99, 4),
                "max_ms": round(ordered[-1], 3)}  # fmt: skip


def measure(jobs: int, tenants: int, rounds: int, levels: int) -> Row:
    chance = random.Random(0)
    paths = [(f"queue-{t % 10}", f"tenant-{t:04}")[2 - levels :] for t in range(tenants)]
    clock, now, watch, running = VirtualClock(levels), 0.0, Stopwatch(), list[str]()
    clock.advance(now, CAPACITY)
    for path in paths:
        clock.weigh(path, chance.choice((0.5, 1, 1, 2)))
    for number in range(jobs):
        clock.submit(f"job-{number:07}", chance.choice(paths), size(chance))
    for number in range(jobs, jobs + rounds):
        now += chance.expovariate(1.0)
        watch(submit, clock, f"job-{number:07}", chance.choice(paths), size(chance), now)
        running.append(watch(dispatch, clock, now))
        if len(running) > 100:
            job = running.pop(chance.randrange(len(running)))
            watch(end, clock, job, size(chance), now)
        watch(weigh, clock, chance.choice(paths), chance.choice((0.5, 1, 1, 2)), now)
    return watch.row(f"virtual clock, {'one level' if levels == 1 else 'two levels'}")


def size(chance: random.Random) -> float:
    return chance.lognormvariate(5, 1.5)


def submit(clock: VirtualClock, job: str, path: tuple[str, ...], work: float, now: float) -> None:
    clock.advance(now, CAPACITY)
    clock.submit(job, path, work)


def dispatch(clock: VirtualClock, now: float) -> str:
    clock.advance(now, CAPACITY)
    job = clock.first()
    assert job is not None, "more jobs are queued than are dispatched"
    clock.dispatch(job)
    return job


def end(clock: VirtualClock, job: str, work: float, now: float) -> None:
    clock.advance(now, CAPACITY)
    clock.finish(job, work)


def weigh(clock: VirtualClock, path: tuple[str, ...], weight: float, now: float) -> None:
    clock.advance(now, CAPACITY)
    clock.weigh(path, weight)


def measure_published(jobs: int, tenants: int, events: int) -> Row:
    chance = random.Random(0)
    clock, watch = PublishedClock(), Stopwatch()
    for number in range(jobs):
        clock.submit(f"job-{number:07}", f"tenant-{chance.randrange(tenants):04}", size(chance), 0.0, CAPACITY)
    now = 0.0
    for number in range(jobs, jobs + events):
        now += chance.expovariate(1.0)
        tenant = f"tenant-{chance.randrange(tenants):04}"
        watch(clock.submit, f"job-{number:07}", tenant, size(chance), now, CAPACITY)
    return watch.row("published form, submissions")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=100_000, help="queued from the beginning [100000]")
    parser.add_argument("--tenants", type=int, default=1000, help="[1000]")
    parser.add_argument("--rounds", type=int, default=10_000, help="of up to four events each [10000]")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    args = parser.parse_args(arguments)
    if min(args.jobs, args.tenants, args.rounds) < 1:
        parser.error("--jobs, --tenants and --rounds need at least 1")
    rows = [measure(args.jobs, args.tenants, args.rounds, levels) for levels in (1, 2)]
    rows.append(measure_published(args.jobs, args.tenants, max(1, args.rounds // 50)))
    met = all(row["median_ms"] < TARGET_MS for row in rows[:2])
    if args.json:
        print(
            json.dumps({"jobs": args.jobs, "tenants": args.tenants, "target_ms": TARGET_MS, "met": met, "rows": rows})
        )
    else:
        for row in rows:
            print(f"{row['name']:<28} {row['events']:>6} events: median {row['median_ms']:.4f} ms, "
                  f"p99 {row['p99_ms']:.4f} ms, at most {row['max_ms']:.1f} ms")  # fmt: skip
        print(f"target: median below {TARGET_MS:g} ms an event: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
