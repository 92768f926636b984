"""What the search is compared with: first-fit, rounding, and a MIP over generated columns, on equal time."""

import dataclasses
import time

import highspy
import numpy as np

from spotkube.planner.bound import relax
from spotkube.planner.clock import Clock
from spotkube.planner.columns import Pricer, Relaxation
from spotkube.planner.expand import to_solution
from spotkube.planner.firstfit import first_fit, first_fit_nodes
from spotkube.planner.instance import Instance
from spotkube.planner.master import quiet_highs
from spotkube.planner.problem import Budget, Problem, Solution
from spotkube.planner.reduction import reduce_problem
from spotkube.planner.rounding import dive

Point = tuple[float, float]
# Of the time, what goes into generating columns; the MIP has the rest.
COLUMNS_SHARE = 0.3


def point_of(problem: Problem, solution: Solution) -> Point | None:
    """(micro-dollars an hour, expected interrupted pods a month); None if pods are missing."""
    if solution.unplaced.any():
        return None
    risk = problem.interruption_percent[solution.node_kind] / 100
    return float(solution.cost(problem)), float((risk * solution.node_pods.sum(axis=1)).sum())


def hypervolume(front: list[Point], reference: Point) -> float:
    """The area between the points and the reference, both objectives to be small, as a part of the reference's own."""
    area, height = 0.0, reference[1]
    for cost, risk in sorted(p for p in front if p[0] < reference[0] and p[1] < reference[1]):
        if risk < height:
            area += (reference[0] - cost) * (height - risk)
            height = risk
    return area / (reference[0] * reference[1])


def seeds_and_mip(problem: Problem, seconds: float) -> dict[str, Point | None]:
    """First-fit, rounding (a dive, its rest by first-fit), and HiGHS over all the columns, started from the better one.

    Dives add columns for the MIP, as they do for the search.
    """
    clock = Clock(seconds)
    instance, found = reduce_problem(problem), {"first-fit": point_of(problem, first_fit(problem))}
    pricer = Pricer(instance)
    shares = (COLUMNS_SHARE, COLUMNS_SHARE)
    relaxation = relax(instance, pricer, [first_fit_nodes(instance)], Budget(seconds), clock, shares)
    found["rounding"] = _rounded(problem, instance, relaxation, pricer)
    found["MIP"] = _mip(problem, instance, relaxation, seconds - (time.perf_counter() - clock.started))
    return found


def _rounded(problem: Problem, instance: Instance, relaxation: Relaxation, pricer: Pricer) -> Point | None:
    latest = None
    for nodes in dive(instance, relaxation, pricer):
        latest = nodes
    if latest is None:
        return None
    half = to_solution(instance, latest)
    rest = dataclasses.replace(problem, count=half.unplaced, sure_count=half.unplaced)
    other = first_fit(rest)
    return point_of(
        problem,
        Solution(
            node_kind=np.concatenate([half.node_kind, other.node_kind]),
            node_pods=np.vstack([half.node_pods, other.node_pods]),
            bin_pods=half.bin_pods + other.bin_pods,
            unplaced=other.unplaced,
        ),
    )


def _mip(problem: Problem, instance: Instance, relaxation: Relaxation, seconds: float) -> Point | None:
    """Whole numbers of columns that cover each group; pods beyond the count are left off the nodes that hold them."""
    if seconds <= 0:
        return None
    master, solver = relaxation.master, quiet_highs()
    for option, setting in (("time_limit", seconds), ("presolve", "on"), ("solver", "choose")):
        solver.setOptionValue(option, setting)
    for count in problem.count:
        solver.addRow(float(count), highspy.kHighsInf, 0, np.zeros(0, np.int32), np.zeros(0))
    for i, (holder, pattern) in enumerate(zip(master.holders, master.patterns, strict=True)):
        rows = np.flatnonzero(pattern).astype(np.int32)
        price = float(instance.arrays.price[holder]) / 1000
        solver.addCol(price, 0.0, highspy.kHighsInf, len(rows), rows, pattern[rows].astype(np.float64))
        solver.changeColIntegrality(i, highspy.HighsVarType.kInteger)
    solver.run()
    times = np.round(np.array(solver.getSolution().col_value)).astype(np.int64)
    if not len(times):
        return None
    kinds = np.repeat(instance.kind_of[np.array(master.holders)], times)
    pods = np.repeat(np.array(master.patterns), times, axis=0)
    for g in np.flatnonzero(pods.sum(axis=0) > problem.count):
        after = np.minimum(np.cumsum(pods[:, g]), problem.count[g])
        pods[:, g] = np.diff(after, prepend=0)
    missing = problem.count - pods.sum(axis=0)
    return point_of(problem, Solution(kinds, pods, np.zeros((0, problem.groups), np.int64), missing))
