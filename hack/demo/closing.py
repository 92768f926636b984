"""The table at the end: what runs, what it costs, how cheap it could be at best, what simpler ways would have cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.table import Table

from demo.errors import DemoError
from demo.scene import Scene
from spotkube.api import CapacityPlan, Workload


@dataclass(frozen=True, slots=True)
class Outcome:
    """The numbers of a plan, in dollars an hour where they end in `usd`. None: that way can't place all pods."""

    pods: int
    on_demand_nodes: int
    spot_nodes: int
    cost_usd: float
    bound_usd: float
    gap_percent: float
    first_fit_usd: float | None
    all_on_demand_usd: float | None
    services: int
    on_too_much_spot: tuple[str, ...]

    @classmethod
    def of(cls, scene: Scene) -> Outcome:
        """Of the plan with which all pods had a node: the newest that bought something.

        Raises:
            DemoError: there is no plan, or it has no numbers.
        """
        plan = scene.plan
        if plan is None:
            raise DemoError("no CapacityPlan has bought anything")
        status = plan.status
        if status.cost_after_usd_per_hour is None or status.lower_bound_usd_per_hour is None or not status.baselines:
            raise DemoError(f"CapacityPlan {plan.name} has no cost, no bound or no baselines")
        spot = sum(claim.spec.capacity_type == "spot" for claim in scene.claims.values())
        services = [workload for workload in scene.workloads if not workload.spec.is_job]
        return cls(
            pods=len(scene.work),
            on_demand_nodes=len(scene.claims) - spot,
            spot_nodes=spot,
            cost_usd=status.cost_after_usd_per_hour,
            bound_usd=status.lower_bound_usd_per_hour,
            gap_percent=status.gap_percent or 0.0,
            first_fit_usd=status.baselines.first_fit_usd_per_hour,
            all_on_demand_usd=status.baselines.all_on_demand_usd_per_hour,
            services=len(services),
            on_too_much_spot=tuple(workload.name for workload in services if _has_too_much_spot(workload)),
        )


def _has_too_much_spot(workload: Workload) -> bool:
    """Whether more of its pods are on spot than its rules allow."""
    spot, on_spot = workload.spec.spot, workload.status.spot_replicas or 0
    total = workload.status.replicas or 0
    if spot.never:
        return on_spot > 0
    if spot.on_demand_base is not None:
        return on_spot > max(0, total - spot.on_demand_base)
    return spot.spot_fraction is not None and on_spot > math.floor(spot.spot_fraction * total)


def buying(scene: Scene) -> tuple[CapacityPlan, ...]:
    """The plans that bought something, oldest first."""
    return tuple(plan for plan in scene.plans if plan.status.additions)


def closing_table(outcome: Outcome) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    nodes = outcome.on_demand_nodes + outcome.spot_nodes
    table.add_row("pods", str(outcome.pods), "all running, or finished")
    table.add_row("nodes", str(nodes), f"{outcome.on_demand_nodes} on-demand, {outcome.spot_nodes} spot")
    table.add_row("spot rules", *_rules(outcome))
    table.add_row("cost", _usd(outcome.cost_usd), "an hour")
    table.add_row("proven lower bound", _usd(outcome.bound_usd), "no nodes that hold these pods cost less")
    table.add_row("gap", f"{outcome.gap_percent:.2f}%", "at most so much above the cheapest that is possible")
    table.add_row("first-fit", *_baseline(outcome.first_fit_usd, outcome.cost_usd))
    table.add_row("all on demand", *_baseline(outcome.all_on_demand_usd, outcome.cost_usd))
    return table


def _rules(outcome: Outcome) -> tuple[str, str]:
    if not outcome.services:
        return "-", "no services"
    if broken := outcome.on_too_much_spot:
        return "BROKEN", f"more on spot than allowed: {', '.join(broken)}"
    return "kept", f"by all {outcome.services} services"


def _baseline(usd: float | None, cost_usd: float) -> tuple[str, str]:
    if usd is None:
        return "-", "can't place all pods within the limits"
    return _usd(usd), f"{100 * (usd / cost_usd - 1):+.1f}%" if cost_usd else ""


def _usd(dollars: float) -> str:
    return f"${dollars:.4f}"
