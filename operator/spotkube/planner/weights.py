"""NodePool weights: of pools that sell the same offering the heaviest buys it, wherever that costs no more."""

from dataclasses import replace

import numpy as np

from spotkube.planner.formulation.kinds import Kinds
from spotkube.planner.problem import BoolArray, Problem, Solution


def by_weight(problem: Problem, kinds: Kinds, solution: Solution) -> Solution:
    """The solution with each node in the heaviest pool that may sell it at no higher price and has it within limits."""
    if len({pool.weight for pool in kinds.pools}) < 2 or not len(solution.node_kind):
        return solution
    heavier = {int(kind): _heavier(problem, kinds, int(kind)) for kind in np.unique(solution.node_kind)}
    takes = problem.takes
    left = problem.pool_left.copy()
    np.subtract.at(left, problem.pool[solution.node_kind], takes[solution.node_kind])
    chosen = solution.node_kind.copy()
    for n, row in enumerate(solution.node_pods):
        inside, used = row > 0, row @ problem.demand
        for kind in heavier[int(chosen[n])]:
            pool = problem.pool[kind]
            fits = problem.compatible[inside, kind].all() and (used <= problem.capacity[kind])[used > 0].all()
            if fits and (takes[kind] <= left[pool]).all() and _as_good(problem, int(chosen[n]), kind, inside):
                left[problem.pool[chosen[n]]] += takes[chosen[n]]
                left[pool] -= takes[kind]
                chosen[n] = kind
                break
    return replace(solution, node_kind=chosen)


def _as_good(problem: Problem, old: int, new: int, inside: BoolArray) -> bool:
    """Whether no preference of the groups inside is met worse, and no quota counts them differently."""
    profiles = {int(p) for p in problem.preferences.profile[inside]} - {-1} if len(problem.preferences.cost) else set()
    quotas = problem.quotas
    counting = (quotas.use[:, inside] > 0).any(axis=1) if len(quotas.use) else np.zeros(0, np.bool_)
    return all(problem.preferences.cost[p, new] <= problem.preferences.cost[p, old] for p in profiles) and bool(
        (quotas.domain[counting, new] == quotas.domain[counting, old]).all() if counting.any() else True
    )


def _heavier(problem: Problem, kinds: Kinds, kind: int) -> list[int]:
    """The same offering in pools of higher weight and at no higher price, the heaviest first."""
    weight = [kinds.pools[p].weight for p in kinds.pool]
    same = [
        o
        for o in range(problem.kinds)
        if kinds.offerings[o].key == kinds.offerings[kind].key
        and weight[o] > weight[kind]
        and problem.price[o] <= problem.price[kind]
    ]
    return sorted(same, key=lambda o: (-weight[o], o))
