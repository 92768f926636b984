"""What the search is compared with: first-fit, rounding, and a MIP over generated columns, on equal time."""

import dataclasses
import time
from collections.abc import Iterator

import highspy
import numpy as np

from attempts import Attempt
from spotkube.planner.clock import Clock
from spotkube.planner.instance import Instance
from spotkube.planner.problem import Budget, FloatArray, IntArray, Problem, Solution
from spotkube.planner.reduced.expand import to_solution
from spotkube.planner.reduced.firstfit import first_fit, first_fit_nodes
from spotkube.planner.reduced.reduction import reduce_problem
from spotkube.planner.reduced.state import Nodes
from spotkube.planner.relaxation.bound import relax
from spotkube.planner.relaxation.columns import Relaxation
from spotkube.planner.relaxation.master import quiet_highs
from spotkube.planner.relaxation.pricing import Pricer
from spotkube.planner.search.effort import effort_for
from spotkube.planner.search.rounding import dive, pack_left

# Dives at most; the part of the time after which they end. The MIP has the rest.
DIVES, DIVES_SHARE = 4, 0.5
# Prices are given to HiGHS in thousandths of a dollar.
UNIT = 1000.0


def seeds_and_mip(problem: Problem, seconds: float) -> dict[str, Attempt]:
    """First-fit, rounding (as many dives as the search begins with), and HiGHS over all the columns in what is left.

    The columns are those that the search would have, with those of the dives and of the best plan, from which the MIP
    starts. For the sake of the front there is a first-fit plan of nothing but what can't be interrupted as well.
    """
    clock = Clock(seconds)
    found = {name: Attempt(problem, clock.started) for name in ("first-fit", "rounding", "MIP")}
    found["first-fit"].plan(first_fit(problem))
    found["first-fit"].plan(first_fit(_without_risk(problem)))
    instance = reduce_problem(problem)
    pricer, plans = Pricer(instance), [first_fit_nodes(instance)]
    share = effort_for(problem.groups).columns_share
    relaxation = relax(instance, pricer, plans, Budget(seconds), clock, (share, share))
    for nodes in _rounded(instance, relaxation, pricer, clock):
        plans.append(nodes)
        found["rounding"].plan(to_solution(instance, nodes))
    for nodes in plans:
        for row in range(int(nodes.rows[0])):
            relaxation.master.add(int(nodes.holder[row]), nodes.pods[row])
    best = min(plans, key=lambda nodes: (nodes.remain.sum(), to_solution(instance, nodes).cost(problem)))
    _mip(instance, relaxation, best, found["MIP"], seconds - (time.perf_counter() - clock.started))
    return found


def _without_risk(problem: Problem) -> Problem:
    safe = problem.interruption_rate == 0
    return dataclasses.replace(problem, compatible=problem.compatible & safe)


def _rounded(instance: Instance, relaxation: Relaxation, pricer: Pricer, clock: Clock) -> Iterator[Nodes]:
    """Dives as the search begins with, and more of them, since here nothing comes after."""
    stop = clock.stop(DIVES_SHARE)
    for number in range(DIVES):
        if number and stop():
            return
        latest = None
        for nodes in dive(instance, relaxation, pricer, np.random.default_rng((0, number)) if number else None):
            latest = nodes
        if latest is not None:
            pack_left(instance, relaxation, pricer, latest)
            yield latest


def _mip(instance: Instance, relaxation: Relaxation, start: Nodes, attempt: Attempt, seconds: float) -> None:
    """Whole numbers of columns that cover each group; pods beyond the count are left off the nodes that hold them."""
    master, problem, solver = relaxation.master, instance.problem, quiet_highs()
    if seconds <= 0:
        return
    # No presolve: HiGHS 1.16 loses columns of the start in it, and goes on from a plan that there is not.
    for option, setting in (("time_limit", seconds), ("presolve", "off"), ("solver", "choose")):
        solver.setOptionValue(option, setting)
    for count in problem.count:
        solver.addRow(float(count), highspy.kHighsInf, 0, np.zeros(0, np.int32), np.zeros(0))
    for i, (holder, pattern) in enumerate(zip(master.holders, master.patterns, strict=True)):
        rows = np.flatnonzero(pattern).astype(np.int32)
        price = float(instance.arrays.price[holder]) / UNIT
        solver.addCol(price, 0.0, highspy.kHighsInf, len(rows), rows, pattern[rows].astype(np.float64))
        solver.changeColIntegrality(i, highspy.HighsVarType.kInteger)
    begin = highspy.HighsSolution()
    begin.col_value = _amounts(relaxation, start).tolist()
    solver.setSolution(begin)

    def better(event: highspy.HighsCallbackEvent) -> None:
        attempt.plan(_bought(instance, relaxation, np.array(event.data_out.mip_solution)))

    solver.cbMipImprovingSolution.subscribe(better)
    if solver.run() == highspy.HighsStatus.kError:
        raise RuntimeError("HiGHS refused to solve")
    last = _bought(instance, relaxation, np.array(solver.getSolution().col_value))
    claimed = solver.getInfo().objective_function_value * UNIT
    if abs(claimed - last.cost(problem)) > 1e-6 * claimed:
        raise RuntimeError(f"HiGHS claims {claimed} micro-dollars for a plan of {last.cost(problem)}")
    attempt.plan(last)


def _amounts(relaxation: Relaxation, nodes: Nodes) -> FloatArray:
    """How often a plan takes each column; all of its nodes are columns."""
    master = relaxation.master
    number = {(h, p.tobytes()): i for i, (h, p) in enumerate(zip(master.holders, master.patterns, strict=True))}
    amounts = np.zeros(len(number))
    for row in range(int(nodes.rows[0])):
        if nodes.times[row] and nodes.pods[row].any():
            amounts[number[int(nodes.holder[row]), nodes.pods[row].tobytes()]] += nodes.times[row]
    return amounts


def _bought(instance: Instance, relaxation: Relaxation, amounts: FloatArray) -> Solution:
    master, problem = relaxation.master, instance.problem
    times: IntArray = np.round(amounts).astype(np.int64)
    kinds = np.repeat(instance.kind_of[np.array(master.holders)], times)
    pods = np.repeat(np.array(master.patterns), times, axis=0)
    for g in np.flatnonzero(pods.sum(axis=0) > problem.count):
        after = np.minimum(np.cumsum(pods[:, g]), problem.count[g])
        pods[:, g] = np.diff(after, prepend=0)
    missing = problem.count - pods.sum(axis=0)
    return Solution(kinds, pods, np.zeros((0, problem.groups), np.int64), missing)
