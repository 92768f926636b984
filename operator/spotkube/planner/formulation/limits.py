"""Limits of NodePools: amounts by resource name, and by NODES and DOLLARS. What is absent has no limit."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from spotkube.model.cluster import ClaimPhase, Pool, Snapshot
from spotkube.model.offerings import Offering
from spotkube.model.plan import PlannedNode
from spotkube.model.resources import ResourceList

NODES = "spotkube.io/nodes"
DOLLARS = "spotkube.io/micro-usd-hour"


def limits_of(pool: Pool) -> dict[str, int]:
    """Its limits."""
    limits = dict(pool.limit_resources)
    if pool.limit_nodes is not None:
        limits[NODES] = pool.limit_nodes
    if pool.limit_micro_usd_hour is not None:
        limits[DOLLARS] = pool.limit_micro_usd_hour
    return limits


def limit_use(offering: Offering, extra: int = 0) -> dict[str, int]:
    """What a node counts against the limits of its pool; `extra` is what its pool adds to the price."""
    return {**offering.allocatable, NODES: 1, DOLLARS: offering.price_micro_usd_hour + extra}


def used(snapshot: Snapshot, pool: Pool, bought: Iterable[PlannedNode] = ()) -> Counter[str]:
    """What counts against the pool's limits, with those of the nodes to buy that are its own.

    A claim with a notice does not count, else a full pool could not replace it.
    """
    claims = [c for c in snapshot.claims if c.pool == pool.name and c.deadline is None]
    claims = [claim for claim in claims if claim.phase is not ClaimPhase.TERMINATED]
    total = sum((claim.allocatable for claim in claims), ResourceList())
    dollars = sum(claim.price_micro_usd_hour for claim in claims)
    found = Counter({**total, NODES: len(claims), DOLLARS: dollars})
    for node in bought:
        if node.pool == pool.name:
            found.update(limit_use(node.offering))
    return found


def within_limits(snapshot: Snapshot, pool: Pool, bought: Iterable[PlannedNode]) -> bool:
    """Whether the pool may have these nodes besides."""
    taken = used(snapshot, pool, bought)
    return all(taken[name] <= limit for name, limit in limits_of(pool).items())


def left_over(snapshot: Snapshot, pools: Sequence[Pool]) -> list[dict[str, int]]:
    """What each pool may still buy."""
    return [_less(limits_of(pool), used(snapshot, pool)) for pool in pools]


def _less(limits: Mapping[str, int], taken: Mapping[str, int]) -> dict[str, int]:
    return {name: max(0, limit - taken.get(name, 0)) for name, limit in limits.items()}
