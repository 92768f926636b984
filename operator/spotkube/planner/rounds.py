"""A plan is made anew where it shows that domains were not as they had been taken to be."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spotkube.model.cluster import Pool, Snapshot
from spotkube.planner.formulation.assembling import Built
from spotkube.planner.formulation.bins import KeptBins
from spotkube.planner.formulation.build import build
from spotkube.planner.formulation.ledger import Part, part_of
from spotkube.planner.formulation.regain import cut_too_far, holds_more, only_nodes, with_one_more
from spotkube.planner.formulation.scopes import Scope
from spotkube.planner.problem import BoolArray, Result
from spotkube.planner.solver import Solver
from spotkube.planner.weights import by_weight

# How often a plan is made anew at most, and from when on each domain is told what it could hold: then it does.
_ROUNDS, _LAST_ROUNDS = 8, 4


def plan_in_rounds(
    snapshot: Snapshot, pools: Sequence[Pool], solver: Solver, share: float = 1.0, kept: KeptBins | None = None
) -> tuple[Built, Result]:
    """Solves, within that share of the seconds.

    Where pods found no room in the domain they were given, again with less for it, as rules then allow. So too where a
    purchase opens a domain that a spread counts, and that held none of its pods, and where a spread held pods back
    since it was not known whom it counts. At last pods are tried again that the plan turned out to have room for.
    """
    most: dict[Part, int] = {}
    bought: frozenset[int] = frozenset()
    apart: frozenset[Scope] = frozenset()
    kept = kept or KeptBins()
    uncut = built = build(snapshot, pools, kept=kept)
    result = solver.solve(built.problem, share)
    number = 0
    while number < _ROUNDS:
        short = _too_small(built, result, last=number >= _ROUNDS - _LAST_ROUNDS)
        opened = _opened(built, result)
        if not short and opened <= bought and built.vague <= apart:
            break
        most |= short
        bought |= opened
        apart |= built.vague
        built = build(snapshot, pools, most, bought, apart, kept)
        result = solver.solve(built.problem, share / _ROUNDS)
        number += 1
    while number < _ROUNDS and (more := cut_too_far(uncut, result, most)):
        number += 1
        again = build(snapshot, pools, most | more, bought, apart, kept)
        warm = with_one_more(built, result, again)
        found = solver.solve(again.problem, share / _ROUNDS, warm)
        if not (_opened(again, found) <= bought and holds_more(snapshot, (again, found), (built, result))):
            break
        most |= more
        built, result = again, found
    if number < _ROUNDS and not (most or bought) and (pinned := only_nodes(built, result, pools)):
        again = replace(build(snapshot, pinned, apart=apart, kept=kept), narrowed=True)
        found = solver.solve(again.problem, share / _ROUNDS)
        if not _opened(again, found) and holds_more(snapshot, (again, found), (built, result)):
            built, result = again, found
    return built, replace(result, solution=by_weight(built.problem, built.kinds, result.solution))


def _too_small(built: Built, result: Result, *, last: bool) -> dict[Part, int]:
    """How many pods found room in a domain; or of the whole group, where its domains share the limits that bind."""
    found: dict[Part, int] = {}
    families: dict[Part, list[int]] = defaultdict(list)
    for g, group in enumerate(built.groups):
        if group.where:
            families[part_of(replace(group, where=()))].append(g)
    placed, selling = built.problem.count - result.solution.unplaced, _selling(built)
    for whole, parts in families.items():
        short = [g for g in parts if result.solution.unplaced[g]]
        shared = selling[parts[0]].any() and (selling[parts] == selling[parts[0]]).all()
        if short and shared and len(parts) > 1 and not last:
            found[whole] = int(placed[parts].sum())
        else:
            found |= {part_of(built.groups[g]): int(placed[g]) for g in short}
    return found


def _selling(built: Built) -> BoolArray:
    """[G, P] pools of which the limits leave room for a node that holds one of the group."""
    problem = built.problem
    offered = problem.compatible & (problem.takes <= problem.pool_left[problem.pool]).all(axis=1)
    selling = np.zeros((problem.groups, len(problem.pool_left)), dtype=np.bool_)
    for p in range(len(problem.pool_left)):
        selling[:, p] = offered[:, problem.pool == p].any(axis=1)
    return selling


def _opened(built: Built, result: Result) -> frozenset[int]:
    kinds = np.unique(result.solution.node_kind)
    return frozenset(int(kind) for kind in kinds[built.opens[kinds]])
