"""What a NodePool's limits leave, judged again right before buying: they may have been lowered during the search."""

from collections.abc import Iterable
from dataclasses import dataclass

from spotkube.model.cluster import Claim, ClaimPhase, Pool
from spotkube.model.offerings import Offering
from spotkube.model.resources import ResourceList


@dataclass
class Headroom:
    """`used` and `micro_usd_hour` are of the nodes that count: all but those with a notice and those that are gone."""

    pool: Pool
    nodes: int
    used: ResourceList
    micro_usd_hour: int

    @classmethod
    def of(cls, pool: Pool, claims: Iterable[Claim]) -> "Headroom":
        counted = [c for c in claims if c.pool == pool.name and counts(c)]
        used = sum((claim.allocatable for claim in counted), ResourceList())
        return cls(pool, len(counted), used, sum(claim.price_micro_usd_hour for claim in counted))

    def take(self, offering: Offering) -> bool:
        """Counts one more node in if the limits allow it; whether they do."""
        pool, used = self.pool, self.used + offering.allocatable
        dollars = self.micro_usd_hour + offering.price_micro_usd_hour
        if pool.limit_nodes is not None and self.nodes + 1 > pool.limit_nodes:
            return False
        if pool.limit_micro_usd_hour is not None and dollars > pool.limit_micro_usd_hour:
            return False
        if any(offering.allocatable[name] and used[name] > limit for name, limit in pool.limit_resources):
            return False
        self.nodes, self.used, self.micro_usd_hour = self.nodes + 1, used, dollars
        return True

    def reached(self) -> list[str]:
        """The limits, as they stand in the NodePool's spec, of which nothing is left."""
        pool = self.pool
        full = [f"limits.resources.{name}" for name, limit in pool.limit_resources if self.used[name] >= limit]
        if pool.limit_nodes is not None and self.nodes >= pool.limit_nodes:
            full.append("limits.nodes")
        if pool.limit_micro_usd_hour is not None and self.micro_usd_hour >= pool.limit_micro_usd_hour:
            full.append("limits.usdPerHour")
        return full


def counts(claim: Claim) -> bool:
    """A claim with a notice no longer counts, else a full pool could not replace it."""
    return claim.deadline is None and claim.phase is not ClaimPhase.TERMINATED
