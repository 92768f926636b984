# mypy: disable-error-code="arg-type"
"""One decision of the planner: bound, seeds, search, and the best plan with the proof of how good it is."""

from collections.abc import Callable

import numpy as np

from spotkube.planner.bound import relax
from spotkube.planner.branching import Tree, pays
from spotkube.planner.clock import Clock, Stop
from spotkube.planner.columns import Relaxation, prove
from spotkube.planner.effort import breeding_for, effort_for
from spotkube.planner.expand import check_shape, from_solution, to_solution
from spotkube.planner.firstfit import first_fit_nodes
from spotkube.planner.genetic import Search
from spotkube.planner.instance import Instance
from spotkube.planner.pricing import Pricer
from spotkube.planner.problem import Budget, Problem, Result, Solution
from spotkube.planner.progress import Progress, Watch
from spotkube.planner.reduction import reduce_problem
from spotkube.planner.rounding import dive, pack_left
from spotkube.planner.scoring import score
from spotkube.planner.state import Nodes

# The part of the seconds after which the search ends, where branching still adds to the bound: where columns took no
# more than the other.
SEARCH_SHARE, BRANCHING_SHARE = 0.55, 0.15


def solve(
    problem: Problem,
    *,
    seed: int,
    budget: Budget,
    warm: Solution | None = None,
    progress: Progress | None = None,
) -> Result:
    """The cheapest solution found within the budget, with a bound that covers exactly the pods it places.

    The same problem, seed, warm solution and amount of work (column rounds, generations and programs of the branch and
    bound without seconds, or the recorded passes) give the same result. A keyboard interrupt ends the search early and
    gives the best solution so far.
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
        free = to_solution(instance, _best(instance, plans))
        return Result(free, 0, 0, 0, ((0, 0.0),), 0, clock.phases, passes=clock.passes)
    pricer, effort = Pricer(instance), effort_for(problem.groups, int((instance.kind_of < 0).sum()))
    front: tuple[tuple[int, float], ...] = ()
    try:
        relaxation = relax(instance, pricer, plans, budget, clock, (effort.columns_share, effort.proof_share))
    except KeyboardInterrupt:
        cut = to_solution(instance, _best(instance, plans))
        return Result(cut, 0, 0, 0, front, 0, clock.phases, passes=None)
    watch.bound(relaxation.proof.lower_bound(relaxation.master.demand) if relaxation.proof else 0)
    clock.lap("columns")
    steps, branching = 0, pays(instance, relaxation) and not clock.stop(BRANCHING_SHARE)()
    if problem.count.any() and instance.holders:
        stop = clock.stop(SEARCH_SHARE if branching else 1.0)
        steps, front = _search(instance, relaxation, pricer, plans, seed, stop, budget.generations, watch)
    clock.lap("search")
    best = _best(instance, plans)
    lower, programs = 0, 0
    if branching and not (best.remain[instance.placeable] > 0).any():
        lower, programs = _branch(instance, relaxation, pricer, best, budget, clock, watch)
        clock.lap("branching")
    solution = to_solution(instance, best)
    lower = max(lower, prove(instance, relaxation, pricer, best, clock.stop()))
    clock.lap("expand")
    return Result(solution, lower, relaxation.rounds, steps, front, 0, clock.phases, programs, clock.passes)


def _branch(
    instance: Instance, relaxation: Relaxation, pricer: Pricer, best: Nodes, budget: Budget, clock: Clock, watch: Watch
) -> tuple[int, int]:
    """A sharper bound for all placeable pods, and the programs that it took."""
    limit = 0 if budget.seconds is None and budget.branch_programs is None else budget.branch_programs
    tree = Tree(instance, relaxation, pricer, score(instance.arrays, best)[1])
    stop = clock.stop()
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

    def order(nodes: Nodes) -> tuple[int, float, float]:
        missing, cost, unmet, interrupted = score(instance.arrays, nodes)
        return missing, cost + unmet, interrupted

    return min(plans, key=order)


def _free(instance: Instance, nodes: Nodes) -> bool:
    """Whether the plan holds all pods that can be placed, buys nothing and meets all preferences: none is better."""
    _, cost, unmet, interrupted = score(instance.arrays, nodes)
    return not (nodes.remain[instance.placeable] > 0).any() and cost + unmet + interrupted == 0.0


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
) -> tuple[int, tuple[tuple[int, float], ...]]:
    """Dives, then breeds; adds what it finds to the plans. Steps of both count as generations."""
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
                    return steps, ((0, 0.0),)
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
        return steps, ()
    plans.append(search.cheapest())
    return steps, search.front()
