# mypy: disable-error-code="arg-type"
"""Plans that lose less together, made of a cheap one: nodes of spot pools that are too full become nodes of others.

The genetic search finds better ones, but few of them; these cost hardly any time, and give it something to begin with.
"""

from collections.abc import Iterator

import numpy as np

from spotkube.planner.packing.scratch import Work
from spotkube.planner.problem import FloatArray, IntArray
from spotkube.planner.reduced.expand import rows_needed, who_fits
from spotkube.planner.reduced.nodes import place_on, set_left
from spotkube.planner.reduced.state import Nodes, make_nodes
from spotkube.planner.search.flock import Flock, rows_of
from spotkube.planner.search.limited import Limited
from spotkube.planner.search.recreate import BRANCHES
from spotkube.planner.search.refill import pack_rest

# Each plan may have so much of the pods in one spot pool as the one before; so many plans.
STEP, STEPS = 0.75, 12


class Spreader:
    """Of one plan of a flock."""

    def __init__(self, limited: Limited, flock: Flock, plan: int, value: FloatArray, mu: FloatArray) -> None:
        """`value` and `mu` as for `pack_rest`."""
        self._limited = limited
        self._value, self._mu = value, mu
        rows = slice(int(flock.row_start[plan]), int(flock.row_start[plan + 1]))
        self._most = float(flock.tail[plan])
        self._holder, self._times = flock.holder[rows], flock.times[rows]
        self._pods = rows_of(flock, limited.instance.problem.groups)[rows]
        self._by_price = np.argsort(limited.arrays.price, kind="stable")
        self._choices = [self._choices_of(int(h), pods) for h, pods in zip(self._holder, self._pods, strict=True)]

    def plans(self, work: Work) -> Iterator[Nodes]:
        """Ever more spread out, as long as that changes anything. `work` is the scratch space of `limited`."""
        limit = self._most
        for _ in range(STEPS):
            limit = min(limit * STEP, limit - 1.0)
            if limit < 1.0:
                return
            yield self._within(int(limit), work)

    def _within(self, limit: int, work: Work) -> Nodes:
        arrays, instance = self._limited.arrays, self._limited.instance
        nodes = make_nodes(instance, rows_needed(instance))
        set_left(nodes, self._limited.left(limit))
        for row in self._dearest_to_move_first():
            place_on(arrays, nodes, self._choices[row], self._pods[row], int(self._times[row]))
        if nodes.remain.any():
            best = np.zeros(len(nodes.remain), np.int64)
            pack_rest(arrays, work, nodes, best, self._by_price, self._value, 0.0, self._mu, BRANCHES)
        return nodes

    def _dearest_to_move_first(self) -> list[int]:
        """The rows in the order in which they may keep their place."""
        price = self._limited.arrays.price

        def more(row: int) -> float:
            own, *others = self._choices[row]
            return float(price[others[0]] - price[own]) if others else float("inf")

        return sorted(range(len(self._holder)), key=more, reverse=True)

    def _choices_of(self, holder: int, pods: IntArray) -> IntArray:
        """The holder, then kinds of other spot pools, or of none, that hold the same pods, cheapest first: one of each
        spot pool. What is dearer than what is never taken back is of no use."""
        arrays, instance = self._limited.arrays, self._limited.instance
        if arrays.spot_pool[holder] < 0:
            return np.array([holder])
        fit = who_fits(instance, pods) & (instance.kind_of >= 0) & (arrays.spot_pool != arrays.spot_pool[holder])
        fitting = self._by_price[fit[self._by_price]]
        pools, first = np.unique(arrays.spot_pool[fitting], return_index=True)
        end = first[0] + 1 if len(pools) and pools[0] < 0 else len(fitting)
        return np.concatenate([[holder], fitting[np.sort(first[first < end])]])
