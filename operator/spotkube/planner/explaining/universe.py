"""All that is sold, as each pool would buy it if it might, and a pool that does not exist; and nodes that are there.

What pools exclude is among them: only so can be said which pool would have to sell what.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spotkube.model.cluster import Mode, Pool, Snapshot
from spotkube.model.offerings import ON_DEMAND, SPOT, Offering
from spotkube.model.plan import Plan
from spotkube.model.resources import ResourceList
from spotkube.model.volumes import ATTACHABLE, UNLIMITED
from spotkube.planner.formulation.bins import Bin, make_bins
from spotkube.planner.formulation.kinds import daemon_overhead, node_labels, table_row
from spotkube.planner.formulation.labeltable import LabelTable
from spotkube.planner.formulation.limits import used
from spotkube.planner.problem import BoolArray, IntArray

NEW_POOL = "new"


@dataclass(frozen=True, eq=False)
class Universe:
    """Rows: each offering in each pool (the last pool does not exist yet), then the nodes that are there.

    Attributes:
        snapshot, mode: of the decision.
        pools: not those being deleted; the last one is new.
        pool: [rows] which pool sells it, -1 for a node.
        offering: [rows] which offering it is, -1 for a node.
        table: their labels and taints.
        spot: [rows]
        price: [rows] micro-dollars an hour; nothing for nodes.
        resources, capacity: [rows, R] what is left for pods, after the plan.
        used: what each pool holds after the plan, by resource, NODES and DOLLARS.
    """

    snapshot: Snapshot
    mode: Mode
    pools: tuple[Pool, ...]
    pool: IntArray
    offering: IntArray
    table: LabelTable
    spot: BoolArray
    price: IntArray
    resources: tuple[str, ...]
    capacity: IntArray
    used: tuple[Mapping[str, int], ...]

    def __len__(self) -> int:
        return len(self.pool)

    @property
    def known(self) -> BoolArray:
        """[rows] offerings of pools that exist: those that are counted."""
        return (self.pool >= 0) & (self.pool < len(self.pools) - 1)

    def row(self, pool: int, offering: int) -> int:
        return pool * len(self.snapshot.offerings) + offering

    def of_pool(self, pool: int) -> slice:
        """The rows of one pool, in the order of the offerings."""
        return slice(self.row(pool, 0), self.row(pool + 1, 0))


def make_universe(snapshot: Snapshot, mode: Mode, plan: Plan, resources: tuple[str, ...]) -> Universe:
    names = {pool.name for pool in snapshot.pools}
    free_name = next(name for name in (NEW_POOL, *(f"{NEW_POOL}-{n}" for n in range(len(names)))) if name not in names)
    pools = (*(pool for pool in snapshot.pools if not pool.deleting), Pool(free_name, mode=mode))
    bins = _bins_after(snapshot, plan)
    count = len(snapshot.offerings)
    labels = [table_row(node_labels(pool, offering)) for pool in pools for offering in snapshot.offerings]
    taints = [pool.taints for pool in pools for _ in range(count)]
    table = LabelTable([*labels, *(b.labels for b, _ in bins)], [*taints, *(b.taints for b, _ in bins)])
    capacity = np.array(
        [[_room(offering, name) for name in resources] for offering in snapshot.offerings], dtype=np.int64
    ).reshape(count, len(resources))
    sold = np.tile(capacity, (len(pools), 1))
    there = np.array([[free[name] for name in resources] for _, free in bins], dtype=np.int64)
    sold_table = LabelTable(table.labels[: len(sold)], table.taints[: len(sold)])
    sold -= daemon_overhead(sold_table, snapshot.daemonsets, resources)
    spot = [offering.capacity_type == SPOT for offering in snapshot.offerings]
    prices = np.array([offering.price_micro_usd_hour for offering in snapshot.offerings], dtype=np.int64)
    extra = np.repeat([pool.per_node_micro_usd_hour for pool in pools], count)
    return Universe(
        snapshot=snapshot,
        mode=mode,
        pools=pools,
        pool=np.concatenate([np.repeat(np.arange(len(pools)), count), np.full(len(bins), -1)]).astype(np.int64),
        offering=np.concatenate([np.tile(np.arange(count), len(pools)), np.full(len(bins), -1)]).astype(np.int64),
        table=table,
        spot=np.array(spot * len(pools) + [b.capacity_type != ON_DEMAND for b, _ in bins], dtype=np.bool_),
        price=np.concatenate([np.tile(prices, len(pools)) + extra, np.zeros(len(bins), np.int64)]),
        resources=resources,
        capacity=np.maximum(np.concatenate([sold, there.reshape(len(bins), len(resources))]), 0),
        used=tuple(used(snapshot, pool, plan.additions) for pool in pools),
    )


def _room(offering: Offering, name: str) -> int:
    """Volumes are not limited where the catalog says nothing of them."""
    unlimited = name.startswith(ATTACHABLE) and name not in offering.allocatable
    return UNLIMITED if unlimited else offering.allocatable[name]


def _bins_after(snapshot: Snapshot, plan: Plan) -> list[tuple[Bin, ResourceList]]:
    """The nodes that are there, with what the plan leaves free on them."""
    requests = {pod.uid: pod.shape.requests for pod in snapshot.pods}
    bins = make_bins(snapshot)
    settled = {pod.uid for b in bins for pod in b.residents}
    taken: dict[str, ResourceList] = {}
    for placement in plan.placements:
        if placement.pod in requests and placement.pod not in settled:
            taken[placement.target] = taken.get(placement.target, ResourceList()) + requests[placement.pod]
    return [(b, b.free - taken.get(b.name, ResourceList())) for b in bins]
