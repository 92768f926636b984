"""What the cluster can give to queued jobs: what is there, and what the NodePools may still buy."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from spotkube.controllers.view import View
from spotkube.model.cluster import Mode, Pool
from spotkube.model.offerings import Offering
from spotkube.model.pods import Pod
from spotkube.model.resources import CPU, MEMORY, ResourceList
from spotkube.queueing.capacity import Refusal
from spotkube.queueing.jobs import MICRO, USD_HOUR, Amounts, Job

# Without a limit on either of these, a pool may buy whatever is asked for.
_BOUNDING = (CPU, MEMORY)


@dataclass
class Market:
    """What is offered: what the cheapest part of a node for a pod costs, and whether any node could hold it."""

    offerings: tuple[Offering, ...]
    _prices: dict[ResourceList, float | None] = field(default_factory=dict)

    def usd_hour(self, requests: ResourceList) -> float | None:
        """Of one pod: of all nodes that hold it, the least of price times dominant share; None if none does."""
        if requests not in self._prices:
            parts = (_part(requests, one) for one in self.offerings if requests.fits(one.allocatable))
            self._prices[requests] = min(parts, default=None)
        return self._prices[requests]


@dataclass(frozen=True)
class ClusterCapacity:
    """Sums over nodes and pool limits; `in_use` is what runs and isn't a queue's, and all that queues admitted."""

    total: Amounts | None
    in_use: Amounts
    market: Market
    rooms: frozenset[ResourceList]

    @classmethod
    def of(
        cls, view: View, total: Amounts | None, market: Market, others: Iterable[Pod], admitted: Iterable[Amounts]
    ) -> "ClusterCapacity":
        """`total` as `total_of` gives it."""
        in_use: Counter[str] = Counter()
        for pod in others:
            in_use.update(pod.shape.requests)
        for amounts in admitted:
            in_use.update({name: amount for name, amount in amounts.items() if name != USD_HOUR})
        rooms = frozenset(node.allocatable for node in view.nodes.values() if not node.unschedulable)
        return cls(total, in_use, market, rooms)

    def room(self) -> Amounts | None:
        if self.total is None:
            return None
        return {name: amount - self.in_use.get(name, 0) for name, amount in self.total.items()}

    def most(self) -> Amounts | None:
        return self.total

    def refusals(self, placed: Sequence[tuple[Job, int]]) -> Mapping[str, Refusal]:
        """Those with a pod that no node holds, neither one that is there nor one that is offered."""
        found = {}
        for job, _ in placed:
            for pod_set in job.pod_sets:
                if self.market.usd_hour(pod_set.requests) is None and not self._has_room(pod_set.requests):
                    words = f"a pod of it needs {dict(pod_set.requests.to_quantities())}, and no node holds that"
                    found[job.uid] = Refusal(words, for_ever=True)
        return found

    def _has_room(self, requests: ResourceList) -> bool:
        return any(requests.fits(room) for room in self.rooms)


def total_of(view: View) -> Amounts | None:
    """Nodes of others as they are, and what each pool may have in all; None where a pool has no limit."""
    total: Counter[str] = Counter()
    for node in view.nodes.values():
        if node.claim is None and not node.unschedulable:
            total.update(node.allocatable)
    for pool in view.snapshot.pools:
        if pool.mode is Mode.APPLY and not pool.deleting:
            limits = dict(pool.limit_resources)
            if not any(name in limits for name in _BOUNDING):
                return None
            total.update(limits)
        else:
            total.update(_bought(view, pool))
    return dict(total)


def _bought(view: View, pool: Pool) -> Counter[str]:
    bought: Counter[str] = Counter()
    for claim in view.snapshot.claims:
        if claim.pool == pool.name and not claim.leaving:
            bought.update(claim.allocatable)
    return bought


def _part(requests: ResourceList, offering: Offering) -> float:
    room = offering.allocatable
    share = max((amount / room[name] for name, amount in requests.items() if room[name]), default=0.0)
    return offering.price_micro_usd_hour / MICRO * min(1.0, share)
