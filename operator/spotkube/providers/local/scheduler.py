"""The one task that keeps the fake cloud going: it sleeps until something is due, and sends out errands."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from spotkube.providers.local.cloud import FakeCloud
from spotkube.providers.local.machines import Errand, Machine, errand
from spotkube.providers.local.nodes import BoundPod

log = logging.getLogger("spotkube.fakecloud")

# The clock may be set while we sleep: look at it again after this long.
MAX_SLEEP_SECONDS = 30.0
FIRST_RETRY_SECONDS = 0.25
MAX_RETRY_SECONDS = 5.0
# As many requests to the API server at once as a small one bears.
CONCURRENT_ERRANDS = 32


class Nodes(Protocol):
    """What errands need of the cluster; `ClusterNodes` is the real one."""

    async def register(self, machine: Machine) -> None: ...

    async def announce(self, machine: Machine) -> None: ...

    async def power_off(self, machine: Machine) -> tuple[BoundPod, ...]: ...

    async def remove(self, machine: Machine) -> None: ...


class Scheduler:
    """An errand that fails is repeated for ever, ever more seldom; it holds up neither time nor other machines."""

    def __init__(self, cloud: FakeCloud, nodes: Nodes, clock: Callable[[], float]) -> None:
        self._cloud = cloud
        self._nodes = nodes
        self._clock = clock
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(CONCURRENT_ERRANDS)
        self._out: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, int] = {}
        self._retry_at: dict[str, float] = {}
        cloud.changed = self._wake.set

    async def run(self) -> None:
        """Runs until cancelled, then calls back the errands that are out."""
        try:
            while True:
                now = self._clock()
                self._cloud.advance(now)
                due_at = self._send_out(now)
                self._wake.clear()  # nothing was awaited since `advance`: no change is missed
                await self._sleep(now, due_at)
        finally:
            for task in tuple(self._out.values()):
                task.cancel()
            await asyncio.gather(*self._out.values(), return_exceptions=True)

    def _send_out(self, now: float) -> float:
        """Sends out every errand that can go, and returns when to look again."""
        due = [self._cloud.due_at]
        for machine in self._cloud.owing_machines():
            owed = errand(machine)
            if owed is None or machine.id in self._out:
                continue
            if (retry_at := self._retry_at.get(machine.id, now)) > now:
                due.append(retry_at)
                continue
            self._out[machine.id] = asyncio.create_task(self._carry_out(machine, owed))
        return min(due)

    async def _sleep(self, now: float, due_at: float) -> None:
        seconds = min(MAX_SLEEP_SECONDS, max(0.0, due_at - now))
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _carry_out(self, machine: Machine, owed: Errand) -> None:
        try:
            async with self._slots:
                pods = await self._call(machine, owed)
            self._cloud.acknowledge(machine, owed, pods)
        except Exception as error:  # whatever is wrong with one Node, the cloud goes on
            self._postpone(machine, owed, error)
        else:
            self._failures.pop(machine.id, None)
            self._retry_at.pop(machine.id, None)
        finally:
            del self._out[machine.id]
            self._wake.set()

    async def _call(self, machine: Machine, owed: Errand) -> tuple[BoundPod, ...]:
        match owed:
            case Errand.REGISTER:
                await self._nodes.register(machine)
            case Errand.ANNOUNCE:
                await self._nodes.announce(machine)
            case Errand.POWER_OFF:
                return await self._nodes.power_off(machine)
            case Errand.REMOVE:
                await self._nodes.remove(machine)
        return ()

    def _postpone(self, machine: Machine, owed: Errand, error: Exception) -> None:
        failures = self._failures[machine.id] = self._failures.get(machine.id, 0) + 1
        seconds = min(MAX_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** (failures - 1))
        self._retry_at[machine.id] = self._clock() + seconds
        log.warning(
            "%s of %s failed, again in %gs: %s: %s",
            owed,
            machine.order.name,
            seconds,
            type(error).__name__,
            str(error).partition("\n")[0],
        )
