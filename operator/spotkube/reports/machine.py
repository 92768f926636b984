"""A Plan as plain values for JSON and YAML. The keys stay as they are; new ones may come.

version         1
seed            of the search
totals          costNowUSDPerHour, costAfterUSDPerHour, lowerBoundUSDPerHour: of all nodes of the pools, and the least
                that any plan for the same pods costs; gapPercent: the first over the last, null where nothing bounds
                it; firstFitUSDPerHour and allOnDemandUSDPerHour: what these would cost for the same pods, null where
                they can't place them all; nodesToBuy, placedPods, unplaceablePods, unmetPreferencesPods
nodes           to buy, each with nodePool, instanceType, zone, capacityType, priceUSDPerHour, interruptionPercent,
                allocatable, pods (namespace/name), reason; offerings: how many would hold these pods; alternatives: the
                cheapest others, with nodePool, instanceType, zone, capacityType, moreUSDPerHour
placements      onto nodes and claims that exist: node, pods
unplaceable     name, pods, reason; changes: the fewest that together would place them, with kind, object, field, from,
                to, words; orElse: as few of NodePools if those are of pods, or the other way round; exclusions:
                constraint, and how many offerings it excludes by itself, of offerings
policy          how the plan was picked from the alternatives, in words
alternatives    usdPerHour, interruptionUSDPerHour (expected), podsLostTogether (CVaR at 95 %), interruptionsPerMonth,
                movedPods, chosen
concentrations  of each NodePool the spot pool (instance type and zone) with most of its pods on spot: nodePool,
                instanceType, zone, pods, share
work            columnRounds, generations, branchPrograms of the search that made the plan; landingTries, simulated
                landings; evaluations, sets of nodes to give back that were weighed, and replans, those of them that
                were planned for real
constraints     only with --explain. costs: constraint, usdPerHour (the plan with it less the plan without it; null
                where more pods are placed without it: morePods), certainUSDPerHour (proven), byBoundsUSDPerHour (how
                much lower the bound is), without (the change that took it away); tried and notTried: how many were,
                and which were not
drains          nodes in force to give back, since what that saves pays for moving their pods: claim, priceUSDPerHour,
                movesUSD (once), pods, reason; the pods are also in nodes and placements, which say where they go
moves           savedUSDPerHour, movesUSD, movedPods and paysBackMinutes of all drains together (null where nothing
                moves); repackUSDPerHour, repackPods and repackMovesUSD: what it would come to if all nodes that may go
                were packed anew, null where that was not looked at
held            nodes in force that can't be given back: claim, pod (which can't be moved) and reason
notes           what was assumed or left out
errors          objects that could not be used, so that the plan is one for the rest; a sentence each
replay          of a snapshot's plan that was made again, else null: same (true or false), planSHA256 and
                recordedPlanSHA256
"""

from collections import defaultdict
from typing import Any

from spotkube.model.plan import Plan, PlannedNode
from spotkube.reports.explanations import cost_values, node_choice_values, unplaceable_values
from spotkube.reports.summary import MICRO_USD, Replay, Report, usd, usd_or_none

VERSION = 1


def to_values(report: Report) -> dict[str, Any]:
    plan = report.plan
    return {
        "version": VERSION,
        "seed": report.seed,
        "totals": _totals(report),
        "nodes": [_node(report, node) for node in plan.additions],
        "drains": [
            {
                "claim": drain.claim,
                "priceUSDPerHour": usd(drain.price_micro_usd_hour),
                "movesUSD": usd(drain.moves_micro_usd),
                "pods": report.names(drain.pods),
                "reason": drain.reason,
            }
            for drain in plan.drains
        ],
        "moves": _moves(plan),
        "held": [
            {"claim": held.claim, "pod": report.names((held.pod,))[0], "reason": held.reason} for held in plan.held
        ],
        "placements": _placements(report),
        "unplaceable": [unplaceable_values(one, report.names(one.pods)) for one in plan.unplaceable],
        "policy": plan.policy,
        "alternatives": [
            {
                "usdPerHour": usd(point.micro_usd_hour),
                "interruptionUSDPerHour": round(point.interruption_micro_usd_hour / MICRO_USD, 9),
                "podsLostTogether": point.pods_lost_together,
                "interruptionsPerMonth": point.interruptions_per_month,
                "movedPods": point.moved_pods,
                "chosen": point.chosen,
            }
            for point in plan.front
        ],
        "concentrations": [
            {
                "nodePool": one.pool,
                "instanceType": one.instance_type,
                "zone": one.zone,
                "pods": one.pods,
                "share": round(one.share, 4),
            }
            for one in plan.concentrations
        ],
        "work": {
            "columnRounds": plan.work.column_rounds,
            "generations": plan.work.generations,
            "branchPrograms": plan.work.branch_programs,
            "landingTries": plan.work.landing_tries,
            "evaluations": plan.work.evaluations,
            "replans": plan.work.replans,
        },
        "landing": {
            "tries": plan.landing.tries,
            "failed": plan.landing.failed,
            "failedBefore": plan.landing.failed_before,
            "nodesAdded": plan.landing.nodes_added,
            "usdPerHourAdded": usd(plan.landing.micro_usd_hour_added),
        },
        **({} if report.costs is None else {"constraints": cost_values(report.costs)}),
        "notes": list(report.notes),
        "errors": list(report.errors),
        "replay": _replay(report.replay),
    }


def _replay(replay: Replay | None) -> dict[str, Any] | None:
    if replay is None:
        return None
    return {"same": replay.same, "planSHA256": replay.found, "recordedPlanSHA256": replay.recorded}


def _totals(report: Report) -> dict[str, Any]:
    plan, unbounded = report.plan, report.plan.gap == float("inf")
    return {
        "costNowUSDPerHour": usd(plan.cost_now_micro_usd_hour),
        "costAfterUSDPerHour": usd(plan.cost_after_micro_usd_hour),
        "lowerBoundUSDPerHour": usd(plan.lower_bound_micro_usd_hour),
        "gapPercent": None if unbounded else round(100 * plan.gap, 4),
        "firstFitUSDPerHour": usd_or_none(plan.baselines.first_fit_micro_usd_hour),
        "allOnDemandUSDPerHour": usd_or_none(plan.baselines.all_on_demand_micro_usd_hour),
        "nodesToBuy": len(plan.additions),
        "placedPods": report.planned_pods,
        "unplaceablePods": report.unplaceable_pods,
        "unmetPreferencesPods": plan.unmet_preferences,
    }


def _moves(plan: Plan) -> dict[str, Any]:
    repack = plan.repack
    return {
        "savedUSDPerHour": usd(plan.saved_micro_usd_hour),
        "movesUSD": usd(plan.moves_micro_usd),
        "movedPods": plan.moved_pods,
        "paysBackMinutes": round(plan.payback_seconds / 60, 2) if plan.moved_pods else None,
        "repackUSDPerHour": usd(repack.cost_after_micro_usd_hour) if repack else None,
        "repackPods": repack.pods if repack else None,
        "repackMovesUSD": usd(repack.moves_micro_usd) if repack else None,
    }


def _node(report: Report, node: PlannedNode) -> dict[str, Any]:
    offering = node.offering
    return {
        "nodePool": node.pool,
        "instanceType": offering.instance_type,
        "zone": offering.zone,
        "capacityType": offering.capacity_type,
        "priceUSDPerHour": usd(offering.price_micro_usd_hour),
        "interruptionPercent": offering.interruption_percent,
        "allocatable": offering.allocatable.to_quantities(),
        "pods": report.names(node.pods),
        "reason": node.reason,
        **node_choice_values(node),
    }


def _placements(report: Report) -> list[dict[str, Any]]:
    pods_on: dict[str, list[str]] = defaultdict(list)
    for placement in report.plan.placements:
        pods_on[placement.target].append(placement.pod)
    return [{"node": node, "pods": report.names(pods)} for node, pods in pods_on.items()]
