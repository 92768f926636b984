"""A sharper lower bound for small problems: branch and bound over how many nodes of a set of kinds are bought.

The linear program of the column generation buys fractions of nodes. Where a plan has a dozen nodes, that costs
percents. So the plans are split: those with at most n nodes of a set of kinds (on-demand ones, ones with so much
memory, ones that take a group, of one kind), and those with more; and again. Each part has a linear program with rows
for the counts. The dual of such a row only adds a constant to the price of a kind, so the pricing problem stays what it
was. The least bound of the open parts holds for all plans, at any time. (Branching on aggregated variables: Vanderbeck,
"On Dantzig-Wolfe decomposition in integer programming and ways to perform branching", Operations Research 48, 2000.)
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from spotkube.planner.clock import Stop
from spotkube.planner.instance import Instance
from spotkube.planner.problem import BoolArray, FloatArray, IntArray
from spotkube.planner.relaxation.columns import LEVELS, THOROUGH, Relaxation
from spotkube.planner.relaxation.master import Duals
from spotkube.planner.relaxation.pricing import Pricer
from spotkube.planner.relaxation.proof import SLACK, charges, round_up

# Fewest and most nodes (None: any number) of sets of kinds.
Limits = dict[int, tuple[int, int | None]]
# Sets whose count is tried on the columns at hand before one is chosen to branch on.
CANDIDATES = 12
# A count that is this close to a whole number is one.
WHOLE = 1e-5
# How much the better of two branches counts beside the worse when a set is chosen.
BETTER = 0.2
# A branch is done when its bound is this close to the cost of its columns; pods are priced no closer.
CLOSE = 1e-6
# With more groups a branch takes too long, and with a loose relaxation there are better ways.
MOST_GROUPS, CONVERGED = 64, 1e-4
# Linear programs for a branch at most.
ROUNDS = 100


@dataclass(order=True)
class Part:
    """Plans within limits: no plan of them costs less than `bound`. `amount` is how much of each column is taken."""

    bound: float
    number: int
    limits: Limits = field(compare=False)
    amount: FloatArray = field(compare=False)


class Tree:
    """The open parts of all plans that cost no more than `ceiling`, which has to be what a known plan costs.

    Attributes:
        programs: linear programs solved, the work done.
    """

    def __init__(self, instance: Instance, relaxation: Relaxation, pricer: Pricer, ceiling: float, stop: Stop) -> None:
        """`stop` also ends the pricing of a program."""
        self.instance, self.master, self.pricer, self.ceiling = instance, relaxation.master, pricer, ceiling
        self.stop = stop
        self.programs = 0
        self._sets = sets_of_kinds(instance)
        self._rows: dict[int, int] = {}
        self._parts = [Part(min(relaxation.bound, ceiling), 0, {}, relaxation.amount)]
        self._numbers = 0
        # Nodes without pods, so that any counts which do not contradict each other have a solution.
        for holder in np.flatnonzero(_countable(instance)):
            self.master.add(int(holder), np.zeros(instance.problem.groups, np.int64), empty=True)

    def lower_bound(self) -> int:
        """Micro-dollars an hour: no plan of all placeable pods costs less."""
        return round_up(self._least(), 0.0)

    def grow(self, stopped: Callable[[int], bool]) -> None:
        """Splits the part with the least bound until the ceiling is reached, no count is left to split, or stopped."""
        while self._least() < self.ceiling and not stopped(self.programs):
            part = self._parts[0]
            halves = self._halves(part, stopped)
            if not halves:
                return
            children = [self._solve(limits, part, stopped) for limits in halves]
            heapq.heappop(self._parts)
            for child in children:
                if child.bound < self.ceiling:
                    heapq.heappush(self._parts, child)
        self._limit({})

    def _least(self) -> float:
        return min(self._parts[0].bound, self.ceiling) if self._parts else self.ceiling

    def _halves(self, part: Part, stopped: Callable[[int], bool]) -> tuple[Limits, ...]:
        """The part in two: by the set where the columns at hand promise that the bound rises most."""
        holders = np.array(self.master.holders[: len(part.amount)], np.int64)
        counts = self._sets @ np.bincount(holders, weights=part.amount, minlength=self.instance.holders)
        distance = np.abs(counts - np.round(counts))
        broken = np.flatnonzero(distance > WHOLE)
        best: tuple[float, tuple[Limits, ...]] = (-np.inf, ())
        for kinds in broken[np.argsort(-distance[broken], kind="stable")][:CANDIDATES].tolist():
            if stopped(self.programs):
                break
            fewest, most = part.limits.get(kinds, (0, None))
            below = int(np.floor(counts[kinds]))
            halves = ({**part.limits, kinds: (fewest, below)}, {**part.limits, kinds: (below + 1, most)})
            costs = sorted(min(self._cost(limits), self.ceiling) - part.bound for limits in halves)
            promise = costs[0] + BETTER * costs[1]
            if promise > best[0]:
                best = promise, halves
        return best[1]

    def _limit(self, limits: Limits) -> None:
        """Sets the rows of the counts; those not named get no limit."""
        for kinds in limits:
            if kinds not in self._rows:
                self._rows[kinds] = self.master.count(self._sets[kinds])
        for kinds, row in self._rows.items():
            self.master.limit_count(row, *limits.get(kinds, (0, None)))

    def _cost(self, limits: Limits) -> float:
        """Of the cheapest fractional plan of the columns at hand within the limits."""
        self._limit(limits)
        self.programs += 1
        cost = self.master.solve()[2]
        return np.inf if self.master.infeasible() else cost

    def _solve(self, limits: Limits, parent: Part, stopped: Callable[[int], bool]) -> Part:
        """Column generation within the limits, as long as it may still raise the parent's bound."""
        self._limit(limits)
        self._numbers += 1
        part = Part(parent.bound, self._numbers, limits, parent.amount)
        for _ in range(ROUNDS):
            amount, duals, cost = self.master.solve()
            self.programs += 1
            if self.master.infeasible():
                part.bound = self.ceiling
                break
            part.amount = amount
            done = min(cost, self.ceiling) * (1 - CLOSE)
            if part.bound >= done or stopped(self.programs) or not self._price(part, duals, done):
                break
        return part

    def _price(self, part: Part, duals: Duals, enough: float) -> int:
        """Raises the part's bound by pricing with more and more branches and then to the end, until it is enough.

        Returns how many columns were added.
        """
        instance, price = self.instance, self.instance.arrays.price
        bonus, gain = self._count_duals(part.limits)
        pay = price + charges(instance, duals) - bonus
        bars = np.maximum(pay, 0.0)
        holders, upper = self.pricer.lean, np.zeros(instance.holders)
        for level, (branches, step) in enumerate(LEVELS[:THOROUGH]):
            patterns, found, above = self.pricer.price(
                holders, instance.upper, duals, bars[holders], branches, step, self.stop
            )
            if np.isinf(above).any():
                return 0
            upper[holders] = np.minimum(upper[holders], above) if level else above
            part.bound = max(part.bound, self._bound(duals, pay, upper, gain))
            if part.bound >= enough:
                return 0
            added = self._add_better(holders, patterns, found, pay)
            holders = holders[upper[holders] > pay[holders] + CLOSE * price[holders]]
            if added or not len(holders):
                return added
        patterns, found, above = self.pricer.price_exactly(holders, instance.upper, duals, bars[holders], self.stop)
        upper[holders] = np.minimum(upper[holders], above)
        part.bound = max(part.bound, self._bound(duals, pay, upper, gain))
        return self._add_better(holders, patterns, found, pay)

    def _add_better(self, holders: IntArray, patterns: IntArray, found: FloatArray, pay: FloatArray) -> int:
        """Adds those that are worth more than they cost; how many."""
        better = np.flatnonzero(found > (pay + CLOSE * self.instance.arrays.price)[holders])
        return sum(self.master.add(int(holders[i]), patterns[i]) for i in better)

    def _count_duals(self, limits: Limits) -> tuple[FloatArray, float]:
        """What the counts take off each holder's price, [H], and what they add to the bound in all."""
        bonus, gain = np.zeros(self.instance.holders), 0.0
        duals = self.master.count_duals()
        for kinds, (fewest, most) in limits.items():
            dual = float(duals[self._rows[kinds]])
            limit = fewest if dual > 0 else most
            # Rounding errors give unlimited counts a price now and then.
            if limit is not None and (limit or dual < 0):
                gain += dual * limit
                bonus += dual * self._sets[kinds]
        return bonus, gain

    def _bound(self, duals: Duals, pay: FloatArray, upper: FloatArray, gain: float) -> float:
        """What these prices prove of the plans within the limits that cost no more than the ceiling.

        All pods' worth, less what bins hold of it, less what kinds may hold beyond what is paid for them: such a plan
        spends at most the ceiling on kinds, so it is at most that times the largest excess of a kind for its price.
        """
        instance, arrays, demand = self.instance, self.instance.arrays, self.master.demand
        family = instance.problem.family
        sizes = np.bincount(family, minlength=len(demand.family))
        sure = np.where(sizes[family] == 1, demand.family[family], demand.sure)
        worth = float(duals.group @ sure + duals.family @ demand.family)
        kinds = _countable(instance)
        free = float((upper * arrays.stock)[instance.kind_of < 0].sum())
        limits = float((duals.pool * np.where(duals.pool > 0, instance.pool_left, 0)).sum())
        excess = float(((np.maximum(upper, 0.0) - pay) / np.maximum(arrays.price, 1.0))[kinds].max(initial=0.0))
        size = worth + free + limits + abs(gain) + self.ceiling * (1.0 + excess)
        return min(worth + gain - free - limits - self.ceiling * excess - SLACK * size, self.ceiling)


def pays(instance: Instance, relaxation: Relaxation) -> bool:
    """Whether branching can add to the bound: few groups, and column generation that came to its end."""
    converged = relaxation.cost - relaxation.bound <= CONVERGED * relaxation.cost
    return instance.problem.groups <= MOST_GROUPS and converged and bool(_countable(instance).any())


def sets_of_kinds(instance: Instance) -> BoolArray:
    """[sets, H] the sets of kinds whose number is branched on: no two alike, only kinds of a cheapest plan."""
    arrays = instance.arrays
    kinds = _countable(instance)
    spot, everything = arrays.risk > 0, np.ones(instance.holders, np.bool_)
    masks = [everything, spot, ~spot, *arrays.allowed.T, *~arrays.allowed.T]
    masks += [(arrays.allowed == row).all(axis=1) for row in np.unique(arrays.allowed[kinds], axis=0)]
    for room in arrays.room.T:
        for size in np.unique(room[kinds]):
            masks += [(room <= size) & some for some in (everything, spot, ~spot)]
            masks += [(room == size) & some for some in (everything, spot, ~spot)]
    masks += [(arrays.room == row).all(axis=1) for row in np.unique(arrays.room[kinds], axis=0)]
    masks += list(np.eye(instance.holders, dtype=np.bool_)[kinds])
    distinct = {(mask & kinds).tobytes(): mask & kinds for mask in masks if (mask & kinds).any()}
    return np.array(list(distinct.values()), np.bool_).reshape(len(distinct), instance.holders)


def _countable(instance: Instance) -> BoolArray:
    """[H] the kinds that can be part of a cheapest plan."""
    return np.asarray(instance.arrays.lean & (instance.kind_of >= 0))
