"""Preferences as a small cost: preferred node affinity, and taints with effect PreferNoSchedule.

The rule: where a pod stands with none of its preferences met, its room counts `preference_percent` dearer than it is
at its cheapest; with a part of their weights unmet, that part of it. So preferences decide between nodes of nearly the
same price, and never make a bill much larger. Cost and bound of a plan are dollars all the same.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spotkube.model.pods import PodShape
from spotkube.planner.formulation.groups import Group
from spotkube.planner.formulation.kinds import Kinds
from spotkube.planner.formulation.labeltable import LabelTable
from spotkube.planner.problem import FloatArray, IntArray, Preferences, Problem, Solution

# The weight of keeping off a taint with effect PreferNoSchedule, as large as that of any one preference.
TAINT_WEIGHT = 100
# Preferences of less than this in all count for less than `preference_percent`: a weight of 1 is a mild wish.
FULL_WEIGHT = 100


def unmet_share(table: LabelTable, shape: PodShape) -> FloatArray:
    """[rows] which part of the pod's preferences, by weight, a node leaves unmet: from 0 to 1."""
    unmet, total = np.zeros(len(table)), 0
    for weight, term in shape.preferred:
        total += weight
        unmet += weight * ~table.all_of(term)
    avoided = table.avoided(shape.tolerations)
    if avoided.any():
        total += TAINT_WEIGHT
        unmet += TAINT_WEIGHT * avoided
    return unmet / max(total, FULL_WEIGHT)


def with_preferences(problem: Problem, groups: Sequence[Group], kinds: Kinds, percent: float) -> Problem:
    """The problem with what unmet preferences cost; groups that no kind pleases more than another have none.

    `percent` is how much dearer a pod's room counts with nothing preferred about it.
    """
    rows: dict[bytes, int] = {}
    costs: list[IntArray] = []
    profile = np.full(len(groups), -1, dtype=np.int64)
    for g, group in enumerate(groups):
        usable = problem.compatible[g]
        share = unmet_share(kinds.table, group.shape)
        if not percent or not usable.any() or np.ptp(share[usable]) == 0:
            continue
        row = np.rint(share * _room_cost(problem, g) * percent / 100).astype(np.int64)
        profile[g] = rows.setdefault(row.tobytes(), len(rows))
        if profile[g] == len(costs):
            costs.append(row)
    if not costs:
        return problem
    return replace(problem, preferences=Preferences(np.array(costs, dtype=np.int64), profile))


def unmet_pods(groups: Sequence[Group], kinds: Kinds, solution: Solution) -> int:
    """How many pods on nodes to buy don't have all of their preferences met."""
    unmet = 0
    for g, group in enumerate(groups):
        if solution.node_pods[:, g].any():
            there = unmet_share(kinds.table, group.shape)[solution.node_kind] > 0
            unmet += int(solution.node_pods[there, g].sum()) * group.bundle
    return unmet


def _room_cost(problem: Problem, g: int) -> float:
    """Micro-dollars an hour for the share of a node that a pod takes of its scarcest resource, where that is least."""
    asked, usable = problem.demand[g], problem.compatible[g]
    shares = asked[asked > 0] / np.maximum(problem.capacity[usable][:, asked > 0], 1)
    return float((problem.price[usable] * shares.max(axis=1, initial=0.0)).min())
