"""The problem as a fluid: pods and nodes in fractions. Weak as a bound, but where column generation begins."""

import highspy
import numpy as np

from spotkube.planner.instance import FloatArray, Instance
from spotkube.planner.master import UNIT, Demand, Duals, add_columns, add_rows, quiet_highs

# Flows and caps at most: beyond, the fluid would take longer than it saves.
MOST_FLOWS = 60_000
# From so many on, the interior point method is two to three times as fast as the simplex method; below, slower.
MANY_FLOWS = 8_000


def fluid_duals(instance: Instance, demand: Demand) -> tuple[Duals, FloatArray] | None:
    """Prices of pods when nodes may be bought and pods be cut in any fractions, and what a unit of each holder's
    resources is worth then, [H, R]; None if there is too much for that.

    Variables: x[h] holders, y[h, g] pods of g on them. Rows: each group and family is covered; the pods on h take no
    more than x[h] has, of each resource and under each cap.
    """
    problem, arrays = instance.problem, instance.arrays
    lean = np.flatnonzero(arrays.lean)
    pairs = np.argwhere(arrays.allowed[lean])
    caps = [k for k in range(len(problem.cap_limit)) if problem.cap_use[k].any()]
    if not len(pairs) or len(pairs) + len(caps) * len(lean) > MOST_FLOWS:
        return None
    groups, families, resources = problem.groups, len(demand.family), arrays.demand.shape[1]
    sizes = np.bincount(problem.family, minlength=families)
    alone = sizes[problem.family] == 1
    need = np.where(alone, demand.family[problem.family], demand.sure).astype(float)
    need[~instance.placeable] = 0.0
    supply = groups + families
    per_holder = resources + len(caps)
    lp = quiet_highs()
    if len(pairs) >= MANY_FLOWS:
        lp.setOptionValue("solver", "ipm")
    lower = np.concatenate([need, np.where(sizes > 1, demand.family, 0), np.zeros(len(lean) * per_holder)])
    add_rows(lp, lower, np.full(len(lower), highspy.kHighsInf))
    # Rows of a resource are scaled to the holder's room, so that all coefficients are about one.
    most = np.where(instance.kind_of[lean] < 0, arrays.stock[lean].astype(float), highspy.kHighsInf)
    room = np.hstack([np.ones((len(lean), resources)), arrays.caps[lean][:, caps].astype(float)])
    at = supply + np.arange(len(lean) * per_holder).reshape(len(lean), per_holder)
    add_columns(lp, arrays.price[lean] / UNIT, most, at, room)
    which, group = pairs.T
    share = arrays.demand[group] / np.maximum(arrays.room[lean[which]], 1)
    use = problem.cap_use[caps].T.astype(float)
    rows = np.column_stack([group, groups + problem.family[group], at[which]])
    values = np.column_stack([np.ones((len(pairs), 2)), -share, -use[group]])
    add_columns(lp, np.zeros(len(pairs)), np.full(len(pairs), highspy.kHighsInf), rows, values)
    lp.run()
    if lp.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    duals = np.maximum(np.array(lp.getSolution().row_dual), 0.0) * UNIT
    charges = np.zeros(arrays.room.shape)
    charges[lean] = duals[supply:].reshape(len(lean), per_holder)[:, :resources] / np.maximum(arrays.room[lean], 1)
    return Duals(duals[:groups], duals[groups:supply], np.zeros(instance.pool_left.shape)), charges
