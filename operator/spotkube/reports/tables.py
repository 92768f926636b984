"""A Plan as tables for people."""

from collections import Counter
from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spotkube.model.plan import Plan, Repack
from spotkube.reports.layout import columns, widen
from spotkube.reports.summary import MICRO_USD, Report, usd


def print_report(console: Console, report: Report) -> None:
    """What to buy, what goes onto nodes that exist, what has no place, and the totals. Pipes are not cut to a width."""
    widen(console)
    sections = {
        "Nodes to buy": _nodes(report),
        "Nodes to give back": _drains(report),
        "Onto nodes that exist or are on their way": _placements(report),
        "Pods without a place": _unplaceable(report),
        "Alternatives": _alternatives(report),
        "What rules cost": _costs(report),
        "Totals": _totals(report),
    }
    for title, table in sections.items():
        if table is not None:
            console.print(f"[bold]{title}[/bold]")
            console.print(table)
            console.print()
    if report.replay is not None and report.replay.same:
        console.print(f"replayed: {report.replay}", highlight=False)
    for note in report.notes:
        console.print(f"note: {escape(note)}", highlight=False)


def _nodes(report: Report) -> Table | None:
    if not report.plan.additions:
        return None
    # Nodes that are told in the same words are one row.
    alike = Counter(
        (node.pool, node.offering.key, node.offering.price_micro_usd_hour, len(node.pods), node.reason)
        for node in report.plan.additions
    )
    table = columns(
        ("", "right"),
        ("TYPE", "left"),
        ("ZONE", "left"),
        ("CAPACITY", "left"),
        ("POOL", "left"),
        ("$/H", "right"),
        ("PODS EACH", "right"),
        ("WHY", "left"),
    )
    ordered = sorted(alike.items(), key=lambda item: (-item[1] * item[0][2], item[0][1]))
    for (pool, key, price, pods, reason), count in ordered:
        dollars = f"{usd(count * price):.4f}"
        table.add_row(
            f"{count} x", key.instance_type, key.zone, key.capacity_type, pool, dollars, str(pods), escape(reason)
        )
    return table


def _drains(report: Report) -> Table | None:
    if not report.plan.drains:
        return None
    table = columns(("NODE", "left"), ("$/H", "right"), ("PODS TO MOVE", "right"), ("WHY", "left"))
    for drain in report.plan.drains:
        dollars = f"{usd(drain.price_micro_usd_hour):.4f}"
        table.add_row(drain.claim, dollars, str(len(drain.pods)), escape(drain.reason))
    return table


def _placements(report: Report) -> Table | None:
    counts = Counter(placement.target for placement in report.plan.placements)
    if not counts:
        return None
    table = columns(("NODE", "left"), ("PODS", "right"))
    for target, count in counts.items():
        table.add_row(target, str(count))
    return table


def _unplaceable(report: Report) -> Table | None:
    if not report.plan.unplaceable:
        return None
    table = columns(("PODS", "right"), ("WHICH", "left"), ("WHY", "left"))
    for one in report.plan.unplaceable:
        table.add_row(str(len(one.pods)), escape(one.name), escape(one.in_words))
    return table


def _costs(report: Report) -> Table | None:
    if report.costs is None:
        return None
    table = columns(("RULE", "left"), ("$/H", "right"), ("CERTAIN", "right"), ("BY BOUNDS", "right"), ("", "left"))
    for cost in report.costs.costs:
        amounts = (cost.micro_usd_hour, cost.certain_micro_usd_hour, cost.by_bounds_micro_usd_hour)
        dollars = [f"+{usd(amount):.4f}" if amount else "" for amount in amounts]
        more = f"{cost.more_pods} more pods would have a place without it" if cost.more_pods else ""
        table.add_row(escape(cost.constraint), *dollars, more)
    free = report.costs.tried - len(report.costs.costs)
    if free:
        table.add_row(f"{free} other rules", "", "", "", "cost nothing that these searches could see")
    if report.costs.not_tried:
        number = len(report.costs.not_tried)
        table.add_row(f"{number} rules", "", "", "", f"were not tried, such as {escape(report.costs.not_tried[0])}")
    return table


def _alternatives(report: Report) -> Table | None:
    """What else was weighed, where there is a choice."""
    if len(report.plan.front) < 2:
        return None
    table = columns(
        ("", "left"),
        ("$/H", "right"),
        ("INTERRUPTIONS $/H", "right"),
        ("PODS LOST TOGETHER", "right"),
        ("INTERRUPTIONS A MONTH", "right"),
    )
    for point in report.plan.front:
        table.add_row(
            "taken" if point.chosen else "",
            f"{usd(point.micro_usd_hour):.4f}",
            f"{point.interruption_micro_usd_hour / MICRO_USD:.6f}",
            f"{point.pods_lost_together:.1f}",
            f"{point.interruptions_per_month:.2f}",
        )
    return table


def _risk(report: Report) -> Iterator[tuple[str, str, str]]:
    """What may be lost, where anything stands on spot."""
    plan, point = report.plan, report.plan.chosen
    if point is None or not point.interruptions_per_month:
        return
    yield "policy", "", plan.policy
    yield "interruptions", f"${point.interruption_micro_usd_hour / MICRO_USD:.6f}", "an hour, as is expected"
    yield "lost together", f"{point.pods_lost_together:.1f}", "pods in the worst 5 % of interruptions"
    for one in plan.concentrations:
        where = f"{one.instance_type} in {one.zone}"
        yield "largest share", f"{one.share:.0%}", f"of NodePool {one.pool}'s spot pods stand in one spot pool, {where}"


def _totals(report: Report) -> Table:
    plan, baselines = report.plan, report.plan.baselines
    cost = plan.cost_after_micro_usd_hour
    table = columns(("", "left"), ("", "right"), ("", "left"))
    table.show_header = False
    missing = report.unplaceable_pods
    table.add_row("pods placed", str(report.planned_pods), f"{missing} without a place" if missing else "all")
    if plan.unmet_preferences:
        table.add_row("preferences", str(plan.unmet_preferences), "pods on nodes that don't meet all of theirs")
    table.add_row("nodes to buy", str(len(plan.additions)), _mix(report))
    if plan.landing.tries:
        landing = plan.landing
        table.add_row(
            "landing", f"{landing.tries - landing.failed}/{landing.tries}", "simulated landings place all pods"
        )
    if plan.drains:
        table.add_row("nodes to give back", str(len(plan.drains)), _moved(plan))
    if plan.held:
        table.add_row("nodes held in place", str(len(plan.held)), _held(report))
    if plan.cost_now_micro_usd_hour:
        table.add_row("cost now", _dollars(plan.cost_now_micro_usd_hour), "an hour, of all nodes of the pools")
    table.add_row("cost", _dollars(cost), "an hour, of all nodes of the pools")
    table.add_row("lower bound", _dollars(plan.lower_bound_micro_usd_hour), "no plan for the same pods costs less")
    table.add_row("gap", "unknown" if plan.gap == float("inf") else f"{plan.gap:.2%}", "the cost above the bound")
    for name, value, words in _risk(report):
        table.add_row(name, value, escape(words))
    if plan.repack is not None and plan.repack.cost_after_micro_usd_hour < cost:
        table.add_row("packed anew", _dollars(plan.repack.cost_after_micro_usd_hour), _not_worth(plan.repack))
    for name, other in (
        ("first-fit", baselines.first_fit_micro_usd_hour),
        ("all on demand", baselines.all_on_demand_micro_usd_hour),
    ):
        table.add_row(name, _dollars(other), f"{other / cost - 1:+.1%}" if other is not None and cost else "")
    return table


def _moved(plan: Plan) -> str:
    if not plan.moved_pods:
        return "which are empty"
    paid = f"paid back in {plan.payback_seconds / 60:.1f} min"
    return f"{plan.moved_pods} pods move, which costs {_dollars(plan.moves_micro_usd)} once and is {paid}"


def _held(report: Report) -> str:
    first = report.plan.held[0]
    return escape(f"such as {first.claim} by pod {report.names((first.pod,))[0]}: {first.reason}")


def _not_worth(repack: Repack) -> str:
    moves = f"moving {repack.pods} pods, which costs {_dollars(repack.moves_micro_usd)} once"
    return f"would be had by {moves}: not worth it within payBackWithin"


def _mix(report: Report) -> str:
    kinds = Counter(node.offering.capacity_type for node in report.plan.additions)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def _dollars(micro_usd: int | None) -> str:
    return "not possible" if micro_usd is None else f"${usd(micro_usd):.4f}"
