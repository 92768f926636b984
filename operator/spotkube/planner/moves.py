"""Which nodes in force are kept, and which are replaced since that pays for the moves of their pods.

A set of nodes is given back, m to n: their pods go together onto what stays free on the others and onto what is bought.
Of all sets the one is chosen for which dollars an hour over the horizon and the price of the moves are least. What a
set saves is never estimated in the end: each of the few best is planned for real, as if its nodes were leaving. Doing
nothing is one of them, so that a plan is never worse, and the moves of a plan pay back within the horizon or there are
none. Since every plan that is carried out makes the nodes cheaper by more than its moves are worth, no two plans can
undo each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations

import numpy as np

from spotkube.model.cluster import Mode, Pool, Snapshot
from spotkube.model.plan import FrontPoint, Plan, PlannedDrain, Repack, Work, payback_seconds
from spotkube.planner.build import Built
from spotkube.planner.decide import FRONT_POINTS, conclude, decide
from spotkube.planner.movable import Candidate, assort, with_leaving
from spotkube.planner.problem import BoolArray, Budget, Result
from spotkube.planner.refit import make_refit
from spotkube.planner.regroup import Regrouping
from spotkube.planner.rounds import plan_in_rounds
from spotkube.planner.solver import Solver

# So few candidates that every set of them is planned.
FEW = 5
# Work of one plan, the same for each so that they compare; the plan chosen gets the rest of the time.
EACH = Budget(seconds=None, column_rounds=15, generations=3, sharp=False)
PRICES = Budget(seconds=None, column_rounds=15, sharp=False)
# Parts of the seconds after which the search for sets ends, the plans of sets, and the last plan.
SETS_SHARE, PLANS_SHARE, LAST_SHARE = 0.3, 0.65, 0.85
# Of what the nodes cost, moves save at least so much or nobody is moved: a fleet drifts by as much in an ordinary hour,
# and the plan before may have left as much. Then nodes are not swapped again and again for pennies.
LEAST_SAVED = 0.01
# Plans of sets that are made however short the time, and at most where not all sets are planned.
LEAST_PLANS, MOST_PLANS = 3, 2**FEW


@dataclass(frozen=True, eq=False)
class Option:
    """A real plan in which these nodes go. `missing` are pods (uids) without a place."""

    gone: tuple[Candidate, ...]
    snapshot: Snapshot
    built: Built
    result: Result
    staying_micro_usd_hour: int
    missing: frozenset[str]

    @property
    def cost(self) -> int:
        """Micro-dollars an hour of all nodes after it."""
        return self.staying_micro_usd_hour + self.result.solution.cost(self.built.problem)

    @property
    def moves(self) -> int:
        return sum(candidate.moves_micro_usd for candidate in self.gone)

    @property
    def moved(self) -> tuple[str, ...]:
        return tuple(pod.uid for candidate in self.gone for pod in candidate.pods)


class Planner:
    """Makes the plans of sets for one Snapshot, within the budget, and remembers them."""

    def __init__(self, snapshot: Snapshot, mode: Mode, budget: Budget, solver: Solver) -> None:
        self.pools: list[Pool] = [pool for pool in snapshot.pools if pool.mode is mode and not pool.deleting]
        self.candidates, self.held = assort(snapshot, self.pools)
        self.budget, self.solver, self.clock = budget, solver, solver.clock()
        self.sets_stop = self.clock.stop(SETS_SHARE)
        self._plans_stop = self.clock.stop(PLANS_SHARE)
        self.options: list[Option] = []
        self.tried = 0
        self._snapshot = snapshot
        self._owned = {pool.name for pool in self.pools}
        self._seen: dict[frozenset[str], Option] = {}

    @property
    def hours(self) -> float:
        """The horizon: where pools differ the shortest holds."""
        used = {candidate.claim.pool for candidate in self.candidates}
        return min((pool.payback_seconds for pool in self.pools if pool.name in used), default=0.0) / 3600

    def plan(self, gone: Sequence[Candidate], budget: Budget | None = None) -> Option:
        """The real plan for a set; `budget` None: as much work as each of them gets."""
        names = frozenset(candidate.name for candidate in gone)
        if budget is None and names in self._seen:
            return self._seen[names]
        snapshot = with_leaving(self._snapshot, names)
        built, result = plan_in_rounds(snapshot, self.pools, self.solver.within(budget or EACH))
        staying = sum(c.price_micro_usd_hour for c in snapshot.claims if c.pool in self._owned and not c.leaving)
        option = Option(tuple(gone), snapshot, built, result, staying, _missing(built, result))
        self._seen.setdefault(names, option)
        self.options.append(option)
        return option

    def known(self, gone: Sequence[Candidate]) -> Option | None:
        """The plan for a set, if it was made."""
        return self._seen.get(frozenset(candidate.name for candidate in gone))

    def fair(self) -> list[Option]:
        """Those that place what doing nothing places, and every pod that they move."""
        nothing = self.options[0]
        return [o for o in self.options if o.missing <= nothing.missing and not o.missing & set(o.moved)]

    def best(self) -> Option:
        """The least total of those whose moves pay."""
        worth = [option for option in self.fair() if not option.gone or self.pays(option)]
        return min(worth, key=lambda o: (len(o.missing), self.total(o), o.moves))

    def total(self, option: Option) -> float:
        return option.cost * self.hours + option.moves

    def pays(self, option: Option) -> bool:
        """Whether what it saves is worth the trouble, and pays for the moves within the horizon."""
        before = self.options[0].cost
        saved = before - option.cost
        least = LEAST_SAVED * before if option.moves else 1
        return saved >= max(1, least) and payback_seconds(option.moves, saved) <= self.hours * 3600

    def more_plans(self) -> bool:
        made = len(self.options)
        return made < MOST_PLANS and (made < LEAST_PLANS or not self._plans_stop())

    def rest(self, until: float, least: float = 0.0) -> Budget:
        """The seconds left until that share of them is used up, and at least the other share of all."""
        seconds = self.budget.seconds
        left = None if seconds is None else max(least * seconds, until * seconds - self.clock.passed)
        return replace(self.budget, seconds=left)


def consolidate(snapshot: Snapshot, mode: Mode, *, seed: int, budget: Budget, repeat: Work | None = None) -> Plan:
    """As `decide`, and with the nodes that are better given back; their pods are among those that the plan places.

    Raises ValueError where the work to repeat was broken off by hand.
    """
    solver = Solver(seed, budget, None if repeat is None else repeat.known_passes())
    planner = Planner(snapshot, mode, budget, solver)
    if not planner.candidates:
        return replace(decide(snapshot, mode, seed=seed, budget=budget, repeat=repeat), held=planner.held)
    planner.plan(())
    for gone in _sets(planner, seed):
        if not planner.more_plans():
            break
        planner.plan(gone)
    replans = len(planner.options)
    return _conclude(planner, _again(planner, planner.best()), replans)


def _sets(planner: Planner, seed: int) -> Iterator[Sequence[Candidate]]:
    """What to plan for real, the most promising first."""
    every = planner.candidates
    prices = planner.solver.within(PRICES)
    refit = make_refit(planner.options[0].snapshot, planner.pools, every, planner.hours, prices)
    for market in (refit, refit.closed()):
        regrouping = Regrouping(market, planner.sets_stop)
        regrouping.run(np.random.default_rng(seed))
        planner.tried += regrouping.tried
        yield _chosen(every, regrouping.best)
    yield every
    if len(every) <= FEW:
        yield from chain.from_iterable(combinations(every, n) for n in range(1, len(every)))
    else:
        yield from _neighbours(planner, refit.waste)


def _neighbours(planner: Planner, waste: np.ndarray) -> Iterator[Sequence[Candidate]]:
    """The best set so far without the nodes that are of least use in it, and with others that are nearly worth it."""
    place = {candidate.name: i for i, candidate in enumerate(planner.candidates)}
    share = 0.5
    while True:
        best = planner.best()
        ordered = sorted(best.gone, key=lambda candidate: -waste[place[candidate.name]])
        names = {candidate.name for candidate in ordered}
        others = sorted((c for c in planner.candidates if c.name not in names), key=lambda c: -waste[place[c.name]])
        step = max(1, round(share * max(len(ordered), len(others))))
        if ordered:
            yield ordered[:-step]
        if others:
            yield [*ordered, *others[:step]]
        if step == 1:
            return
        share /= 2


def _chosen(every: Sequence[Candidate], gone: BoolArray) -> list[Candidate]:
    return [candidate for candidate, goes in zip(every, gone, strict=True) if goes]


def _missing(built: Built, result: Result) -> frozenset[str]:
    """Pods (uids) without a place. Of like pods, those that come last are left over."""
    refused = {uid for one in built.unplaceable for uid in one.pods}
    for group, left in zip(built.groups, result.solution.unplaced, strict=True):
        if left:
            refused.update(group.pods[len(group.pods) - int(left) * group.bundle :])
    return frozenset(refused)


def _again(planner: Planner, chosen: Option) -> Option:
    """The chosen set planned with the time that is left, where it buys anything; the better of both plans."""
    if not len(chosen.result.solution.node_kind):
        return chosen
    again = planner.plan(chosen.gone, planner.rest(LAST_SHARE))
    fair = not again.missing & set(again.moved) and len(again.missing) <= len(chosen.missing)
    return again if fair and planner.total(again) <= planner.total(chosen) else chosen


def _conclude(planner: Planner, chosen: Option, replans: int) -> Plan:
    nothing = planner.options[0]
    solver = planner.solver.within(planner.rest(1.0, least=0.1))
    plan = conclude(chosen.snapshot, planner.pools, chosen.built, chosen.result, solver)
    saved = nothing.cost - chosen.cost
    return replace(
        plan,
        drains=tuple(_drain(candidate, plan, chosen, saved) for candidate in chosen.gone),
        saved_micro_usd_hour=saved if chosen.gone else 0,
        repack=_repack(planner),
        held=planner.held,
        front=_front(planner, chosen),
        work=replace(plan.work, evaluations=planner.tried, replans=replans),
    )


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
    """The sets that were planned: none of the others is cheaper with as few moves. The chosen one is among them."""
    points: list[FrontPoint] = []
    for option in sorted(planner.fair(), key=lambda o: (len(o.moved), o.cost)):
        if option.gone != chosen.gone and (not points or option.cost < points[-1].micro_usd_hour):
            points.append(_point(option))
    points = [*points[: FRONT_POINTS - 1], replace(_point(chosen), chosen=True)]
    return tuple(sorted(points, key=lambda point: (point.micro_usd_hour, point.moved_pods)))


def _point(option: Option) -> FrontPoint:
    return FrontPoint(
        micro_usd_hour=option.cost, interruptions_per_month=_interruptions(option), moved_pods=len(option.moved)
    )


def _interruptions(option: Option) -> float:
    """Pods interrupted in a month, those on nodes that are there included."""
    risk = {offering.key: offering.interruption_percent for offering in option.snapshot.offerings}
    percent = {c.name: risk.get(c.offering, 0) for c in option.snapshot.claims}
    solution, offerings = option.result.solution, option.built.kinds.offerings
    bundles = np.array([group.bundle for group in option.built.groups], np.int64)
    bought: int = sum(
        offerings[kind].interruption_percent * int(pods)
        for kind, pods in zip(solution.node_kind, solution.node_pods @ bundles, strict=True)
    )
    for bin_, pods in zip(option.built.bins, solution.bin_pods @ bundles, strict=True):
        there = sum(1 for pod in bin_.residents if not (pod.daemon or pod.mirror))
        bought += percent.get(bin_.claim, 0) * (there + int(pods))
    return round(bought / 100, 6)
