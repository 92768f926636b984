# mypy: disable-error-code="arg-type"
"""One decision of the planner: bound, seeds, search, and the best plan with the proof of how good it is."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from spotkube.planner.clock import Clock, Stop
from spotkube.planner.instance import Instance
from spotkube.planner.problem import Alternative, Budget, Problem, Result, Solution
from spotkube.planner.progress import Progress, Watch
from spotkube.planner.reduced.expand import check_shape, from_solution, to_solution
from spotkube.planner.reduced.firstfit import first_fit_nodes
from spotkube.planner.reduced.reduction import reduce_problem
from spotkube.planner.reduced.state import Nodes
from spotkube.planner.relaxation.bound import deepen, first_round, proven
from spotkube.planner.relaxation.branching import Tree, pays
from spotkube.planner.relaxation.columns import Relaxation, prove
from spotkube.planner.relaxation.pricing import Pricer
from spotkube.planner.search.alternatives import alternatives, plan_of
from spotkube.planner.search.effort import effort_for
from spotkube.planner.search.flock import flock_of
from spotkube.planner.search.hunt import Hunt, best_of, is_free, stopper
from spotkube.planner.search.scoring import score

# Where columns took no more than this part of the seconds, branching still adds to the bound.
BRANCHING_SHARE = 0.15
# When branching begins, and when it ends. Where it is enough that little can still be saved, it begins soon: most small
# problems are solved by the first dives, and only the proof is missing; if it fails, the search goes on.
SHARES, SHARES_UNTIL_ENOUGH = (0.55, 1.0), (0.25, 0.6)

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
    watch.plan(*score(instance.arrays, best_of(instance, plans))[:2])
    clock.lap("seeds")
    if is_free(instance, best_of(instance, plans)):
        return _unsearched(instance, plans, clock, choose)
    pricer, effort = Pricer(instance), effort_for(problem.groups, int((instance.kind_of < 0).sum()))
    try:
        relaxation = first_round(instance, pricer, plans, budget, clock, effort.columns_share)
        hunt = Hunt(instance, relaxation, pricer, plans, budget, watch)
        settled = hunt.look(seed, clock)
        if not settled:
            deepen(instance, relaxation, pricer, budget, clock, (effort.columns_share, effort.proof_share))
    except KeyboardInterrupt:
        return replace(_unsearched(instance, plans, clock, choose), passes=None)
    watch.bound(proven(relaxation))
    clock.lap("columns")
    branching = not settled and pays(instance, relaxation) and not clock.stop(BRANCHING_SHARE)()
    begin, end = SHARES if budget.enough is None else SHARES_UNTIL_ENOUGH
    if settled:
        hunt.gather(seed)
    elif problem.count.any() and instance.holders:
        hunt.begin(seed, clock.stop(begin if branching else 1.0))
    clock.lap("search")
    lower, programs, cheap = 0, 0, hunt.cheapest()
    if branching and not (cheap.remain[instance.placeable] > 0).any():
        lower, programs = _branch(instance, relaxation, pricer, cheap, budget, clock.stop(end), watch)
        clock.lap("branching")
        hunt.go_on(clock.stop())
        clock.lap("search")
    front = hunt.front()
    weighed = alternatives(instance, front)
    chosen = choose(weighed)
    best = plan_of(instance, front, chosen)
    solution = to_solution(instance, best)
    lower = max(lower, prove(instance, relaxation, pricer, best, clock.stop()))
    clock.lap("expand")
    return Result(solution, lower, relaxation.rounds, hunt.steps, weighed, chosen, clock.phases, programs, clock.passes)


def _unsearched(instance: Instance, plans: list[Nodes], clock: Clock, choose: Choose) -> Result:
    """The best plan at hand, which is all that there is to choose from."""
    best = best_of(instance, plans)
    weighed = alternatives(instance, flock_of(instance.arrays, [best]))
    return Result(to_solution(instance, best), 0, 0, 0, weighed, choose(weighed), clock.phases, passes=clock.passes)


def _branch(
    instance: Instance, relaxation: Relaxation, pricer: Pricer, best: Nodes, budget: Budget, stop: Stop, watch: Watch
) -> tuple[int, int]:
    """A sharper bound for all placeable pods, and the programs that it took."""
    limit = 0 if budget.seconds is None and budget.branch_programs is None else budget.branch_programs
    if watch.is_settled(budget.enough):
        stop.finish()
    tree = Tree(instance, relaxation, pricer, score(instance.arrays, best)[1], stop)
    stopped = stopper(limit, stop)

    def told(programs: int) -> bool:
        watch.bound(tree.lower_bound())
        return stopped(programs)

    try:
        tree.grow(told)
    except KeyboardInterrupt:
        stop.break_off()
    watch.bound(tree.lower_bound())
    return tree.lower_bound(), tree.programs
