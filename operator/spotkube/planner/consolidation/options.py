"""A real plan in which some nodes go, and how such plans compare.

Under policy `balanced` a plan counts with what its risk is worth; under `safest`, and where a limit on pods lost
together is set, none loses more of them together than doing nothing, or than the limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from spotkube.model.cluster import Mode, Pool, Snapshot
from spotkube.model.plan import payback_seconds
from spotkube.model.policy import Pick, Policy
from spotkube.planner.consolidation.candidates import Candidate, assort, with_leaving
from spotkube.planner.decide import staying_micro_usd_hour
from spotkube.planner.formulation.assembling import Built
from spotkube.planner.policy import pick, risk_micro_usd_hour
from spotkube.planner.problem import Alternative, Budget, Result
from spotkube.planner.rounds import plan_in_rounds
from spotkube.planner.solver import Solver

# So few candidates that every set of them is planned.
FEW = 5
# Work of one plan, the same for each so that they compare; the plan chosen gets the rest of the time.
EACH = Budget(seconds=None, column_rounds=15, generations=3, sharp=False)
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
    def risk(self) -> Alternative:
        return self.result.front[self.result.chosen] if self.result.front else Alternative(self.cost)

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
        # A limit that the nodes in force pass already must not keep them as they are.
        self._policy = replace(snapshot.policy, max_pods_lost_together=None)
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
        staying = staying_micro_usd_hour(snapshot, self.pools)
        solver = self.solver.within(budget or EACH, lambda front: pick(front, self._policy, staying))
        built, result = plan_in_rounds(snapshot, self.pools, solver)
        option = Option(tuple(gone), snapshot, built, result, staying, _missing(built, result))
        self._seen.setdefault(names, option)
        self.options.append(option)
        return option

    def known(self, gone: Sequence[Candidate]) -> Option | None:
        """The plan for a set, if it was made."""
        return self._seen.get(frozenset(candidate.name for candidate in gone))

    def fair(self) -> list[Option]:
        """Those that place what doing nothing places, and every pod that they move, at no risk that is not allowed."""
        nothing = self.options[0]
        return [
            o
            for o in self.options
            if o.missing <= nothing.missing and not o.missing & set(o.moved) and self.risks_no_more(o)
        ]

    def risks_no_more(self, option: Option) -> bool:
        """Whether as few pods may be lost together as the policy allows."""
        now = self.options[0].risk.lost_together
        return option.risk.lost_together <= most_lost_together(self._snapshot.policy, now)

    def best(self) -> Option:
        """The least total of those whose moves pay."""
        worth = [option for option in self.fair() if not option.gone or self.pays(option)]
        return min(worth, key=lambda o: (len(o.missing), self.total(o), o.moves))

    def total(self, option: Option) -> float:
        return self._weighed(option) * self.hours + option.moves

    def pays(self, option: Option, more_micro_usd_hour: int = 0) -> bool:
        """Whether what it saves, less so much, is worth the trouble, and pays for the moves within the horizon."""
        nothing = self.options[0]
        saved = min(
            nothing.cost - option.cost,
            round(self._weighed(nothing) - self._weighed(option)),
            # Whatever the policy: going to where pods are taken soon again costs them another restart.
            round(nothing.cost + nothing.risk.interruption - option.cost - option.risk.interruption),
        )
        saved -= more_micro_usd_hour
        least = LEAST_SAVED * nothing.cost if option.moves else 1
        return saved >= max(1, least) and payback_seconds(option.moves, saved) <= self.hours * 3600

    def _weighed(self, option: Option) -> float:
        return option.cost + risk_micro_usd_hour(option.risk, self._policy)

    def more_plans(self) -> bool:
        made = len(self.options)
        return made < MOST_PLANS and (made < LEAST_PLANS or not self._plans_stop())

    def rest(self, until: float, least: float = 0.0) -> Budget:
        """The seconds left until that share of them is used up, and at least the other share of all."""
        seconds = self.budget.seconds
        left = None if seconds is None else max(least * seconds, until * seconds - self.clock.passed)
        return replace(self.budget, seconds=left)


def most_lost_together(policy: Policy, now: float) -> float:
    """How many pods a plan may lose together, where it would be so many if nothing were done."""
    if policy.pick is Pick.SAFEST:
        return now
    limit = policy.max_pods_lost_together
    return float("inf") if limit is None else max(limit, now)


def _missing(built: Built, result: Result) -> frozenset[str]:
    """Pods (uids) without a place. Of like pods, those that come last are left over."""
    refused = {uid for one in built.unplaceable for uid in one.pods}
    for group, left in zip(built.groups, result.solution.unplaced, strict=True):
        if left:
            refused.update(group.pods[len(group.pods) - int(left) * group.bundle :])
    return frozenset(refused)
