"""The Plan that an option comes to: what it gives back and why, what it weighed, and what it can't give back."""

from dataclasses import replace

import numpy as np

from spotkube.model.plan import FrontPoint, Plan, PlannedDrain, Repack, payback_seconds
from spotkube.planner.consolidation.candidates import Candidate
from spotkube.planner.consolidation.options import Option, Planner
from spotkube.planner.decide import conclude, front_point
from spotkube.planner.search.front import spread, undominated
from spotkube.planner.search.genetic import FRONT_POINTS


def plan_of(planner: Planner, chosen: Option, replans: int) -> Plan:
    """The Plan that the chosen option comes to, or doing nothing where its pods would not land as planned."""
    nothing = planner.options[0]
    plan = _concluded(planner, chosen)
    if chosen.gone and (plan.landing.failed or plan.landing.nodes_added):
        other = _concluded(planner, nothing)
        if plan.landing.failed > other.landing.failed or not planner.pays(chosen, plan.landing.micro_usd_hour_added):
            chosen, plan = nothing, other
        plan = replace(plan, work=replace(plan.work, passes=planner.solver.passes))
    saved = nothing.cost - chosen.cost - plan.landing.micro_usd_hour_added
    return replace(
        plan,
        drains=tuple(_drain(candidate, plan, chosen, saved) for candidate in chosen.gone),
        saved_micro_usd_hour=saved if chosen.gone else 0,
        repack=_repack(planner),
        held=planner.held,
        front=_front(planner, chosen),
        work=replace(plan.work, evaluations=planner.tried, replans=replans),
    )


def _concluded(planner: Planner, option: Option) -> Plan:
    solver = planner.solver.within(planner.rest(1.0, least=0.1))
    return conclude(option.snapshot, planner.pools, option.built, option.result, solver)


def _drain(candidate: Candidate, plan: Plan, chosen: Option, saved: int) -> PlannedDrain:
    return PlannedDrain(
        claim=candidate.name,
        pods=tuple(pod.uid for pod in candidate.pods),
        price_micro_usd_hour=candidate.claim.price_micro_usd_hour,
        moves_micro_usd=candidate.moves_micro_usd,
        reason=why_given_back(candidate, plan, len(chosen.gone) - 1, saved, chosen.moves),
    )


def why_given_back(candidate: Candidate, plan: Plan, others: int, saved: int, moves: int) -> str:
    """Where its pods go, what that saves together with the others, and when it has paid for the moves."""
    mine = {pod.uid for pod in candidate.pods}
    bought = sum(len(mine & set(node.pods)) for node in plan.additions)
    where = [f"{len(mine) - bought} onto nodes that stay"] if len(mine) > bought else []
    where += [f"{bought} onto nodes to buy"] if bought else []
    goes = f"its pods go {' and '.join(where)}" if mine else "only daemons run on it"
    together = f" together with {others} other{'s' if others > 1 else ''}" if others else ""
    minutes = payback_seconds(moves, saved) / 60
    paid = f", which pays for {moves / 1e6:.4f} dollars of moves in {minutes:.1f} min" if moves else ""
    return f"{goes}; saves {saved / 1e6:.4f} dollars an hour{together}{paid}"


def _repack(planner: Planner) -> Repack | None:
    """The plan in which all candidates go; None where it was not made, or leaves out pods that others place."""
    everything = planner.known(planner.candidates)
    if everything is None or everything.missing - planner.options[0].missing:
        return None
    return Repack(everything.cost, len(everything.moved), everything.moves)


def _front(planner: Planner, chosen: Option) -> tuple[FrontPoint, ...]:
    """The sets that were planned, and none of the others is as good in cost, moves and risk. The chosen one is first
    of those that are equal, and always among them."""
    options = [chosen, *(option for option in planner.fair() if option.gone != chosen.gone)]
    points = np.array([_objectives(option) for option in options])
    keep = undominated(points)
    keep[0] = False
    others = [options[i] for i in np.flatnonzero(keep)[spread(points[keep], FRONT_POINTS - 1)].tolist()]
    front = [replace(_point(chosen), chosen=True), *map(_point, others)]
    return tuple(sorted(front, key=lambda point: (point.micro_usd_hour, point.moved_pods)))


def _objectives(option: Option) -> tuple[float, ...]:
    return option.cost, len(option.moved), option.risk.interruption, option.risk.lost_together


def _point(option: Option) -> FrontPoint:
    return front_point(option.risk, option.cost, moved_pods=len(option.moved))
