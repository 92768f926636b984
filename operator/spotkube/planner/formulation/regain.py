"""Pods that a plan gave up for limits of NodePools, and for which the plan, as it then came out, has room after all."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from spotkube.model import labels as keys
from spotkube.model.cluster import Pool, Snapshot
from spotkube.model.selectors import Operator, Requirement
from spotkube.planner.formulation.assembling import Built
from spotkube.planner.formulation.ledger import Part, part_of
from spotkube.planner.formulation.places import NODE_KEYS
from spotkube.planner.problem import BoolArray, Problem, Result, Solution
from spotkube.planner.validate import validate


def affordable_after(problem: Problem, solution: Solution) -> BoolArray:
    """[O] kinds of which the limits of their pool leave room for one more."""
    left = problem.pool_left.copy()
    np.subtract.at(left, problem.pool[solution.node_kind], problem.takes[solution.node_kind])
    affordable: BoolArray = np.all(problem.takes <= left[problem.pool], axis=1)
    return affordable


def cut_too_far(uncut: Built, result: Result, most: Mapping[Part, int]) -> dict[Part, int]:
    """One pod more for a group of which fewer were to be planned than it has, if limits let a node be bought for it.

    `uncut` is the problem before any was cut, over the same kinds as the result's.
    """
    affordable = affordable_after(uncut.problem, result.solution)
    for g, group in enumerate(uncut.groups):
        whole = part_of(replace(group, where=()))
        if whole in most and (uncut.problem.compatible[g] & affordable).any():
            return {whole: most[whole] + 1}
    return {}


def with_one_more(built: Built, result: Result, again: Built) -> Solution | None:
    """The earlier solution as one of the new problem, over the same kinds, with the cheapest node for one pod that is
    left over; None where the groups were given other domains."""
    problem, old = again.problem, result.solution
    column = {part_of(group): g for g, group in enumerate(built.groups)}
    before = [column.get(part_of(group)) for group in again.groups]
    node_pods = np.zeros((len(old.node_kind), problem.groups), dtype=np.int64)
    bin_pods = np.zeros((len(problem.bins), problem.groups), dtype=np.int64)
    for g, earlier in enumerate(before):
        if earlier is not None:
            node_pods[:, g], bin_pods[:, g] = old.node_pods[:, earlier], old.bin_pods[:, earlier]
    left = problem.count - node_pods.sum(axis=0) - bin_pods.sum(axis=0)
    fits = problem.compatible & affordable_after(problem, old) & (left > 0)[:, np.newaxis]
    fits &= np.array([earlier is None or left[g] > old.unplaced[earlier] for g, earlier in enumerate(before)])[:, None]
    if not fits.any():
        return None
    kind = min(np.flatnonzero(fits.any(axis=0)).tolist(), key=lambda kind: int(problem.price[kind]))
    more = np.zeros((1, problem.groups), dtype=np.int64)
    more[0, int(np.argmax(fits[:, kind]))] = 1
    solution = Solution(np.append(old.node_kind, kind), np.vstack([node_pods, more]), bin_pods, left - more[0])
    return None if validate(problem, solution) else solution


def only_nodes(built: Built, result: Result, pools: Sequence[Pool]) -> list[Pool]:
    """The pools, those pinned to the one node they buy whose limits let no other stand beside it; empty if none is.

    Spreads over hosts, which held pods back, need not fear a second node then.
    """
    problem, solution = built.problem, result.solution
    affordable, bought = affordable_after(problem, solution), Counter(problem.pool[solution.node_kind].tolist())
    held_back = [any(rule.topology_key in NODE_KEYS for rule in group.shape.spread) for group in built.groups]
    missing = np.any(problem.compatible[(solution.unplaced > 0) & np.array(held_back, dtype=np.bool_)], axis=0)
    pinned: dict[str, Pool] = {}
    for kind in solution.node_kind.tolist():
        pool, its = built.kinds.pools[problem.pool[kind]], problem.pool == problem.pool[kind]
        if bought[problem.pool[kind]] == 1 and missing[kind] and not (affordable & its).any() and not pool.min_values:
            offering = built.kinds.offerings[kind]
            wanted = {
                keys.INSTANCE_TYPE: offering.instance_type,
                keys.ZONE: offering.zone,
                keys.CAPACITY_TYPE: offering.capacity_type,
            }
            pins = tuple(Requirement(key, Operator.IN, (value,)) for key, value in wanted.items())
            pinned[pool.name] = replace(pool, requirements=(*pool.requirements, *pins))
    return [pinned.get(pool.name, pool) for pool in pools] if pinned else []


def holds_more(snapshot: Snapshot, one: tuple[Built, Result], other: tuple[Built, Result]) -> bool:
    """Whether the one plan leaves fewer pods over than the other, and no more of any priority."""
    mine, theirs = _left_over(snapshot, *one), _left_over(snapshot, *other)
    return not mine - theirs and bool(theirs - mine)


def _left_over(snapshot: Snapshot, built: Built, result: Result) -> Counter[int]:
    """How many pods are not planned, by priority."""
    priority = {pod.uid: pod.shape.priority for pod in snapshot.pods}
    left = Counter(priority[uid] for refused in built.unplaceable for uid in refused.pods)
    for group, units in zip(built.groups, result.solution.unplaced, strict=True):
        left[group.shape.priority] += int(units) * group.bundle
    return left
