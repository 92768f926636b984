"""Leader election by a Lease: one of several replicas acts, another takes over when it is gone.

The client's own `leaderelection` trusts wall clocks, so that a clock step steals the lease; this one does not.
No election can stop a process that is frozen between its check and its call. What a leader does must therefore bear
repetition by another: idempotency tokens and uid preconditions see to that, not the lease.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from spotkube.cluster.errors import AlreadyExists, ClusterError, Conflict
from spotkube.cluster.leases import (
    Decision,
    LeaseRecord,
    LeaseTimes,
    Observation,
    decide,
    observe,
    released,
    renewed,
)
from spotkube.cluster.resources import LEASES, Resource

logger = logging.getLogger(__name__)


def monotonic_seconds() -> float:
    """A clock that never steps and, where the system has one, also counts the time in which the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class LeaseClient(Protocol):
    """What the elector needs of `KubeClient`. Give it one of its own: renewals must not queue behind other calls."""

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> dict[str, Any] | None: ...

    async def create(
        self, resource: Resource, body: dict[str, Any], namespace: str | None = None
    ) -> dict[str, Any]: ...

    async def replace(
        self, resource: Resource, name: str, body: dict[str, Any], *, namespace: str | None = None
    ) -> dict[str, Any]: ...


class LeaderElector:
    """`run()` it in a task; ask `is_leader()` right before each call that buys or destroys; `release()` at the end.

    `identity` must differ between processes, also between two lives of one pod. The callbacks must return at once.
    """

    def __init__(
        self,
        client: LeaseClient,
        *,
        namespace: str,
        name: str,
        identity: str,
        times: LeaseTimes | None = None,
        on_started: Callable[[], None] = lambda: None,
        on_stopped: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = monotonic_seconds,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.identity = identity
        self._client = client
        self._namespace = namespace
        self._name = name
        self._times = times or LeaseTimes()
        self._on_started = on_started
        self._on_stopped = on_stopped
        self._clock = clock
        self._wall_clock = wall_clock
        self._observation: Observation | None = None
        self._renewed_at: float | None = None
        self._told_leading = False
        self._released = False

    @property
    def holder(self) -> str:
        """Who held the lease when we last looked; empty for nobody."""
        return self._observation.record.holder if self._observation else ""

    def is_leader(self) -> bool:
        """Whether our last renewal is younger than the renew deadline, so that nobody else can have taken over."""
        return self._leads_for() > 0

    def _leads_for(self) -> float:
        if self._renewed_at is None:
            return 0.0
        return max(0.0, self._renewed_at + self._times.renew_deadline_seconds - self._clock())

    async def run(self) -> None:
        """Acquire and renew until cancelled or released."""
        while not self._released:
            await self.step()
            await asyncio.sleep(self._pause_seconds())

    def _pause_seconds(self) -> float:
        """Until the next look; a leader that cannot renew is told so when its time ends, not some time later."""
        leads_for = self._leads_for()
        return min(self._times.retry_seconds, leads_for) if leads_for > 0 else self._times.retry_seconds

    async def step(self) -> None:
        """Look at the lease once, and acquire or renew it if that is our right. Never raises the client's errors."""
        # Counted from before the call: others count from when they see its result, which is later.
        asked_at = self._clock()
        try:
            async with asyncio.timeout(self._leads_for() or self._times.renew_deadline_seconds):
                holds = await self._acquire_or_renew()
        except (Conflict, AlreadyExists):
            logger.debug("lease %s changed under our hands, looking again", self._name)
        except (ClusterError, TimeoutError) as error:
            logger.warning("lease %s/%s cannot be renewed: %s", self._namespace, self._name, error or "timeout")
        else:
            self._renewed_at = asked_at if holds and not self._released else None
        self._tell()

    async def _acquire_or_renew(self) -> bool:
        lease = await self._client.get(LEASES, self._name, self._namespace)
        record = LeaseRecord.from_lease(lease) if lease is not None else None
        now = self._clock()
        self._observation = observe(self._observation, record, now)
        decision = decide(self._observation, self.identity, now)
        if decision is Decision.WAIT or self._released:
            return False
        await self._write(lease, renewed(record, self.identity, self._times, self._wall_clock()))
        return True

    async def _write(self, lease: dict[str, Any] | None, record: LeaseRecord) -> None:
        """Guarded by the resourceVersion that `lease` was read with. Raises Conflict or AlreadyExists."""
        if lease is None:
            body = {"metadata": {"name": self._name, "namespace": self._namespace}, "spec": record.to_spec()}
            stored = await self._client.create(LEASES, body, self._namespace)
        else:
            body = {**lease, "spec": {**(lease.get("spec") or {}), **record.to_spec()}}
            stored = await self._client.replace(LEASES, self._name, body, namespace=self._namespace)
        self._observation = observe(self._observation, LeaseRecord.from_lease(stored), self._clock())

    def _tell(self) -> None:
        leading = self.is_leader()
        if leading == self._told_leading:
            return
        self._told_leading = leading
        logger.info("%s lease %s/%s", "holding" if leading else "lost", self._namespace, self._name)
        (self._on_started if leading else self._on_stopped)()

    async def release(self) -> None:
        """Stop leading, then let another replica take over at once. Call it when nothing more will be done.

        A failure is only logged: the lease then runs out by itself.
        """
        self._released = True
        self._renewed_at = None
        self._tell()
        try:
            async with asyncio.timeout(self._times.retry_seconds):
                await self._give_up()
        except (ClusterError, TimeoutError) as error:
            logger.warning("lease %s/%s could not be released: %s", self._namespace, self._name, error or "timeout")

    async def _give_up(self) -> None:
        for last in (False, True):
            lease = await self._client.get(LEASES, self._name, self._namespace)
            if lease is None or (record := LeaseRecord.from_lease(lease)).holder != self.identity:
                return
            try:
                await self._write(lease, released(record, self._wall_clock()))
                return
            except Conflict:  # a renewal of our own was still under way; there is only one
                if last:
                    raise


class SoleReplica:
    """Leadership without an election, for a process that surely has no twin (`leader_election: false`)."""

    identity = holder = "sole-replica"

    def is_leader(self) -> bool:
        return True

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def release(self) -> None:
        return None
