"""The planner in a process of its own: a search never holds up the watches, and can be given up."""

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, TypeVar

from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.plan import Placement, Plan
from spotkube.model.policy import Pick, Policy
from spotkube.parcels import Parcel, Receiver, Sender
from spotkube.pauses import keep_pauses_short
from spotkube.planner.consolidation.consolidate import consolidate
from spotkube.planner.decide import decide, fill
from spotkube.planner.explaining.unplaceable import IN_PASSING, explain_unplaceable
from spotkube.planner.formulation.bins import KeptBins
from spotkube.planner.problem import Budget, Enough
from spotkube.planner.warmup import warm_up

# Beyond the budget a plan may take this much longer, for building the problem and for parts that can't be cut short.
PATIENCE_SECONDS = 60.0
# Compiling takes two minutes, and several times that on a machine that is busy or allows a part of one core.
WARM_UP_PATIENCE_SECONDS = 600.0
# A search takes all cores: watches, the Lease and drains of the loop come first.
NICENESS = 1
# Pods wait while a plan is searched for: a dollar and a half a month is not worth more of that.
ENOUGH_MICRO_USD_HOUR = 2000
logger = logging.getLogger(__name__)
T = TypeVar("T")
Decide = Callable[[Snapshot, Mode, int, float], Plan]


class PlannerFailed(Exception):  # noqa: N818 - says what happened
    """The planner died or was given up; the next call begins with a new process."""


@dataclass(frozen=True, slots=True)
class Planned:
    plan: Plan
    seconds: float


def consolidate_within(snapshot: Snapshot, mode: Mode, seed: int, seconds: float) -> Plan:
    """What the worker's process runs for nodes in force."""
    return consolidate(snapshot, mode, seed=seed, budget=Budget(seconds=seconds))


def decide_within(snapshot: Snapshot, mode: Mode, seed: int, seconds: float, enough_percent: float = 0.0) -> Plan:
    """What the worker's process runs. For how near to the cheapest is enough: see `enough_for`."""
    budget = Budget(seconds=seconds, enough=enough_for(snapshot.policy, enough_percent))
    plan = decide(snapshot, mode, seed=seed, budget=budget, kept=_kept)
    return explain_unplaceable(snapshot, mode, plan, IN_PASSING)


def enough_for(policy: Policy, percent: float) -> Enough:
    """What is not worth waiting for, where so many percent of the cost are not. A policy that weighs more than the cost
    has use for all the time."""
    return Enough(ENOUGH_MICRO_USD_HOUR, percent / 100 if policy.pick is Pick.CHEAPEST else 0.0)


def fill_at_once(snapshot: Snapshot) -> tuple[Placement, ...]:
    """What the worker's process runs for pods that may have room on what is there."""
    return fill(snapshot, _kept)


# In the worker's process.
_receiver, _kept = Receiver(), KeptBins()


def _answer(work: Callable[..., T], parcel: Parcel, *arguments: Any) -> T:
    """What the worker's process runs."""
    return work(_receiver.unpack(parcel), *arguments)


def _nothing(_snapshot: Snapshot) -> None:
    """What the worker's process runs where no question is asked: it has the snapshot then."""


class PlannerWorker:
    """One process, started and warmed up at the first use, and again after it was given up. One call at a time."""

    def __init__(
        self,
        decide: Decide = decide_within,
        warm_up: Callable[[], object] = warm_up,
        patience_seconds: float = PATIENCE_SECONDS,
        consolidate: Decide = consolidate_within,
    ) -> None:
        """The functions are those of a module: the process imports them by name."""
        self._decide = decide
        self._consolidate = consolidate
        self._warm_up = warm_up
        self._patience_seconds = patience_seconds
        self._executor: ProcessPoolExecutor | None = None
        self._sender = Sender()
        self._turn = asyncio.Lock()

    async def warm_up(self) -> None:
        """Starts the process and compiles what needs compiling, so that the first plan is as quick as the others.

        Raises PlannerFailed.
        """
        async with self._turn:
            await self._warm()

    async def plan(self, snapshot: Snapshot, mode: Mode, seed: int, seconds: float, moves: bool = False) -> Planned:
        """`moves`: nodes in force may be given back too.

        Raises PlannerFailed; errors of the planner itself pass through.
        """
        async with self._turn:
            executor = await self._warm()
            started = time.monotonic()
            patience = seconds + self._patience_seconds
            decide = self._consolidate if moves else self._decide
            plan = await self._ask(executor, patience, decide, snapshot, mode, seed, seconds)
            return Planned(plan, time.monotonic() - started)

    async def fill(self, snapshot: Snapshot) -> tuple[Placement, ...]:
        """Which of the waiting pods have room on what is there. Raises PlannerFailed."""
        async with self._turn:
            return await self._ask(await self._warm(), self._patience_seconds, fill_at_once, snapshot)

    async def keep_up(self, snapshot: Snapshot) -> None:
        """Sends the planner's process what it does not have yet, before a question is asked: tens of thousands of pods
        take seconds, which pods whose node is about to end do not have. Raises PlannerFailed."""
        async with self._turn:
            await self._ask(await self._warm(), self._patience_seconds, _nothing, snapshot)

    async def _warm(self) -> ProcessPoolExecutor:
        if self._executor is None:
            # Spawned, not forked: the parent has threads and open connections.
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(1, mp_context=context, initializer=_follow_parent)
            await self._run(self._executor, WARM_UP_PATIENCE_SECONDS, self._warm_up)
        return self._executor

    async def _ask(
        self, executor: ProcessPoolExecutor, seconds: float, work: Callable[..., T], snapshot: Snapshot, *rest: Any
    ) -> T:
        return await self._run(executor, seconds, _answer, work, self._sender.pack(snapshot), *rest)

    async def _run(
        self, executor: ProcessPoolExecutor, seconds: float, work: Callable[..., T], *arguments: object
    ) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(executor, work, *arguments)
        except TimeoutError as error:
            self.stop()
            raise PlannerFailed(f"no plan after {seconds:.0f} s, so the planner was given up") from error
        except BrokenProcessPool as error:
            self.stop()
            raise PlannerFailed("the planner's process ended by itself, perhaps for want of memory") from error
        except asyncio.CancelledError:
            # Nobody waits for it any more; the next call must not queue up behind it.
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the process at once, whatever it is doing."""
        executor, self._executor, self._sender = self._executor, None, Sender()
        if executor is not None:
            for process in (executor._processes or {}).values():
                process.kill()
            executor.shutdown(wait=False, cancel_futures=True)


def _follow_parent() -> None:
    """Signals to the group are the parent's to handle, but where it dies, however suddenly, the worker ends too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    keep_pauses_short()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
