"""The problem as a fluid: pods and nodes in fractions. Weak as a bound, but where column generation begins."""

import highspy
import numpy as np

from spotkube.planner.instance import FloatArray, Instance
from spotkube.planner.master import UNIT, Demand, Duals, quiet_highs

# Flows and caps at most: beyond, the fluid would take longer than it saves.
MOST_FLOWS = 60_000


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
    lower = np.concatenate([need, np.where(sizes > 1, demand.family, 0), np.zeros(len(lean) * per_holder)])
    nothing, zeros = np.zeros(0, np.int32), np.zeros(len(lower), np.int32)
    infinite = np.full(len(lower), highspy.kHighsInf)
    lp.addRows(len(lower), lower.astype(float), infinite, 0, zeros, nothing, np.zeros(0))
    # Rows of a resource are scaled to the holder's room, so that all coefficients are about one.
    for i, h in enumerate(lean):
        room = np.concatenate([np.ones(resources), arrays.caps[h, caps].astype(float)])
        rows = supply + i * per_holder + np.arange(per_holder)
        most = float(arrays.stock[h]) if instance.kind_of[h] < 0 else highspy.kHighsInf
        lp.addCol(float(arrays.price[h]) / UNIT, 0.0, most, per_holder, rows.astype(np.int32), room)
    for i, g in pairs:
        first = supply + i * per_holder
        share = arrays.demand[g] / np.maximum(arrays.room[lean[i]], 1)
        inside = [c for c, k in enumerate(caps) if problem.cap_use[k, g]]
        rows = [int(g), groups + int(problem.family[g]), *(first + r for r in range(resources))]
        values = [1.0, 1.0, *(-share), *(-float(problem.cap_use[caps[c], g]) for c in inside)]
        rows += [first + resources + c for c in inside]
        lp.addCol(0.0, 0.0, highspy.kHighsInf, len(rows), np.array(rows, np.int32), np.array(values))
    lp.run()
    if lp.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    duals = np.maximum(np.array(lp.getSolution().row_dual), 0.0) * UNIT
    charges = np.zeros(arrays.room.shape)
    charges[lean] = duals[supply:].reshape(len(lean), per_holder)[:, :resources] / np.maximum(arrays.room[lean], 1)
    return Duals(duals[:groups], duals[groups:supply], np.zeros(instance.pool_left.shape)), charges
