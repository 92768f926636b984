"""Prices a holder to the end as a mixed-integer program, where the compiled branch and bound would not come to one.

Where pods of a few groups share a node in many ways, depth-first search misses the best of them and its bound stays
high; HiGHS, whose linear programs weigh all resources at once, proves the best in a few nodes of its own.
"""

import highspy
import numpy as np

from spotkube.planner.instance import Arrays, Instance
from spotkube.planner.packing.lagrange import SAFE
from spotkube.planner.problem import NO_LIMIT, FloatArray, IntArray
from spotkube.planner.reduced.expand import fits
from spotkube.planner.relaxation.master import add_columns, add_rows, quiet_highs

# Nodes of HiGHS's own search for one holder: its bound is valid wherever it stops.
MOST_NODES = 500
# It may stop this close to the optimum. HiGHS tells solutions apart to 1e-6 of an objective of about one; upper bounds
# are raised by ten times that.
CLOSE_ENOUGH, TOLERANCE = 1e-5, 1e-5
# Groups that don't suffer each other need a row for each pair; no program is made of more.
MOST_ROWS = 5_000
INTEGER = np.uint8(int(highspy.HighsVarType.kInteger))


def exact_pattern(
    instance: Instance, holder: int, stock: IntArray, value: FloatArray, mu: FloatArray, bar: float
) -> tuple[IntArray, float, float]:
    """(pattern [G], its worth, an upper bound) of the holder's most valuable pods.

    The bound is at least the true maximum, or, when no pattern exceeds `bar`, at least that or at most `bar`; infinity
    if there is none.

    Args:
        stock: [G] most pods of each group.
        value: [G] what a pod is worth, >= 0.
        mu: [R] what a unit of each resource is charged, >= 0: with good charges few groups are left to choose from.
    """
    pattern = np.zeros(len(value), np.int64)
    items, most, scale = _promising(instance.arrays, holder, stock, value, mu, bar)
    if not len(items):
        return pattern, 0.0, bar
    solver = _program(instance, holder, items, most, value[items] / scale)
    if solver is None:
        return pattern, 0.0, np.inf
    solver.run()
    if solver.getModelStatus() not in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kSolutionLimit):
        return pattern, 0.0, np.inf
    info = solver.getInfo()
    if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
        pattern[items] = np.round(np.array(solver.getSolution().col_value[: len(items)])).astype(np.int64)
    if not fits(instance, holder, pattern):
        pattern[:] = 0
    worth = float(pattern @ value)
    return pattern, worth, max((TOLERANCE - info.mip_dual_bound) * scale, worth * SAFE, bar)


def _promising(
    a: Arrays, holder: int, stock: IntArray, value: FloatArray, mu: FloatArray, bar: float
) -> tuple[IntArray, IntArray, float]:
    """The groups that a pattern worth more than `bar` may have, how many pods of each, and more than any is worth."""
    room = a.room[holder]
    most = np.where(a.demand > 0, room // np.maximum(a.demand, 1), stock[:, None]).min(axis=1, initial=NO_LIMIT)
    most = np.where(a.allowed[holder], np.minimum(most, stock), 0)
    gain = value - a.demand @ mu
    # Lagrangian: all that gains more than its charge, as often as it fits. A pod that gains less than that takes off.
    bound = float(mu @ room + np.maximum(gain, 0.0) @ most) * SAFE
    items = np.flatnonzero((most > 0) & (bound + np.minimum(gain, 0.0) > bar))
    return items, most[items], bound


def _program(
    instance: Instance, holder: int, items: IntArray, most: IntArray, value: FloatArray
) -> highspy.Highs | None:
    """Columns: pods of each item; then, for items that don't suffer others, whether there is any."""
    rows, upper = _rows(instance, holder, items, most)
    if len(rows) > MOST_ROWS:
        return None
    solver = quiet_highs()
    for option, setting in (("presolve", "choose"), ("solver", "choose"), ("mip_max_nodes", MOST_NODES)):
        solver.setOptionValue(option, setting)
    solver.setOptionValue("mip_rel_gap", CLOSE_ENOUGH)
    columns = rows.shape[1]
    cost, limit = np.zeros(columns), np.ones(columns)
    cost[: len(items)], limit[: len(items)] = -value, most
    add_rows(solver, np.full(len(rows), -highspy.kHighsInf), upper)
    add_columns(solver, cost, limit, np.tile(np.arange(len(rows)), (columns, 1)), rows.T)
    solver.changeColsIntegrality(columns, np.arange(columns, dtype=np.int32), np.full(columns, INTEGER))
    return solver


def _rows(instance: Instance, holder: int, items: IntArray, most: IntArray) -> tuple[FloatArray, FloatArray]:
    """(rows [n, columns], their upper limits [n]), each scaled to about one."""
    problem, a = instance.problem, instance.arrays
    amounts = np.vstack([a.demand[items].T, problem.cap_use[:, items]]).astype(float)
    room = np.concatenate([a.room[holder], a.caps[holder, : len(problem.cap_use)]])
    binding = amounts @ most > room
    scale = np.maximum(room[binding], 1).astype(float)
    lonely = a.met[holder] == 0
    needy = [np.flatnonzero(items == of) for of in problem.needs.of[lonely]]
    member = problem.needs.member.reshape(len(lonely), problem.groups)[lonely][:, items]
    company = [(np.arange(len(items)) == at[0]) / most[at[0]] - member[n] for n, at in enumerate(needy) if len(at)]
    pods = np.vstack([amounts[binding] / scale[:, None], *company])
    upper = np.concatenate([room[binding] / scale, np.zeros(len(company))])
    foes = problem.conflict[np.ix_(items, items)]
    flagged = np.flatnonzero(foes.any(axis=1))
    if not len(flagged):
        return pods, upper
    flags, some = np.eye(len(flagged)), np.eye(len(items))[flagged] / most[flagged, None]
    one, other = np.nonzero(np.triu(foes[np.ix_(flagged, flagged)]))
    rows = np.vstack(
        [
            np.hstack([pods, np.zeros((len(pods), len(flagged)))]),
            np.hstack([some, -flags]),
            np.hstack([np.zeros((len(one), len(items))), flags[one] + flags[other]]),
        ]
    )
    return rows, np.concatenate([upper, np.zeros(len(flagged)), np.ones(len(one))])
