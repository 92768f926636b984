"""What `spotkube plan` finds out beyond the plan: what would place pods without a place, and what rules cost."""

from dataclasses import replace

from spotkube.commands.waiting import bar, steps
from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.plan import Plan
from spotkube.reports.summary import Report

# About; it ends by itself.
ADVICE_SECONDS = 10.0
# For the search without one rule: a fixed amount of work, so that a busy machine is not taken for a cost.
RULE_ROUNDS, RULE_GENERATIONS, RULE_SECONDS = 30, 2, 60.0


def with_advice(snapshot: Snapshot, mode: Mode, plan: Plan) -> Plan:
    """The plan with what would place the pods that have no place."""
    # Imported late, as the solver is.
    from spotkube.planner.explaining.unplaceable import THOROUGH, explain_unplaceable  # noqa: PLC0415

    if not plan.unplaceable:
        return plan
    with bar("looking for what would place the others", ADVICE_SECONDS):
        return explain_unplaceable(snapshot, mode, plan, THOROUGH)


def with_costs(snapshot: Snapshot, mode: Mode, report: Report) -> Report:
    """The report with what each rule costs: it is taken away, and planned anew in a short search."""
    from spotkube.planner.explaining.costs import costs_of_constraints  # noqa: PLC0415
    from spotkube.planner.problem import Budget  # noqa: PLC0415

    budget = Budget(seconds=RULE_SECONDS, column_rounds=RULE_ROUNDS, generations=RULE_GENERATIONS)
    with steps("finding what rules cost") as progress:
        costs = costs_of_constraints(snapshot, mode, report.seed, budget, report.plan, progress=progress)
    return replace(report, costs=costs)
