"""Which nodes in force are kept, and which are replaced since that pays for the moves of their pods.

A set of nodes is given back, m to n: their pods go together onto what stays free on the others and onto what is bought.
Of all sets the one is chosen for which dollars an hour over the horizon and the price of the moves are least. What a
set saves is never estimated in the end: each of the few best is planned for real, as if its nodes were leaving. Doing
nothing is one of them, so that a plan is never worse, and the moves of a plan pay back within the horizon or there are
none. Since every plan that is carried out makes the nodes cheaper by more than its moves are worth, no two plans can
undo each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, combinations

import numpy as np

from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.plan import Plan, Work
from spotkube.planner.consolidation.candidates import Candidate
from spotkube.planner.consolidation.options import FEW, LAST_SHARE, Option, Planner
from spotkube.planner.consolidation.refit import make_refit
from spotkube.planner.consolidation.regroup import Regrouping
from spotkube.planner.consolidation.told import plan_of
from spotkube.planner.decide import decide
from spotkube.planner.problem import BoolArray, Budget
from spotkube.planner.solver import Solver

# Work for the prices of pods.
PRICES = Budget(seconds=None, column_rounds=15, sharp=False)


def consolidate(snapshot: Snapshot, mode: Mode, *, seed: int, budget: Budget, repeat: Work | None = None) -> Plan:
    """As `decide`, and with the nodes that are better given back; their pods are among those that the plan places.

    Raises ValueError where the work to repeat was broken off by hand.
    """
    solver = Solver(seed, budget, None if repeat is None else repeat.known_passes())
    planner = Planner(snapshot, mode, budget, solver)
    if not planner.candidates:
        return replace(decide(snapshot, mode, seed=seed, budget=budget, repeat=repeat), held=planner.held)
    planner.plan(())
    for gone in _sets(planner, seed):
        if not planner.more_plans():
            break
        planner.plan(gone)
    replans = len(planner.options)
    return plan_of(planner, _again(planner, planner.best()), replans)


def _sets(planner: Planner, seed: int) -> Iterator[Sequence[Candidate]]:
    """What to plan for real, the most promising first."""
    every = planner.candidates
    prices = planner.solver.within(PRICES)
    refit = make_refit(planner.options[0].snapshot, planner.pools, every, planner.hours, prices)
    for market in (refit, refit.closed()):
        regrouping = Regrouping(market, planner.sets_stop)
        regrouping.run(np.random.default_rng(seed))
        planner.tried += regrouping.tried
        yield _chosen(every, regrouping.best)
    yield every
    if len(every) <= FEW:
        yield from chain.from_iterable(combinations(every, n) for n in range(1, len(every)))
    else:
        yield from _neighbours(planner, refit.waste)


def _neighbours(planner: Planner, waste: np.ndarray) -> Iterator[Sequence[Candidate]]:
    """The best set so far without the nodes that are of least use in it, and with others that are nearly worth it."""
    place = {candidate.name: i for i, candidate in enumerate(planner.candidates)}
    share = 0.5
    while True:
        best = planner.best()
        ordered = sorted(best.gone, key=lambda candidate: -waste[place[candidate.name]])
        names = {candidate.name for candidate in ordered}
        others = sorted((c for c in planner.candidates if c.name not in names), key=lambda c: -waste[place[c.name]])
        step = max(1, round(share * max(len(ordered), len(others))))
        if ordered:
            yield ordered[:-step]
        if others:
            yield [*ordered, *others[:step]]
        if step == 1:
            return
        share /= 2


def _chosen(every: Sequence[Candidate], gone: BoolArray) -> list[Candidate]:
    return [candidate for candidate, goes in zip(every, gone, strict=True) if goes]


def _again(planner: Planner, chosen: Option) -> Option:
    """The chosen set planned with the time that is left, where it buys anything; the better of both plans."""
    if not len(chosen.result.solution.node_kind):
        return chosen
    again = planner.plan(chosen.gone, planner.rest(LAST_SHARE))
    fair = not again.missing & set(again.moved) and len(again.missing) <= len(chosen.missing)
    fair &= planner.risks_no_more(again)
    return again if fair and planner.total(again) <= planner.total(chosen) else chosen
