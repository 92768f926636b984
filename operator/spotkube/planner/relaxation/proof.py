"""The lower bound: what any plan of the same pods must cost, proven from duals and upper-bounded pricing.

For any pod prices u >= 0 let z_h be at least the most that one holder h can hold in these prices. If z_h is no more
than what h costs, then no plan can cost less than all its pods are worth. Where z_h is too high, the prices of the
groups that may go there are scaled down until it is not (Farley's bound, group by group). A bin costs nothing, so its
z_h is taken off once for each bin. Limits of pools come in as a charge y >= 0 on what a kind takes of them, and
y * limit is taken off. Rounding never works in favour of the bound.
"""

import math
from dataclasses import dataclass

import numpy as np

from spotkube.planner.instance import Instance
from spotkube.planner.problem import FloatArray, Problem
from spotkube.planner.relaxation.master import Demand, Duals

# Of the sum of the terms' sizes; doubles are off by less than 1e-12 of it.
SLACK = 1e-10


@dataclass(frozen=True, eq=False)
class Proof:
    """Duals with an upper bound on the worth of the best pattern of every holder: a bound for any number of pods."""

    instance: Instance
    duals: Duals
    upper: FloatArray

    def lower_bound(self, demand: Demand) -> int:
        """Micro-dollars an hour; never above the cheapest plan that covers the demand."""
        return round_up(*self.value(demand))

    def value(self, demand: Demand) -> tuple[float, float]:
        """The bound, and the sum of the sizes of its terms."""
        instance = self.instance
        family = instance.problem.family
        bins = instance.kind_of < 0
        scale, scale_family, scale_bin = self._scales()
        sizes = np.bincount(family, minlength=len(demand.family))
        sure = np.where(sizes[family] == 1, demand.family[family], demand.sure)
        gain = float((scale * self.duals.group) @ sure + (scale_family * self.duals.family) @ demand.family)
        free = float((scale_bin * self.upper * instance.arrays.stock)[bins].sum())
        limits = float((self.duals.pool * np.where(self.duals.pool > 0, instance.pool_left, 0)).sum())
        return gain - free - limits, gain + free + limits

    def _scales(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What the prices of each group [G] and family [F] are multiplied with, and what that does to each bin [H]."""
        instance, arrays = self.instance, self.instance.arrays
        kinds = instance.kind_of >= 0
        excess = np.where(kinds, self.upper / np.maximum(arrays.price + charges(instance, self.duals), 1.0), 0.0)
        worst = np.where(arrays.allowed, excess[:, None], 0.0).max(axis=0, initial=0.0)
        scale = np.divide(1.0, worst, out=np.ones_like(worst), where=worst > 0)
        family = np.full(len(self.duals.family), np.inf)
        np.minimum.at(family, instance.problem.family, scale)
        family[~np.isfinite(family)] = 1.0
        return scale, family, np.where(arrays.allowed, scale, 0.0).max(axis=1, initial=0.0)


def charges(instance: Instance, duals: Duals) -> FloatArray:
    """What each holder pays for its share of its pool's limits, [H]."""
    pool = np.maximum(instance.arrays.pool, 0)
    charge = (duals.pool[pool] * instance.arrays.pool_use).sum(axis=1) if len(duals.pool) else np.zeros(len(pool))
    return np.where(instance.arrays.pool >= 0, charge, 0.0)


def round_up(value: float, size: float) -> int:
    """The least whole number of micro-dollars that the value, less its rounding error, allows a plan to cost."""
    return max(0, math.ceil(value - SLACK * size - 1e-6))


def demand_of(problem: Problem, unplaced: np.ndarray | None = None) -> Demand:
    """The pods to cover: all, or all but those without a place. Any of a family's pods may be the ones left out."""
    missing = np.zeros(problem.groups, np.int64) if unplaced is None else unplaced
    families = int(problem.family.max(initial=-1)) + 1
    lacking, family = np.zeros(families, np.int64), np.zeros(families, np.int64)
    np.add.at(lacking, problem.family, missing)
    np.add.at(family, problem.family, problem.count - missing)
    return Demand(np.maximum(problem.sure_count - lacking[problem.family], 0), family)
