"""Stops a pool from buying node after node that never becomes Ready: a broken image or network costs money for ever."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from spotkube.api import NodePool
from spotkube.api.nodepool import Failures
from spotkube.controllers.headroom import counts
from spotkube.model.cluster import Claim, ClaimPhase, Pool

ALLOWED_FAILURES = 3
"""In a row; as many nodes may be lost to bad luck."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 60.0, 3600.0


@dataclass(slots=True)
class _Count:
    in_a_row: int = 0
    last_at: float = 0.0


class PurchaseBrake:
    """Counts by pool the nodes that did not become Ready, since the last one that did. It is kept in the pools' status,
    and read from there after a restart."""

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}

    def recall(self, pools: Iterable[NodePool]) -> None:
        """What the pools' status says, of pools of which nothing is known yet."""
        for pool in pools:
            failures = pool.status.failures
            known = _Count(failures.in_a_row, failures.last_at.timestamp()) if failures else _Count()
            self._counts.setdefault(pool.name, known)

    def forget(self) -> None:
        """Another replica may count meanwhile."""
        self._counts.clear()

    def failed(self, pool: str, now: float) -> None:
        count = self._counts.setdefault(pool, _Count())
        count.in_a_row, count.last_at = count.in_a_row + 1, now

    def succeeded(self, pool: str) -> None:
        self._counts[pool] = _Count()

    def failures(self, pool: str) -> Failures | None:
        """For the pool's status."""
        count = self._counts.get(pool)
        return Failures.of(count.in_a_row, count.last_at) if count is not None and count.in_a_row else None

    def until(self, pool: str) -> float:
        """When it may buy again (Unix time); 0 where nothing holds it."""
        count = self._counts.get(pool)
        if count is None or count.in_a_row < ALLOWED_FAILURES:
            return 0.0
        pause = FIRST_PAUSE_SECONDS * 2.0 ** min(count.in_a_row - ALLOWED_FAILURES, 10)
        return count.last_at + min(pause, LONGEST_PAUSE_SECONDS)

    def why(self, pool: str) -> str:
        """Why it may not buy as it likes, "" where it may. The words stay the same until something happens."""
        count = self._counts.get(pool)
        if count is None or count.in_a_row < ALLOWED_FAILURES:
            return ""
        until = datetime.fromtimestamp(self.until(pool), UTC).strftime("%H:%M:%S")
        return (
            f"the last {count.in_a_row} nodes did not become Ready within spec.readyTimeout: nothing is bought until "
            f"{until} UTC, and then one node at a time until one is Ready; look at what nodes start with"
        )

    def limited(self, pool: Pool, claims: Iterable[Claim], now: float) -> Pool:
        """The pool with what it may buy now: nothing while it is held, one at a time until one has become Ready."""
        count = self._counts.get(pool.name)
        if count is None or count.in_a_row < ALLOWED_FAILURES:
            return pool
        own = [claim for claim in claims if claim.pool == pool.name and counts(claim)]
        trying = any(claim.phase is not ClaimPhase.READY and not claim.leaving for claim in own)
        most = len(own) + (0 if trying or self.until(pool.name) > now else 1)
        limit = most if pool.limit_nodes is None else min(most, pool.limit_nodes)
        return replace(pool, limit_nodes=limit)
