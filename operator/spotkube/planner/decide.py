"""One decision: Snapshot in, Plan out. Pure: the same snapshot, seed and amount of work give the same plan."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spotkube.model.cluster import Mode, Pool, Snapshot
from spotkube.model.history import HOURS_A_MONTH
from spotkube.model.offerings import Offering
from spotkube.model.plan import Baselines, FrontPoint, Placement, Plan, PlannedNode, Unplaceable, Work
from spotkube.planner.concentration import concentrations
from spotkube.planner.explaining.bought import Purchases
from spotkube.planner.formulation.assembling import Built
from spotkube.planner.formulation.bins import KeptBins
from spotkube.planner.formulation.build import build_fleet
from spotkube.planner.formulation.explain import why_left_over
from spotkube.planner.formulation.preferences import unmet_pods
from spotkube.planner.formulation.quotas import why_full
from spotkube.planner.landing.mending import with_landing
from spotkube.planner.policy import pick
from spotkube.planner.problem import NO_LIMIT, Alternative, Budget, IntArray, Problem, Result
from spotkube.planner.reduced.firstfit import first_fit
from spotkube.planner.rounds import plan_in_rounds
from spotkube.planner.solver import Solver
from spotkube.planner.turns import in_turn

# Of the time that a decision has: the search. Of the rest: the bound of the whole fleet; and then how the plan lands.
_SEARCH_SHARE, _BOUND_SHARE = 0.7, 2 / 3


@dataclass(frozen=True, slots=True)
class _Dealt:
    """Which pods (uids) go onto each node to buy, each bin, and nowhere; one list a group for those left over."""

    offerings: tuple[Offering, ...]
    nodes: tuple[tuple[str, ...], ...]
    bins: tuple[tuple[str, ...], ...]
    left: tuple[tuple[str, ...], ...]


def decide(
    snapshot: Snapshot,
    mode: Mode,
    *,
    seed: int,
    budget: Budget,
    repeat: Work | None = None,
    kept: KeptBins | None = None,
) -> Plan:
    """Plans for the pools of one mode.

    Args:
        snapshot: what there is and what waits.
        mode: only NodePools in this mode may buy. Paused pools are never planned for.
        seed: of the search.
        budget: for the whole decision.
        repeat: the work of an earlier plan of the same snapshot, mode and seed: then the clock decides nothing, and
            that plan comes out again.
        kept: of earlier decisions, which saves time and changes nothing.

    Raises ValueError where that work was broken off by hand, and PolicyUnsatisfiable where none of the plans is what
    the snapshot's policy asks for.
    """
    pools = [pool for pool in snapshot.pools if pool.mode is mode and not pool.deleting]
    staying = staying_micro_usd_hour(snapshot, pools)
    recorded = None if repeat is None else repeat.known_passes()
    solver = Solver(seed, budget, recorded, choose=lambda front: pick(front, snapshot.policy, staying))
    kept = kept or KeptBins()
    built, result = plan_in_rounds(snapshot, pools, solver, _SEARCH_SHARE, kept)
    return conclude(snapshot, pools, built, result, solver.within(budget.part(1 - _SEARCH_SHARE)), kept)


def staying_micro_usd_hour(snapshot: Snapshot, pools: Sequence[Pool]) -> int:
    """What the nodes of these pools that stay cost."""
    names = {pool.name for pool in pools}
    return sum(c.price_micro_usd_hour for c in snapshot.claims if c.pool in names and not c.leaving)


def conclude(
    snapshot: Snapshot,
    pools: Sequence[Pool],
    built: Built,
    result: Result,
    solver: Solver,
    kept: KeptBins | None = None,
) -> Plan:
    """The Plan that a result comes to. The seconds of the solver are for the bound of the whole fleet, and landing."""
    result = replace(result, solution=in_turn(result.solution, built.groups, snapshot.pods))
    dealt = _deal(built, result)
    names = frozenset(pool.name for pool in pools)
    owned = [claim for claim in snapshot.claims if claim.pool in names]
    staying = staying_micro_usd_hour(snapshot, pools)
    placed = _placed(frozenset(claim.name for claim in owned), built, dealt)
    crammed = _crammed(built)
    fleet = build_fleet(snapshot, pools, {uid: where for uid, where in placed.items() if uid not in crammed})
    bound = _fleet_bound(built, result, fleet, solver)
    plan = Plan(
        additions=_additions(built, result, dealt),
        placements=tuple(_placements(built, dealt)),
        unplaceable=(*built.unplaceable, *_left_over(snapshot, built, result, dealt)),
        cost_now_micro_usd_hour=sum(claim.price_micro_usd_hour for claim in owned),
        cost_after_micro_usd_hour=staying + result.solution.cost(built.problem),
        lower_bound_micro_usd_hour=bound,
        placed_pods=len(placed),
        front=_front(built, result, staying),
        policy=str(snapshot.policy),
        concentrations=concentrations(built, dealt.bins, dealt.nodes, result),
        work=Work(result.column_rounds, result.generations, result.branch_programs),
        baselines=_baselines(built if _from_nothing(built, fleet) else fleet),
        unmet_preferences=unmet_pods(built.groups, built.kinds, result.solution),
    )
    stop = solver.clock(1 - _BOUND_SHARE).stop()
    plan = with_landing(snapshot, plan, pools, seed=solver.seed, stop=stop, kept=kept)
    return replace(plan, work=replace(plan.work, passes=solver.passes))


def fill(snapshot: Snapshot, kept: KeptBins | None = None) -> tuple[Placement, ...]:
    """Gives waiting pods the room that there is, on nodes and claims on their way, without a search."""
    built, result = plan_in_rounds(replace(snapshot, offerings=()), (), Solver(0, Budget(seconds=0.0)), kept=kept)
    return tuple(_placements(built, _deal(built, result)))


def _deal(built: Built, result: Result) -> _Dealt:
    """Hands out the pods of each group in their order: to bins first, then to nodes; the newest are left over."""
    queues = [list(group.pods) for group in built.groups]
    bundles = np.array([group.bundle for group in built.groups], dtype=np.int64)
    bins = tuple(_take(queues, row * bundles) for row in result.solution.bin_pods)
    nodes = tuple(_take(queues, row * bundles) for row in result.solution.node_pods)
    offerings = tuple(built.kinds.offerings[kind] for kind in result.solution.node_kind)
    return _Dealt(offerings, nodes, bins, tuple(tuple(queue) for queue in queues))


def _take(queues: list[list[str]], row: IntArray) -> tuple[str, ...]:
    taken: list[str] = []
    for g in np.flatnonzero(row):
        taken += queues[g][: row[g]]
        del queues[g][: row[g]]
    return tuple(taken)


def _placed(owned: frozenset[str], built: Built, dealt: _Dealt) -> dict[str, str]:
    """All pods on nodes of these pools, now or after the plan, with the capacity type of their nodes.

    Cost and bound are of the same pods.
    """
    placed: dict[str, str] = {}
    for offering, pods in zip(dealt.offerings, dealt.nodes, strict=True):
        placed.update(dict.fromkeys(pods, offering.capacity_type))
    for bin_, pods in zip(built.bins, dealt.bins, strict=True):
        if bin_.claim in owned:
            there = (pod.uid for pod in bin_.residents if not (pod.daemon or pod.mirror))
            placed.update(dict.fromkeys((*pods, *there), bin_.capacity_type))
    return placed


def _crammed(built: Built) -> frozenset[str]:
    """Pods on nodes that are fuller than we would fill them (a daemon has no room there): no bound speaks of them."""
    full = (b for b in built.bins if any(amount < 0 for amount in b.free.values()))
    return frozenset(pod.uid for b in full for pod in b.residents)


def _fleet_bound(built: Built, result: Result, fleet: Built, solver: Solver) -> int:
    if not fleet.groups:
        return 0
    if _buys_all(built, result, fleet) and not built.narrowed:
        # The search's own bound knows the rules over domains as well.
        return result.lower_bound
    return solver.bound(fleet.problem, _BOUND_SHARE).value


def _buys_all(built: Built, result: Result, fleet: Built) -> bool:
    """Whether the nodes to buy are the whole fleet, and for all pods that wait: what is there for others, as the nodes
    of a control plane, does not count."""
    solution = result.solution
    return not (solution.bin_pods.any() or solution.unplaced.any()) and _pods(fleet) == _pods(built)


def _from_nothing(built: Built, fleet: Built) -> bool:
    """Whether the plan buys the whole fleet, and there is no other node that could hold pods."""
    return not built.bins and _pods(fleet) == _pods(built)


def _pods(built: Built) -> int:
    return sum(len(group.pods) for group in built.groups)


def _additions(built: Built, result: Result, dealt: _Dealt) -> tuple[PlannedNode, ...]:
    purchases, solution = Purchases(built, result.solution), result.solution
    nodes = zip(solution.node_kind, solution.node_pods, dealt.nodes, strict=True)
    return tuple(purchases.node(int(kind), row, pods) for kind, row, pods in nodes)


def _placements(built: Built, dealt: _Dealt) -> Iterator[Placement]:
    for bin_, pods in zip(built.bins, dealt.bins, strict=True):
        yield from (Placement(uid, bin_.name) for uid in pods)
        yield from (Placement(pod.uid, bin_.name) for pod in bin_.residents if pod.node is None)


def _left_over(snapshot: Snapshot, built: Built, result: Result, dealt: _Dealt) -> Iterator[Unplaceable]:
    some = np.flatnonzero(built.problem.count > result.solution.unplaced)
    placed = [built.groups[g] for g in some]
    for g, (group, pods) in enumerate(zip(built.groups, dealt.left, strict=True)):
        if pods:
            reason = why_left_over(
                group,
                _full_pools(built, result, g),
                quota=why_full(snapshot, group, built.kinds.pools),
                placed=placed,
            )
            yield Unplaceable(group.name, pods, reason)


def _full_pools(built: Built, result: Result, g: int) -> list[str]:
    """The pools that sell what would hold the group, and whose limits leave no room for any of it after the plan."""
    problem = built.problem
    left, takes = problem.pool_left.copy(), problem.takes
    np.subtract.at(left, problem.pool[result.solution.node_kind], takes[result.solution.node_kind])
    affordable = (takes <= left[problem.pool]).all(axis=1)
    selling = np.unique(problem.pool[problem.compatible[g]])
    buying = np.unique(problem.pool[problem.compatible[g] & affordable])
    return [f"NodePool {built.kinds.pools[p].name}" for p in np.setdiff1d(selling, buying)] if not len(buying) else []


def _front(built: Built, result: Result, staying: int) -> tuple[FrontPoint, ...]:
    # The plan's own nodes may have gone to pools where they are cheaper.
    cost = result.solution.cost(built.problem)
    return tuple(
        front_point(one, staying + (cost if index == result.chosen else one.cost), chosen=index == result.chosen)
        for index, one in enumerate(result.front)
    )


def front_point(one: Alternative, micro_usd_hour: int, *, moved_pods: int = 0, chosen: bool = False) -> FrontPoint:
    """The alternative, with what all nodes cost."""
    return FrontPoint(
        micro_usd_hour=micro_usd_hour,
        interruption_micro_usd_hour=round(one.interruption, 3),
        pods_lost_together=round(one.lost_together, 3),
        interruptions_per_month=round(one.interrupted * HOURS_A_MONTH, 6),
        moved_pods=moved_pods,
        chosen=chosen,
    )


def _baselines(fleet: Built) -> Baselines:
    """First-fit decreasing for the same pods, over all offerings and over the on-demand ones alone."""
    unlimited = replace(fleet.problem, pool_left=np.full_like(fleet.problem.pool_left, NO_LIMIT))
    on_demand = replace(unlimited, compatible=unlimited.compatible & ~fleet.kinds.spot[np.newaxis, :])
    return Baselines(_first_fit_cost(unlimited), _first_fit_cost(on_demand))


def _first_fit_cost(problem: Problem) -> int | None:
    solution = first_fit(problem)
    return None if solution.unplaced.any() else solution.cost(problem)
