"""The problem as a fluid: pods and nodes in fractions. Where column generation begins: what its prices prove, with
patterns of whole pods, is mostly within a few percent of what columns come to in many rounds."""

from collections.abc import Sequence

import highspy
import numpy as np

from spotkube.planner.instance import Instance
from spotkube.planner.problem import NO_LIMIT, FloatArray, IntArray
from spotkube.planner.relaxation.master import UNIT, Demand, Duals, add_columns, add_rows, quiet_highs

# Flows and caps at most: beyond, the fluid would take longer than it saves.
MOST_FLOWS = 60_000
# From so many on, the interior point method is two to three times as fast as the simplex method; below, slower.
MANY_FLOWS = 8_000
# Nodes in fractions can be of any size, so that one size of a family says nearly what all say: kinds are left out that
# are so little cheaper for what they hold. It is five times as fast, and what the prices prove is no less.
ALIKE = 0.05
# In place of no room at all.
SMALLEST = 1e-9


def fluid_duals(instance: Instance, demand: Demand, blocks: Sequence[IntArray]) -> tuple[Duals, FloatArray] | None:
    """Prices of pods when nodes may be bought and pods be cut in any fractions, and what a unit of each holder's
    resources is worth then, [H, R]; None if there is too much for that.

    Variables: x[u] units, which are kinds and blocks of bins, y[u, g] pods of g on them. Rows: each group and family is
    covered; the pods on u take no more than x[u] has, of each resource and under each cap. The bins of a block are one
    large bin, but hold no more of a group than each of them alone, counted in whole pods.
    """
    problem, arrays = instance.problem, instance.arrays
    kinds, like = telling_kinds(instance)
    units = [*(kinds[i : i + 1] for i in range(len(kinds))), *blocks]
    allowed = np.array([arrays.allowed[unit].any(axis=0) for unit in units], np.bool_)
    pairs = np.argwhere(allowed.reshape(len(units), instance.problem.groups))
    caps = _used_caps(instance)
    if not len(pairs) or len(pairs) + len(caps) * len(units) > MOST_FLOWS:
        return None
    groups, families, resources = problem.groups, len(demand.family), arrays.demand.shape[1]
    sizes = np.bincount(problem.family, minlength=families)
    alone = sizes[problem.family] == 1
    need = np.where(alone, demand.family[problem.family], demand.sure).astype(float)
    need[~instance.placeable] = 0.0
    supply = groups + families
    rows_of_unit = resources + len(caps)
    lp = quiet_highs()
    if len(pairs) >= MANY_FLOWS:
        lp.setOptionValue("solver", "ipm")
    lower = np.concatenate([need, np.where(sizes > 1, demand.family, 0), np.zeros(len(units) * rows_of_unit)])
    add_rows(lp, lower, np.full(len(lower), highspy.kHighsInf))
    # Rows of a resource are scaled to the unit's room, so that all coefficients are about one.
    limits = np.hstack([arrays.room, arrays.caps[:, caps]]).astype(float)
    limits = np.array([_times(instance, unit) @ limits[unit] for unit in units]).reshape(len(units), rows_of_unit)
    whole = np.hstack([np.ones((len(units), resources)), limits[:, resources:]])
    most = np.array([highspy.kHighsInf if instance.kind_of[unit[0]] >= 0 else 1.0 for unit in units])
    price = np.array([arrays.price[unit[0]] for unit in units])
    at = supply + np.arange(len(units) * rows_of_unit).reshape(len(units), rows_of_unit)
    add_columns(lp, price / UNIT, most, at, whole)
    which, group = pairs.T
    share = arrays.demand[group] / np.maximum(limits[which, :resources], 1)
    use = problem.cap_use[caps].T.astype(float)
    rows = np.column_stack([group, groups + problem.family[group], at[which]])
    values = np.column_stack([np.ones((len(pairs), 2)), -share, -use[group]])
    pods = np.array([_most_pods(instance, unit) for unit in units])[which, group]
    add_columns(lp, np.zeros(len(pairs)), pods, rows, values)
    lp.run()
    if lp.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    duals = np.maximum(np.array(lp.getSolution().row_dual), 0.0) * UNIT
    charges = np.zeros(arrays.room.shape)
    worth = duals[supply:].reshape(len(units), rows_of_unit)[:, :resources] / np.maximum(limits[:, :resources], 1)
    for unit, charge in zip(units, worth, strict=True):
        charges[unit] = charge
    charges = charges[like]
    return Duals(duals[:groups], duals[groups:supply], np.zeros(instance.pool_left.shape)), charges


def telling_kinds(instance: Instance) -> tuple[IntArray, IntArray]:
    """The holders whose nodes in fractions hold for nearly the least what any of them hold; and for each holder the one
    that speaks for it, [H], which may be itself."""
    arrays = instance.arrays
    lean = np.flatnonzero(arrays.lean & (instance.kind_of >= 0))
    room, price, allowed = arrays.room[lean].astype(float), arrays.price[lean], arrays.allowed[lean]
    size = (room / np.maximum(room.max(axis=0, initial=1), 1)).sum(axis=1)
    # A part of a large node has no more than that part of what each node may have under a cap, so it can't speak for a
    # small one where groups are capped.
    room = np.hstack([room, arrays.caps[lean][:, _used_caps(instance)].astype(float)])
    speaker = np.full(len(lean), -1)
    for kind in np.argsort(price / np.maximum(size, SMALLEST), kind="stable"):
        if speaker[kind] >= 0:
            continue
        times = np.where(room > 0, room / np.maximum(room[kind], SMALLEST), 0.0).max(axis=1, initial=0.0)
        alike = (times * price[kind] <= price * (1 + ALIKE)) & ~(allowed & ~allowed[kind]).any(axis=1)
        speaker[alike & (speaker < 0)] = kind
        speaker[kind] = kind
    like = np.arange(instance.holders)
    like[lean] = lean[speaker]
    return lean[np.unique(speaker)], like


def _used_caps(instance: Instance) -> list[int]:
    problem = instance.problem
    return [k for k in range(len(problem.cap_limit)) if problem.cap_use[k].any()]


def _times(instance: Instance, unit: IntArray) -> IntArray:
    """How often each holder of a unit is there: one node of a kind, all bins of a block."""
    return instance.arrays.stock[unit] if instance.kind_of[unit[0]] < 0 else np.ones(1, np.int64)


def _most_pods(instance: Instance, unit: IntArray) -> FloatArray:
    """[G] how many pods of each group alone the bins of a unit hold; without end for kinds."""
    arrays = instance.arrays
    if instance.kind_of[unit[0]] >= 0:
        return np.full(len(instance.upper), highspy.kHighsInf)
    times = arrays.room[unit][:, None, :] // np.maximum(arrays.demand, 1)
    each = np.where(arrays.demand > 0, times, NO_LIMIT).min(axis=2)
    return np.where(arrays.allowed[unit], np.minimum(each, instance.upper), 0).T.astype(float) @ arrays.stock[unit]
