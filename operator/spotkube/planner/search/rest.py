"""The linear program over patterns of what a part of a plan has to hold: small, made anew for each such part.

Unlike the master it takes a pattern only as far as pods are left for it, so a column never counts for more pods than a
node would really have. That matters where a few of each group are left.
"""

import highspy
import numpy as np

from spotkube.planner.instance import Instance
from spotkube.planner.problem import NO_LIMIT, BoolArray, FloatArray, IntArray
from spotkube.planner.reduced.state import Nodes
from spotkube.planner.relaxation.master import UNIT, Duals, Master, add_columns, add_rows, penalties, quiet_highs, run

# Columns whose clipped pattern is worth less of its price are left out.
WORTH_TAKING = 0.5
# Equal patterns are found by their sums with these weights; they must only be the same in every run.
_WEIGHTS_SEED = 20_405


class Pool:
    """Columns to choose from, each a holder and the pods on it: holders [n], patterns [n, G]."""

    def __init__(self, instance: Instance, master: Master) -> None:
        """All columns of the master but those of several bins together."""
        groups = instance.problem.groups
        self.instance = instance
        self.holders, self.patterns = np.zeros(0, np.int64), np.zeros((0, groups), np.int64)
        self._weights = np.random.default_rng(_WEIGHTS_SEED).integers(1, 2**40, groups)
        self._known: set[tuple[int, int]] = set()
        holders = np.array(master.holders, np.int64)
        alone = ~master.together[holders]
        self.learn(holders[alone], np.array(master.patterns, np.int64).reshape(len(holders), groups)[alone])

    def learn(self, holders: IntArray, patterns: IntArray) -> None:
        """Adds the columns that are new."""
        keys = list(zip(holders.tolist(), (patterns @ self._weights).tolist(), strict=True))
        first = {key: i for i, key in reversed(list(enumerate(keys))) if key not in self._known}
        new = sorted(first.values())
        self._known.update(first)
        self.holders = np.concatenate([self.holders, holders[new]])
        self.patterns = np.concatenate([self.patterns, patterns[new]])

    def clipped(self, nodes: Nodes, value: FloatArray) -> tuple[IntArray, IntArray]:
        """(holders, patterns) of what can still be had, no more pods than are left; of like patterns the cheapest."""
        patterns = np.minimum(self.patterns, nodes.remain)
        price = self.instance.arrays.price[self.holders]
        good = (nodes.stock[self.holders] > 0) & (patterns @ value > WORTH_TAKING * price)
        good &= ~lonely(self.instance, self.holders, patterns)
        at = np.flatnonzero(good)
        at = at[np.argsort(price[at], kind="stable")]
        _, first = np.unique(patterns[at] @ self._weights, return_index=True)
        at = at[np.sort(first)]
        return self.holders[at], patterns[at]


def lonely(instance: Instance, holders: IntArray, patterns: IntArray) -> BoolArray:
    """[n] whether a pod of the pattern lacks company that it needs."""
    needs, inside = instance.problem.needs, patterns > 0
    found = np.zeros(len(holders), np.bool_)
    for need, group in enumerate(needs.of):
        met = inside[:, needs.member[need]].any(axis=1) | (instance.arrays.met[holders, need] > 0)
        found |= inside[:, group] & ~met
    return found


class RestProgram:
    """Covers what `nodes` leave unplaced with columns that can be added to one by one."""

    def __init__(self, instance: Instance, nodes: Nodes) -> None:
        self.instance = instance
        self.groups = np.flatnonzero(nodes.remain > 0)
        self.bins = np.flatnonzero((instance.kind_of < 0) & (nodes.stock > 0))
        self.limits = [tuple(at) for at in np.argwhere(instance.pool_left < NO_LIMIT)]
        # Scaled to a limit of one: memory comes in bytes.
        self._whole = {at: max(1.0, float(instance.pool_left[at])) for at in self.limits}
        self.holders = np.zeros(0, np.int64)
        self.patterns = np.zeros((0, instance.problem.groups), np.int64)
        self._lp = quiet_highs()
        rows = len(self.groups) + len(self.bins) + len(self.limits)
        add_rows(self._lp, np.full(rows, -highspy.kHighsInf), np.full(rows, highspy.kHighsInf))
        penalty = penalties(instance)[self.groups] / UNIT
        most = np.full(len(self.groups), highspy.kHighsInf)
        own = np.arange(len(self.groups))
        add_columns(self._lp, penalty, most, own[:, None], np.ones((len(own), 1)))
        self.limit(nodes)

    def limit(self, nodes: Nodes) -> None:
        """Sets what there is to cover, and how often each column can still be had."""
        low = nodes.remain[self.groups].astype(float)
        high = [nodes.stock[self.bins].astype(float)]
        high += [np.array([max(0.0, nodes.pool_left[at] / self._whole[at]) for at in self.limits])]
        first = len(self.groups)
        for row, need in enumerate(low):
            self._lp.changeRowBounds(row, need, highspy.kHighsInf)
        for row, room in enumerate(np.concatenate(high)):
            self._lp.changeRowBounds(first + row, -highspy.kHighsInf, room)
        if len(self.holders):
            index = np.arange(first, first + len(self.holders), dtype=np.int32)
            self._lp.changeColsBounds(len(index), index, np.zeros(len(index)), self._most(self.patterns, nodes))

    def add(self, holders: IntArray, patterns: IntArray, nodes: Nodes) -> None:
        """Adds columns."""
        arrays = self.instance.arrays
        values = [patterns[:, self.groups], holders[:, None] == self.bins]
        used = [
            (arrays.pool[holders] == at[0]) * arrays.pool_use[holders, at[1]] / self._whole[at] for at in self.limits
        ]
        entries = np.column_stack([*values, *used]).astype(float)
        rows = np.broadcast_to(np.arange(entries.shape[1]), entries.shape)
        add_columns(self._lp, arrays.price[holders] / UNIT, self._most(patterns, nodes), rows, entries)
        self.holders = np.concatenate([self.holders, holders])
        self.patterns = np.concatenate([self.patterns, patterns])

    def solve(self) -> tuple[FloatArray, Duals, float]:
        """How much of each column to take, the duals, and what that costs (micro-dollars an hour).

        Raises RuntimeError as the master does.
        """
        run(self._lp)
        solution = self._lp.getSolution()
        prices, first = np.array(solution.row_dual) * UNIT, len(self.groups)
        problem = self.instance.problem
        group, pool = np.zeros(problem.groups), np.zeros(self.instance.pool_left.shape)
        group[self.groups] = np.maximum(prices[:first], 0.0)
        for at, price in zip(self.limits, prices[first + len(self.bins) :], strict=True):
            pool[at] = max(0.0, -price) / self._whole[at]
        family = np.zeros(int(problem.family.max(initial=-1)) + 1)
        amount = np.maximum(np.array(solution.col_value)[first:], 0.0)
        return amount, Duals(group, family, pool), self._lp.getObjectiveValue() * UNIT

    def _most(self, patterns: IntArray, nodes: Nodes) -> FloatArray:
        """How often each pattern can be had of what is left."""
        often = np.where(patterns > 0, nodes.remain // np.maximum(patterns, 1), NO_LIMIT)
        most: FloatArray = often.min(axis=1, initial=NO_LIMIT).astype(float)
        return most
