"""The planner's process, a real one: what it answers, how it dies, and that it does not outlive its parent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from builders import make_pod, make_snapshot
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.plan import Plan
from spotkube.model.policy import Pick, Policy
from spotkube.parcels import Bundle
from spotkube.planner.problem import Enough
from spotkube.worker import ENOUGH_MICRO_USD_HOUR, PlannerFailed, PlannerWorker, enough_for

# The process imports these functions by the name of this module.


def warm_quickly() -> None:
    """Compiles nothing."""


def answer(snapshot: Snapshot, mode: Mode, seed: int, seconds: float) -> Plan:
    return Plan(placed_pods=seed)


def answer_with_pid(snapshot: Snapshot, mode: Mode, seed: int, seconds: float) -> Plan:
    return Plan(placed_pods=os.getpid())


def count_pods(snapshot: Snapshot, mode: Mode, seed: int, seconds: float) -> Plan:
    return Plan(placed_pods=len(snapshot.pods))


def fail(snapshot: Snapshot, mode: Mode, seed: int, seconds: float) -> Plan:
    raise ValueError("pods: too many of them")


def die_unless_seeded(snapshot: Snapshot, mode: Mode, seed: int, seconds: float) -> Plan:
    if seed == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return Plan(placed_pods=seed)


def hang_unless_seeded(snapshot: Snapshot, mode: Mode, seed: int, seconds: float) -> Plan:
    if seed == 0:
        time.sleep(3600)
    return Plan(placed_pods=seed)


@contextlib.asynccontextmanager
async def working(
    decide: Callable[[Snapshot, Mode, int, float], Plan], patience_seconds: float = 60.0
) -> AsyncIterator[PlannerWorker]:
    worker = PlannerWorker(decide, warm_quickly, patience_seconds)
    try:
        yield worker
    finally:
        worker.stop()


async def ask(worker: PlannerWorker, seed: int = 0) -> int:
    return (await worker.plan(make_snapshot(), Mode.APPLY, seed, 0.0)).plan.placed_pods


async def test_a_plan_comes_back_and_the_process_stays() -> None:
    async with working(answer_with_pid) as worker:
        await worker.warm_up()

        first, second = await ask(worker), await ask(worker)

    assert first == second != os.getpid()


async def test_what_it_was_told_before_it_was_asked_is_not_sent_again() -> None:
    snapshot = make_snapshot([make_pod("web"), make_pod("db")])
    async with working(count_pods) as worker:
        await worker.keep_up(snapshot)
        again = worker._sender.pack(snapshot)

        planned = await worker.plan(snapshot, Mode.APPLY, 0, 1.0)

    assert {bundle for _, bundle in again.bundles} == {Bundle(None)}
    assert planned.plan.placed_pods == 2


@pytest.mark.parametrize(("pick", "part"), [(Pick.CHEAPEST, 0.01), (Pick.BALANCED, 0.0), (Pick.SAFEST, 0.0)])
def test_only_where_cost_is_all_that_counts_a_part_of_it_is_enough(pick: Pick, part: float) -> None:
    assert enough_for(Policy(pick), percent=1.0) == Enough(ENOUGH_MICRO_USD_HOUR, part)


async def test_errors_of_the_planner_pass_through() -> None:
    async with working(fail) as worker:
        with pytest.raises(ValueError, match="pods: too many of them"):
            await ask(worker)


async def test_a_process_that_dies_is_told_and_the_next_call_has_a_new_one() -> None:
    async with working(die_unless_seeded) as worker:
        with pytest.raises(PlannerFailed, match="ended by itself"):
            await ask(worker)

        assert await ask(worker, seed=7) == 7


async def test_one_that_finds_no_end_is_given_up() -> None:
    async with working(hang_unless_seeded, patience_seconds=0.5) as worker:
        with pytest.raises(PlannerFailed, match="given up"):
            await ask(worker)

        assert await ask(worker, seed=7) == 7


async def test_who_no_longer_waits_does_not_hold_up_the_next() -> None:
    async with working(hang_unless_seeded) as worker:
        await worker.warm_up()
        asked = asyncio.create_task(ask(worker))
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait([asked])

        assert asked.cancelled()
        assert await ask(worker, seed=7) == 7


async def test_calls_wait_for_each_other() -> None:
    async with working(answer) as worker:
        answers = await asyncio.gather(ask(worker, 1), ask(worker, 2), worker.warm_up())

    assert list(answers) == [1, 2, None]


PARENT = """
import asyncio, sys
from spotkube.model.cluster import Mode, Snapshot
from spotkube.worker import PlannerWorker
from test_worker import answer_with_pid, warm_quickly

async def main():
    worker = PlannerWorker(answer_with_pid, warm_quickly)
    print((await worker.plan(Snapshot(0.0), Mode.APPLY, 0, 1.0)).plan.placed_pods, flush=True)
    await asyncio.sleep(3600)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()

    _wait_until_gone(child)


def _wait_until_gone(pid: int) -> None:
    for _ in range(300):
        if not Path(f"/proc/{pid}").exists() or "zombie" in Path(f"/proc/{pid}/status").read_text():
            return
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError("the worker outlives its parent")
