"""The linear program over packing patterns: covers every pod at least dollars, and prices each pod by its duals."""

import ctypes
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import highspy
import numpy as np

from spotkube.planner.instance import Instance
from spotkube.planner.problem import NO_LIMIT, BoolArray, FloatArray, IntArray

# HiGHS works with absolute tolerances of 1e-7: in thousandths of a dollar an hour that is far below any price.
UNIT = 1000.0
# What leaving out a pod costs, in prices of the dearest node. It must never pay.
PENALTY = 20.0
# How many times more each rank of priority makes of it, up to so many ranks: numbers must not get too far apart.
RANK_STEP, MOST_STEPS = 8.0, 4
_NO_INDEX, _NONE = np.zeros(0, np.int32), np.zeros(0)
_C = ctypes.CDLL(None)
_GREETING = Lock()


@dataclass(frozen=True, eq=False)
class Demand:
    """How many pods have to be covered: surely in each group [G], and in each family altogether [F]."""

    sure: IntArray
    family: IntArray


@dataclass(frozen=True, eq=False)
class Duals:
    """Prices >= 0, micro-dollars an hour: of a pod of each group, of a pod of each family, of each pool's limits."""

    group: FloatArray
    family: FloatArray
    pool: FloatArray

    def pod(self, instance: Instance) -> FloatArray:
        """What a pod of each group is worth, [G]."""
        return self.group + self.family[instance.problem.family]

    def blend(self, other: "Duals", weight: float) -> "Duals":
        """`weight` parts of the other, the rest of this."""

        def mix(mine: FloatArray, theirs: FloatArray) -> FloatArray:
            return mine + weight * (theirs - mine)

        return Duals(mix(self.group, other.group), mix(self.family, other.family), mix(self.pool, other.pool))


def quiet_highs() -> highspy.Highs:
    """A deterministic solver on one thread. The first one of a process greets on standard output: not on ours."""
    with _GREETING:
        sys.stdout.flush()
        kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        try:
            solver = highspy.Highs()
            _C.fflush(None)
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            os.close(nowhere)
    for option, setting in (("output_flag", False), ("threads", 1), ("solver", "simplex"), ("presolve", "off")):
        solver.setOptionValue(option, setting)
    return solver


def add_rows(lp: highspy.Highs, lower: FloatArray, upper: FloatArray) -> None:
    """Adds rows without entries in one call."""
    lp.addRows(
        len(lower), lower.astype(float), upper.astype(float), 0, np.zeros(len(lower), np.int32), _NO_INDEX, _NONE
    )


def add_columns(lp: highspy.Highs, cost: FloatArray, most: FloatArray, rows: IntArray, values: FloatArray) -> None:
    """Adds columns from 0 to `most` in one call; rows and values [columns, entries], of which zeros are left out."""
    there = values != 0
    start = np.concatenate([[0], np.cumsum(there.sum(axis=1))])[:-1]
    lp.addCols(
        len(cost), cost.astype(float), np.zeros(len(cost)), most.astype(float), int(there.sum()),
        start.astype(np.int32), rows[there].astype(np.int32), values[there].astype(float),
    )  # fmt: skip


def run(lp: highspy.Highs) -> None:
    """Solves the program. Raises RuntimeError where HiGHS refuses."""
    if lp.run() == highspy.HighsStatus.kError:
        raise RuntimeError("HiGHS refused to solve; was it used in this process with another number of threads?")


def penalties(instance: Instance) -> FloatArray:
    """[G] what leaving out a pod costs, micro-dollars an hour: more than any node, and more for a higher priority."""
    dearest = max(1.0, float(instance.arrays.price.max(initial=0.0)))
    _, rank = np.unique(instance.arrays.weight, return_inverse=True)
    penalty: FloatArray = PENALTY * dearest * RANK_STEP ** np.minimum(rank, MOST_STEPS)
    return penalty


def _most(block: IntArray, stock: IntArray) -> float:
    """How often a column of the block may be taken: that of several bins stands for all of them."""
    return float(stock[block[0]]) if len(block) == 1 else 1.0


class Master:
    """The restricted master problem in HiGHS: rows for groups, families, blocks of bins and limits of pools.

    A family of one group needs no row of its own. Columns are (holder, pattern); `holders` and `patterns` keep them.
    The column of a block of several bins is for all of them once: its holder is the first of them, its pattern the sum
    of theirs, which `apart` keeps by the column's number. `together` [H] are the bins of such blocks,
    `known` the holders that may be taken at all.
    """

    def __init__(self, instance: Instance, demand: Demand, blocks: Sequence[IntArray] | None = None) -> None:
        """`blocks` are those of the bins that may be taken (see `make_blocks`); None: every class of bins by itself."""
        self.instance = instance
        self.holders: list[int] = []
        self.patterns: list[IntArray] = []
        self.apart: dict[int, IntArray] = {}
        self._known: set[tuple[int, bytes]] = set()
        problem, arrays = instance.problem, instance.arrays
        self.groups = np.flatnonzero(instance.placeable)
        sizes = np.bincount(problem.family, minlength=len(demand.family))
        self.families = np.flatnonzero(sizes > 1)
        bins = np.flatnonzero(instance.kind_of < 0)
        self.blocks = [bins[i : i + 1] for i in range(len(bins))] if blocks is None else list(blocks)
        self.limits = [tuple(at) for at in np.argwhere(instance.pool_left < NO_LIMIT)]
        self._family_row = np.full(len(demand.family), -1)
        self._family_row[self.families] = len(self.groups) + np.arange(len(self.families))
        self._bin_row = np.full(instance.holders, -1)
        self.known = instance.kind_of >= 0
        self.together = np.zeros(instance.holders, np.bool_)
        self._first_block = len(self.groups) + len(self.families)
        for i, block in enumerate(self.blocks):
            self._bin_row[block] = self._first_block + i
            self.known[block] = True
            self.together[block] = len(block) > 1
        self._first_limit = self._first_block + len(self.blocks)
        self._first_count = self._first_limit + len(self.limits)
        self._counted: list[BoolArray] = []
        self._rent = np.zeros(len(self.blocks))
        self._lp = quiet_highs()
        for _ in range(len(self.groups) + len(self.families)):
            self._lp.addRow(0.0, highspy.kHighsInf, 0, np.zeros(0, np.int32), np.zeros(0))
        for block in self.blocks:
            self._lp.addRow(-highspy.kHighsInf, _most(block, arrays.stock), 0, np.zeros(0, np.int32), np.zeros(0))
        for pool, what in self.limits:
            # Scaled to a limit of one.
            room = 1.0 if instance.pool_left[pool, what] > 0 else 0.0
            self._lp.addRow(-highspy.kHighsInf, room, 0, np.zeros(0, np.int32), np.zeros(0))
        penalty = penalties(instance)
        for row, group in enumerate(self.groups):
            rows = [row] + ([int(self._family_row[problem.family[group]])] if self._has_family_row(int(group)) else [])
            self._column(float(penalty[group]), rows, [1.0] * len(rows))
        self._extra = len(self.groups)
        self.require(demand)

    def _has_family_row(self, group: int) -> bool:
        return bool(self._family_row[self.instance.problem.family[group]] >= 0)

    def require(self, demand: Demand) -> None:
        """Sets how many pods have to be covered."""
        self.demand = demand
        for row, group in enumerate(self.groups):
            alone = not self._has_family_row(int(group))
            need = demand.family[self.instance.problem.family[group]] if alone else demand.sure[group]
            self._lp.changeRowBounds(row, float(need), highspy.kHighsInf)
        for family in self.families:
            self._lp.changeRowBounds(int(self._family_row[family]), float(demand.family[family]), highspy.kHighsInf)

    def offer(self, stock: IntArray, pool_left: IntArray) -> None:
        """Sets how many of each bin class and how much of each pool's limits are still to be had."""
        for i, block in enumerate(self.blocks):
            self._lp.changeRowBounds(self._first_block + i, -highspy.kHighsInf, _most(block, stock))
        for i, (pool, what) in enumerate(self.limits):
            whole = max(1.0, float(self.instance.pool_left[pool, what]))
            self._lp.changeRowBounds(self._first_limit + i, -highspy.kHighsInf, max(0.0, pool_left[pool, what] / whole))

    def _column(self, price: float, rows: list[int], values: list[float]) -> None:
        index = np.array(rows, dtype=np.int32)
        self._lp.addCol(price / UNIT, 0.0, highspy.kHighsInf, len(rows), index, np.array(values, dtype=np.float64))

    def count(self, members: BoolArray) -> int:
        """A new row for how many of these holders [H] are taken, without a limit yet; its number among such rows."""
        index = (np.flatnonzero(members[self.holders]) + self._extra).astype(np.int32) if self.holders else _NO_INDEX
        self._lp.addRow(-highspy.kHighsInf, highspy.kHighsInf, len(index), index, np.ones(len(index)))
        self._counted.append(members)
        return len(self._counted) - 1

    def limit_count(self, number: int, fewest: int, most: int | None) -> None:
        """Sets how many may be taken of what `count` counts."""
        low = float(fewest) if fewest else -highspy.kHighsInf
        high = highspy.kHighsInf if most is None else float(most)
        self._lp.changeRowBounds(self._first_count + number, low, high)

    def count_duals(self) -> FloatArray:
        """What one more of what each of those rows counts adds to the latest cost, micro-dollars an hour."""
        return np.array(self._lp.getSolution().row_dual[self._first_count :]) * UNIT

    def infeasible(self) -> bool:
        """Whether the latest program had no solution: counts contradict each other."""
        return bool(self._lp.getModelStatus() == highspy.HighsModelStatus.kInfeasible)

    def add(self, holder: int, pattern: IntArray, *, empty: bool = False) -> bool:
        """Adds a column unless it is there; says whether it was new. One without pods only if `empty`."""
        key = (holder, pattern.tobytes())
        if key in self._known or not (empty or pattern.any()):
            return False
        self._known.add(key)
        instance, arrays = self.instance, self.instance.arrays
        pods = pattern[self.groups]
        at = np.flatnonzero(pods)
        rows, values = at.tolist(), pods[at].astype(float).tolist()
        by_family = np.bincount(instance.problem.family, weights=pattern, minlength=len(self._family_row))
        for family in np.flatnonzero((self._family_row >= 0) & (by_family > 0)):
            rows.append(int(self._family_row[family]))
            values.append(float(by_family[family]))
        if self._bin_row[holder] >= 0:
            rows.append(int(self._bin_row[holder]))
            values.append(1.0)
        for i, (pool, what) in enumerate(self.limits):
            if arrays.pool[holder] == pool and arrays.pool_use[holder, what] > 0:
                rows.append(self._first_limit + i)
                values.append(float(arrays.pool_use[holder, what] / max(1, instance.pool_left[pool, what])))
        counted = [self._first_count + number for number, members in enumerate(self._counted) if members[holder]]
        rows += counted
        values += [1.0] * len(counted)
        self._column(float(arrays.price[holder]), rows, values)
        self.holders.append(holder)
        self.patterns.append(pattern.copy())
        return True

    def rent(self) -> FloatArray:
        """[H] what the latest program would pay for one more of each bin class; of a block, for all of it."""
        rent = np.zeros(self.instance.holders)
        for block, worth in zip(self.blocks, self._rent, strict=True):
            rent[block] = worth
        return rent

    def add_shapes(self, shapes: IntArray, block: int, pods: IntArray | None = None) -> bool:
        """Adds a column that gives each bin of a block its pattern, [bins, G], unless it is there.

        Bins of a class all have the same pattern, unless `pods` [G] says what the block holds in all.
        """
        holders = self.blocks[block]
        if len(holders) == 1:
            return self.add(int(holders[0]), shapes[0])
        if not self.add(int(holders[0]), self.instance.arrays.stock[holders] @ shapes if pods is None else pods):
            return False
        self.apart[len(self.holders) - 1] = shapes.astype(np.int32)
        return True

    def solve(self) -> tuple[FloatArray, Duals, float]:
        """How much of each column to take, the duals, and the least cost over the columns (micro-dollars an hour)."""
        run(self._lp)
        solution = self._lp.getSolution()
        self._rent = np.maximum(0.0, -np.array(solution.row_dual[self._first_block : self._first_limit])) * UNIT
        amount = np.maximum(np.array(solution.col_value[self._extra :]), 0.0)
        return amount, self._duals(np.array(solution.row_dual)), self._lp.getObjectiveValue() * UNIT

    def _duals(self, rows: FloatArray) -> Duals:
        problem = self.instance.problem
        group, family = np.zeros(problem.groups), np.zeros(len(self._family_row))
        group[self.groups] = np.maximum(rows[: len(self.groups)], 0.0) * UNIT
        family[self.families] = np.maximum(rows[len(self.groups) :][: len(self.families)], 0.0) * UNIT
        pool = np.zeros(self.instance.pool_left.shape)
        for i, (p, what) in enumerate(self.limits):
            whole = max(1.0, float(self.instance.pool_left[p, what]))
            pool[p, what] = max(0.0, -rows[self._first_limit + i]) * UNIT / whole
        return Duals(group, family, pool)
