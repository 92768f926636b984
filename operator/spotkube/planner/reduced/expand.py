"""From rows of like nodes to a solution, node by node, and back."""

import numpy as np

from spotkube.planner.instance import Instance
from spotkube.planner.problem import BoolArray, IntArray, Problem, Solution
from spotkube.planner.reduced.nodes import place
from spotkube.planner.reduced.state import Nodes, make_nodes

# Rows that a search may add to those that a plan of fewest patterns has.
SPARE_ROWS = 1024


def rows_needed(instance: Instance) -> int:
    """Rows that any solver needs at most: some for each group, one for each class of bins."""
    return 6 * instance.problem.groups + 2 * instance.holders + SPARE_ROWS


def to_solution(instance: Instance, nodes: Nodes) -> Solution:
    """The solution of the problem that the rows stand for. The order is that of the rows."""
    problem = instance.problem
    rows = np.arange(int(nodes.rows[0]))
    bought = rows[instance.kind_of[nodes.holder[rows]] >= 0] if len(rows) else rows
    each = np.repeat(bought, nodes.times[bought])
    bin_pods = np.zeros((len(problem.bins), problem.groups), np.int64)
    used: dict[int, int] = {}
    for row in rows[instance.kind_of[nodes.holder[rows]] < 0] if len(rows) else rows:
        holder, times = int(nodes.holder[row]), int(nodes.times[row])
        start = used.get(holder, 0)
        bin_pods[instance.bins_of[holder][start : start + times]] = nodes.pods[row]
        used[holder] = start + times
    return Solution(
        node_kind=instance.kind_of[nodes.holder[each]],
        node_pods=nodes.pods[each].copy(),
        bin_pods=bin_pods,
        unplaced=nodes.remain.copy(),
    )


def from_solution(instance: Instance, solution: Solution) -> Nodes:
    """The rows of a solution, without what the instance no longer allows: pods that went, kinds that were dropped."""
    nodes = make_nodes(instance, rows_needed(instance))
    holder_of = {int(kind): holder for holder, kind in enumerate(instance.kind_of) if kind >= 0}
    class_of = {int(b): holder for holder, members in enumerate(instance.bins_of) for b in members}
    wanted = [(class_of.get(b, -1), pods) for b, pods in enumerate(solution.bin_pods)]
    wanted += [
        (_holder(instance, holder_of, int(k), pods), pods)
        for k, pods in zip(solution.node_kind, solution.node_pods, strict=True)
    ]
    for holder, pods in wanted:
        clipped = np.minimum(pods, nodes.remain)
        if holder >= 0 and clipped.any() and fits(instance, holder, clipped):
            place(instance.arrays, nodes, holder, clipped, 1)
    return nodes


def _holder(instance: Instance, holder_of: dict[int, int], kind: int, pods: IntArray) -> int:
    """The holder of this kind, or the cheapest that can stand in for it."""
    if kind in holder_of:
        return holder_of[kind]
    fitting = np.flatnonzero(who_fits(instance, pods) & (instance.kind_of >= 0))
    return int(min(fitting, key=lambda h: instance.arrays.price[h], default=-1))


def fits(instance: Instance, holder: int, pods: IntArray) -> bool:
    """Whether the holder takes these pods when it is empty."""
    return bool(who_fits(instance, pods, slice(holder, holder + 1))[0])


def who_fits(instance: Instance, pods: IntArray, holders: slice = slice(None)) -> BoolArray:
    """Which of the holders, [H] if of all, take these pods when they are empty."""
    problem, arrays, inside = instance.problem, instance.arrays, pods > 0
    needs, caps = problem.needs, len(problem.cap_use)
    unmet = inside[needs.of] & ~(needs.member @ inside) if len(needs.of) else inside[:0]
    if problem.conflict[np.ix_(inside, inside)].any():
        return np.zeros(len(arrays.room[holders]), np.bool_)
    return np.asarray(
        (arrays.room[holders] >= pods @ arrays.demand).all(axis=1)
        & arrays.allowed[holders][:, inside].all(axis=1)
        & (arrays.caps[holders, :caps] >= problem.cap_use @ pods).all(axis=1)
        & (arrays.met[holders, : len(unmet)][:, unmet] > 0).all(axis=1)
    )


def check_shape(problem: Problem, solution: Solution) -> bool:
    """Whether a solution, perhaps of an earlier problem, has the axes of this one."""
    return (
        solution.node_pods.shape == (len(solution.node_kind), problem.groups)
        and solution.bin_pods.shape == (len(problem.bins), problem.groups)
        and bool((solution.node_kind < problem.kinds).all())
    )
