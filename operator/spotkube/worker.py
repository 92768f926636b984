"""The planner in a process of its own: a search never holds up the watches, and can be given up."""

import asyncio
import logging
import multiprocessing
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.plan import Plan
from spotkube.planner.decide import decide
from spotkube.planner.problem import Budget

# Beyond the budget a plan may take this much longer, for building the problem and for parts that can't be cut short.
PATIENCE_SECONDS = 60.0
logger = logging.getLogger(__name__)


class PlannerFailed(Exception):  # noqa: N818 - says what happened
    """The planner died or was given up; the next cycle tries again with a new process."""


@dataclass(frozen=True, slots=True)
class Planned:
    plan: Plan
    seconds: float


class PlannerWorker:
    """One process, started at the first use and again after it was given up."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def warm_up(self) -> None:
        """Starts the process and compiles what needs compiling, so that the first plan is as quick as the others."""
        await self._run(PATIENCE_SECONDS * 3, _imported)

    async def plan(self, snapshot: Snapshot, mode: Mode, seed: int, seconds: float) -> Planned:
        """Raises PlannerFailed; errors of the planner itself pass through."""
        started = time.monotonic()
        plan = await self._run(seconds + PATIENCE_SECONDS, _decide, snapshot, mode, seed, seconds)
        return Planned(plan, time.monotonic() - started)

    async def _run(self, seconds: float, work, *arguments):  # type: ignore[no-untyped-def]
        if self._pool is None:
            # Spawned, not forked: the parent has threads and open connections.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_leave_signals_to_the_parent)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        except TimeoutError as error:
            self.stop()
            raise PlannerFailed(f"no plan after {seconds:.0f} s, so the planner was given up") from error
        except BrokenProcessPool as error:
            self.stop()
            raise PlannerFailed("the planner's process ended by itself, perhaps for want of memory") from error

    def stop(self) -> None:
        """Ends the process at once, whatever it is doing."""
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in (pool._processes or {}).values():
                process.kill()
            pool.shutdown(wait=False, cancel_futures=True)


def _decide(snapshot: Snapshot, mode: Mode, seed: int, seconds: float) -> Plan:
    return decide(snapshot, mode, seed=seed, budget=Budget(seconds=seconds))


def _leave_signals_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _imported() -> None:
    """Nothing: the import was what takes time."""
