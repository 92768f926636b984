"""What it would roughly take to hold a group of pods on some of the places: whether they fit, and at what cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from spotkube.model.pods import ALL_NAMESPACES, PodShape
from spotkube.model.resources import ResourceList
from spotkube.planner.formulation.groups import Group
from spotkube.planner.formulation.kinds import Kinds
from spotkube.planner.formulation.ledger import counts_any, counts_itself
from spotkube.planner.formulation.places import NODE_KEYS, Places
from spotkube.planner.problem import NO_LIMIT, BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class Room:
    """`capacity`, `limit_use`, `free` and `pool_left` as in Problem (there: bins); `demands` what a pod takes."""

    places: Places
    kinds: Kinds
    capacity: IntArray
    limit_use: IntArray
    free: IntArray
    pool_left: IntArray
    resources: tuple[str, ...]
    demands: Mapping[PodShape, ResourceList]

    def estimate(self, group: Group, rows: BoolArray) -> tuple[int, int]:
        """How many units of the group would find no room on these rows, and what the others would cost (micro-dollars
        an hour), each paying its largest share of the node that is cheapest for it."""
        held = int(np.minimum(self._fitting(group, self.free[self._bins(rows)]), group.count).sum())
        missing = max(0, group.count - held)
        kinds = np.flatnonzero(rows[: self.places.kinds] & self._affordable)
        if not missing or not len(kinds):
            return missing, 0
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.nan_to_num(self._demand(group) / self.capacity[kinds], posinf=1.0).max(axis=1)
        return 0, ceil(missing * float((self._prices[kinds] * shares).min()))

    def together(self, group: Group, rows: BoolArray) -> int:
        """How many pods of the group one of these places holds."""
        kinds = self.capacity[rows[: self.places.kinds] & self._affordable]
        most = self._fitting(group, np.vstack([kinds, self.free[self._bins(rows)]])).max(initial=0)
        return min(int(most), *self._most_on_a_node(group), group.count)

    def only_one(self, usable: Callable[[], BoolArray], kinds: BoolArray) -> bool:
        """Whether the limits of a NodePool are such that no second node of these kinds [O] can be bought beside one on
        the `usable` rows, which are among them."""
        kinds = kinds & self._affordable
        pools = np.unique(self.kinds.pool[kinds])
        if len(pools) != 1 or (self.pool_left[pools[0]] == NO_LIMIT).all():
            return False
        own = usable()[: self.places.kinds] & self._affordable
        if not own.any():
            return False
        least = self._takes[own].min(axis=0) + self._takes[kinds].min(axis=0)
        return bool((least > self.pool_left[pools[0]]).any())

    def _most_on_a_node(self, group: Group) -> list[int]:
        """What its own rules over nodes let onto one."""
        most = [1] if group.shape.host_ports else []
        for term in group.shape.anti_affinity:
            alike = term.selector is not None and term.selector.matches(dict(group.labels))
            if term.topology_key in NODE_KEYS and alike and {group.shape.namespace, *ALL_NAMESPACES} & term.namespaces:
                most.append(1)
        for rule in group.shape.spread:
            if rule.topology_key in NODE_KEYS and counts_any(rule) and counts_itself(group, rule):
                most.append(rule.max_skew)
        return most or [group.count]

    def _fitting(self, group: Group, room: IntArray) -> IntArray:
        """[rows] how many pods of the group fit."""
        demand = self._demand(group)
        asked = demand > 0
        fitting: IntArray = (room[:, asked] // demand[asked]).min(axis=1, initial=group.count)
        return fitting

    def _demand(self, group: Group) -> IntArray:
        takes = self.demands[group.shape]
        return np.array([takes[name] for name in self.resources], dtype=np.int64) * group.bundle

    def _bins(self, rows: BoolArray) -> BoolArray:
        return rows[self.places.kinds : self.places.kinds + self.places.bins]

    @cached_property
    def _prices(self) -> IntArray:
        return np.array([o.price_micro_usd_hour for o in self.kinds.offerings], dtype=np.int64)

    @cached_property
    def _takes(self) -> IntArray:
        """[O, R + 2] what a node takes of the limits of its pool."""
        return np.column_stack([self.limit_use, np.ones(len(self._prices), dtype=np.int64), self._prices])

    @cached_property
    def _affordable(self) -> BoolArray:
        """[O] kinds of which the limits of their pool leave room for one."""
        affordable: BoolArray = np.all(self._takes <= self.pool_left[self.kinds.pool], axis=1)
        return affordable
