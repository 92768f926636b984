"""What constraints cost: each is taken away in turn, and the Snapshot planned anew by the same search.

The reference is planned with the same budget and seed, so that the comparison is fair. A plan found without a
constraint that keeps it all the same is one more reference: a better search is not taken for a cost. What is left may
be luck in part: certain is only that no plan with the constraint costs less than its bound.
"""

from collections.abc import Callable, Sequence

from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.explanation import ConstraintCost, Costs
from spotkube.model.plan import Plan
from spotkube.planner.decide import decide
from spotkube.planner.explaining.apply import apply_change
from spotkube.planner.explaining.constraints import Rule, binding_constraints
from spotkube.planner.explaining.keeping import keeps
from spotkube.planner.problem import Budget

# Each costs a search; those of the largest groups come first.
MOST_TRIED = 40
Progress = Callable[[int, int], None]


def costs_of_constraints(
    snapshot: Snapshot,
    mode: Mode,
    seed: int,
    budget: Budget,
    plan: Plan | None = None,
    *,
    most: int = MOST_TRIED,
    progress: Progress | None = None,
) -> Costs:
    """What each constraint of pods, Workloads and pools adds to the plan's cost.

    Args:
        snapshot, mode, seed: as for `decide`.
        budget: of one search; there is one for the reference, and one for each constraint.
        plan: what was decided before, for its bound.
        most: how many constraints are tried.
        progress: called with how many searches are done, and of how many.
    """
    found = sorted(binding_constraints(snapshot, mode), key=lambda rule: -rule.weight)
    tried, left = found[:most], found[most:]
    reference = decide(snapshot, mode, seed=seed, budget=budget)
    kept = [reference, *([plan] if plan is not None and _same_pods(plan, reference) else [])]
    loosened = []
    for done, rule in enumerate(tried, start=1):
        if progress is not None:
            progress(done, len(tried) + 1)
        without = decide(apply_change(snapshot, rule.without), mode, seed=seed, budget=budget)
        if keeps(snapshot, without, rule.without):
            # It makes no use of the freedom, so that it is a plan with the constraint as well.
            kept += [without] if _same_pods(without, reference) else []
        else:
            loosened.append((rule, without))
    costs = [_compare(rule, reference, kept, without) for rule, without in loosened]
    telling = [cost for cost in costs if cost.micro_usd_hour or cost.by_bounds_micro_usd_hour or cost.more_pods]
    telling.sort(key=lambda cost: (-cost.more_pods, -cost.micro_usd_hour, -cost.by_bounds_micro_usd_hour))
    return Costs(tuple(telling), len(tried), tuple(rule.constraint for rule in left))


def _compare(rule: Rule, reference: Plan, kept: Sequence[Plan], without: Plan) -> ConstraintCost:
    """Against the cheapest plan that is known to keep the constraint, and against the best bound of such plans.

    Where more pods are placed without it, nothing is compared in dollars; a search that places fewer tells nothing.
    """
    more = _missing(reference) - _missing(without)
    if more:
        return ConstraintCost(rule.constraint, rule.without, 0, 0, 0, max(more, 0))
    cheapest = min(plan.cost_after_micro_usd_hour for plan in kept)
    bound = max(plan.lower_bound_micro_usd_hour for plan in kept)
    certain = max(0, bound - without.cost_after_micro_usd_hour)
    difference = max(0, cheapest - without.cost_after_micro_usd_hour)
    by_bounds = max(0, reference.lower_bound_micro_usd_hour - without.lower_bound_micro_usd_hour)
    return ConstraintCost(rule.constraint, rule.without, difference, certain, by_bounds)


def _missing(plan: Plan) -> int:
    return sum(len(one.pods) for one in plan.unplaceable)


def _same_pods(plan: Plan, other: Plan) -> bool:
    return {uid for one in plan.unplaceable for uid in one.pods} == {u for one in other.unplaceable for u in one.pods}
