"""The lower bound by itself: what the pods of a problem must cost at least, however they are placed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spotkube.model.plan import Passes
from spotkube.planner.clock import Clock, Stop
from spotkube.planner.instance import Instance
from spotkube.planner.problem import Budget, IntArray, Problem
from spotkube.planner.reduced.firstfit import first_fit_nodes
from spotkube.planner.reduced.reduction import reduce_problem
from spotkube.planner.reduced.state import Nodes
from spotkube.planner.relaxation.blocks import MOST_BLOCKS, make_blocks
from spotkube.planner.relaxation.coarse import Coarse, make_coarse, transfer
from spotkube.planner.relaxation.columns import Relaxation, add_plan, begun, improve, sharpen
from spotkube.planner.relaxation.master import Demand, Master
from spotkube.planner.relaxation.pricing import Pricer
from spotkube.planner.relaxation.proof import demand_of

# Rounds on the smaller problem at most, and the part of the seconds for columns that they may take.
COARSE_ROUNDS, COARSE_SHARE = 25, 0.6


@dataclass(frozen=True, eq=False)
class Bound:
    """What was proven.

    Attributes:
        value: micro-dollars an hour that no plan of all placeable pods can be below.
        relaxed: cost of the best fractional plan found, which is as far as `value` could be raised by more work.
        pods: [G] how many pods of each group it is for: all, or none where no node kind and no bin takes the group.
        pod_value: [G] micro-dollars an hour that one more pod of each group adds to the fractional plan.
        column_rounds: the work done.
        passes: what each of its stops let pass, for a replay.
    """

    value: int
    relaxed: float
    pods: IntArray
    pod_value: np.ndarray
    column_rounds: int
    passes: Passes | None


def lower_bound(problem: Problem, budget: Budget) -> Bound:
    """Column generation to the end or until the budget is used up; always valid."""
    instance, clock = reduce_problem(problem), Clock(budget.seconds, budget.passes)
    relaxation = relax(instance, Pricer(instance), [first_fit_nodes(instance)], budget, clock, shares=(0.8, 1.0))
    missing = np.where(instance.placeable, 0, problem.count)
    return Bound(
        value=proven(relaxation),
        relaxed=relaxation.cost,
        pods=problem.count - missing,
        pod_value=relaxation.duals.pod(instance),
        column_rounds=relaxation.rounds,
        passes=clock.passes,
    )


def relax(
    instance: Instance,
    pricer: Pricer,
    plans: Sequence[Nodes],
    budget: Budget,
    clock: Clock,
    shares: tuple[float, float],
) -> Relaxation:
    """Column generation from the patterns of the plans at hand, then a sharper proof, each up to its share of time."""
    relaxation = first_round(instance, pricer, plans, budget, clock, shares[0])
    deepen(instance, relaxation, pricer, budget, clock, shares)
    return relaxation


def first_round(
    instance: Instance, pricer: Pricer, plans: Sequence[Nodes], budget: Budget, clock: Clock, share: float
) -> Relaxation:
    """What is known after as little time as can be, or where there are very many bins, up to the share of time."""
    coarse, begin = make_coarse(instance), None
    if coarse is None:
        master = Master(instance, _demand(instance), _blocks(instance))
    else:
        begin = _begin(coarse, pricer, clock.stop(share * COARSE_SHARE), budget.column_rounds)
        master = Master(instance, _demand(instance), coarse.blocks(begin.master))
        transfer(coarse, begin.master, master)
    for nodes in plans:
        add_plan(instance, master, nodes)
    relaxation = begun(instance, master, pricer, clock.stop(share), begin)
    relaxation.rounds += begin.rounds if begin else 0
    return relaxation


def deepen(
    instance: Instance,
    relaxation: Relaxation,
    pricer: Pricer,
    budget: Budget,
    clock: Clock,
    shares: tuple[float, float],
) -> None:
    """More columns, then a sharper proof, each up to its share of time."""
    improve(instance, relaxation, pricer, clock.stop(shares[0]), budget.column_rounds)
    if budget.sharp:
        sharpen(instance, relaxation, pricer, clock.stop(shares[1]))


def proven(relaxation: Relaxation) -> int:
    """Micro-dollars an hour that the pods of its master cost at least."""
    return relaxation.proof.lower_bound(relaxation.master.demand) if relaxation.proof else 0


def _begin(coarse: Coarse, pricer: Pricer, stop: Stop, most: int | None) -> Relaxation:
    """Some rounds on the smaller problem. What its pricer has learnt, the other one knows too."""
    small, learner = coarse.instance, Pricer(coarse.instance)
    master = Master(small, _demand(small), _blocks(small))
    add_plan(small, master, first_fit_nodes(small))
    begin = begun(small, master, learner, stop)
    improve(small, begin, learner, stop, COARSE_ROUNDS if most is None else min(COARSE_ROUNDS, most))
    for holders, charges in zip(coarse.members, learner.mu, strict=True):
        pricer.mu[holders] = charges
    return begin


def _blocks(instance: Instance) -> list[IntArray]:
    return make_blocks(instance, np.flatnonzero(instance.kind_of < 0), MOST_BLOCKS)


def _demand(instance: Instance) -> Demand:
    return demand_of(instance.problem, np.where(instance.placeable, 0, instance.problem.count))
