# mypy: disable-error-code="arg-type"
"""One decision of the planner: bound, seeds, search, and the best plan with the proof of how good it is."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from spotkube.planner.clock import Clock, Stop
from spotkube.planner.instance import Instance
from spotkube.planner.problem import Alternative, Budget, Problem, Result, Solution
from spotkube.planner.progress import Progress, Watch
from spotkube.planner.reduced.expand import check_shape, from_solution, to_solution
from spotkube.planner.reduced.firstfit import first_fit_nodes
from spotkube.planner.reduced.reduction import reduce_problem
from spotkube.planner.reduced.state import Nodes
from spotkube.planner.relaxation.bound import relax
from spotkube.planner.relaxation.branching import Tree, pays
from spotkube.planner.relaxation.columns import Relaxation, prove
from spotkube.planner.relaxation.pricing import Pricer
from spotkube.planner.search.alternatives import alternatives, plan_of
from spotkube.planner.search.effort import breeding_for, effort_for
from spotkube.planner.search.flock import Flock, flock_of
from spotkube.planner.search.genetic import Search
from spotkube.planner.search.rounding import dive, pack_left
from spotkube.planner.search.scoring import score

# The part of the seconds after which the search ends, where branching still adds to the bound: where columns took no
# more than the other.
SEARCH_SHARE, BRANCHING_SHARE = 0.55, 0.15

# Picks one of the alternatives, the cheapest of which comes first: its place among them.
Choose = Callable[[Sequence[Alternative]], int]


def cheapest(front: Sequence[Alternative]) -> int:
    """The first one."""
    return 0


def solve(
    problem: Problem,
    *,
    seed: int,
    budget: Budget,
    warm: Solution | None = None,
    progress: Progress | None = None,
    choose: Choose = cheapest,
) -> Result:
    """The solution chosen of those found within the budget, with a bound that covers exactly the pods it places.

    The same problem, seed, warm solution and amount of work (column rounds, generations and programs of the branch and
    bound without seconds, or the recorded passes) give the same result. A keyboard interrupt ends the search early and
    gives the best solution so far. What `choose` raises passes through.
    `progress` is called with the seconds since the start, cost and bound when there is a first plan that places all
    pods that can be placed, and whenever the cost or the bound got better.
    """
    clock = Clock(budget.seconds, budget.passes)
    instance = reduce_problem(problem)
    nowhere = ~instance.placeable
    watch = Watch(progress, clock, unplaceable=int(instance.arrays.weight[nowhere] @ problem.count[nowhere]))
    plans = [first_fit_nodes(instance)]
    if instance.arrays.risk.any():
        # The other end of the front: what it costs to be never interrupted.
        plans.append(first_fit_nodes(instance, safest=True))
    if warm is not None and check_shape(problem, warm):
        plans.append(from_solution(instance, warm))
    watch.plan(*score(instance.arrays, _best(instance, plans))[:2])
    clock.lap("seeds")
    if _free(instance, _best(instance, plans)):
        return _unsearched(instance, plans, clock, choose)
    pricer, effort = Pricer(instance), effort_for(problem.groups, int((instance.kind_of < 0).sum()))
    try:
        relaxation = relax(instance, pricer, plans, budget, clock, (effort.columns_share, effort.proof_share))
    except KeyboardInterrupt:
        return replace(_unsearched(instance, plans, clock, choose), passes=None)
    watch.bound(relaxation.proof.lower_bound(relaxation.master.demand) if relaxation.proof else 0)
    clock.lap("columns")
    steps, front, branching = 0, None, pays(instance, relaxation) and not clock.stop(BRANCHING_SHARE)()
    if problem.count.any() and instance.holders:
        stop = clock.stop(SEARCH_SHARE if branching else 1.0)
        steps, front = _search(instance, relaxation, pricer, plans, seed, stop, budget.generations, watch)
    clock.lap("search")
    if front is None:
        front = flock_of(instance.arrays, [_best(instance, plans)])
    cheap = plan_of(instance, front, 0)
    lower, programs = 0, 0
    if branching and not (cheap.remain[instance.placeable] > 0).any():
        lower, programs = _branch(instance, relaxation, pricer, cheap, budget, clock, watch)
        clock.lap("branching")
    weighed = alternatives(instance, front)
    chosen = choose(weighed)
    best = plan_of(instance, front, chosen)
    solution = to_solution(instance, best)
    lower = max(lower, prove(instance, relaxation, pricer, best, clock.stop()))
    clock.lap("expand")
    return Result(solution, lower, relaxation.rounds, steps, weighed, chosen, clock.phases, programs, clock.passes)


def _unsearched(instance: Instance, plans: list[Nodes], clock: Clock, choose: Choose) -> Result:
    """The best plan at hand, which is all that there is to choose from."""
    best = _best(instance, plans)
    weighed = alternatives(instance, flock_of(instance.arrays, [best]))
    return Result(to_solution(instance, best), 0, 0, 0, weighed, choose(weighed), clock.phases, passes=clock.passes)


def _branch(
    instance: Instance, relaxation: Relaxation, pricer: Pricer, best: Nodes, budget: Budget, clock: Clock, watch: Watch
) -> tuple[int, int]:
    """A sharper bound for all placeable pods, and the programs that it took."""
    limit = 0 if budget.seconds is None and budget.branch_programs is None else budget.branch_programs
    stop = clock.stop()
    tree = Tree(instance, relaxation, pricer, score(instance.arrays, best)[1], stop)
    stopped = _stopper(limit, stop)

    def told(programs: int) -> bool:
        watch.bound(tree.lower_bound())
        return stopped(programs)

    try:
        tree.grow(told)
    except KeyboardInterrupt:
        stop.break_off()
    watch.bound(tree.lower_bound())
    return tree.lower_bound(), tree.programs


def _best(instance: Instance, plans: list[Nodes]) -> Nodes:
    """Most pods placed, by their ranks; then cheapest with what preferences cost, then safest."""

    def order(nodes: Nodes) -> tuple[int, float, float, float]:
        missing, cost, unmet, interruption, tail = score(instance.arrays, nodes)
        return missing, cost + unmet, interruption, tail

    return min(plans, key=order)


def _free(instance: Instance, nodes: Nodes) -> bool:
    """Whether the plan holds all pods that can be placed, buys nothing and meets all preferences.

    None is better: what is there is filled before anything is bought, also for less risk.
    """
    _, cost, unmet, _, _ = score(instance.arrays, nodes)
    return not (nodes.remain[instance.placeable] > 0).any() and cost + unmet == 0.0


def _stopper(limit: int | None, stop: Stop) -> Callable[[int], bool]:
    def stopped(done: int) -> bool:
        return (limit is not None and done >= limit) or stop()

    return stopped


def _search(
    instance: Instance,
    relaxation: Relaxation,
    pricer: Pricer,
    plans: list[Nodes],
    seed: int,
    stop: Stop,
    most: int | None,
    watch: Watch,
) -> tuple[int, Flock | None]:
    """Dives, then breeds: the front, None if only the plans at hand are left. Steps of both count as generations."""
    steps, stopped = 0, _stopper(most, stop)
    search: Search | None = None
    try:
        for number in range(breeding_for(instance.problem.groups, relaxation.gap).dives):
            chance = np.random.default_rng((seed, number)) if number else None
            latest: Nodes | None = None
            for nodes in dive(instance, relaxation, pricer, chance):
                latest, steps = nodes, steps + 1
                if stopped(steps):
                    break
            if latest is not None:
                pack_left(instance, relaxation, pricer, latest)
                plans.append(latest)
                watch.plan(*score(instance.arrays, latest)[:2])
                if _free(instance, latest):
                    return steps, None
            if stopped(steps):
                break
        search = Search(instance, relaxation, pricer, plans, seed)
        if not stopped(steps):
            for _ in search.generations(stop):
                steps += 1
                watch.plan(*search.best())
                if stopped(steps):
                    break
    except KeyboardInterrupt:
        stop.break_off()
    if search is None:
        return steps, None
    search.spread()
    return steps, search.front
