"""What a decision comes to: nodes to buy, where each pod goes, what has no place and why, and how good that is."""

from dataclasses import dataclass, replace

from spotkube.model.explanation import Alternative, Change, Exclusion
from spotkube.model.offerings import Offering

# How often each stop of a search let it go on (see `planner.clock`).
Passes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PlannedNode:
    """A node to buy for `pods` (their uids), and the reason in words.

    `choice` is how many offerings would hold these pods, `alternatives` the cheapest of the others.
    """

    pool: str
    offering: Offering
    pods: tuple[str, ...]
    reason: str
    choice: int = 0
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class Placement:
    """A pod that goes onto a node that exists or is on its way; `target` names its claim, or else its Node."""

    pod: str
    target: str


@dataclass(frozen=True, slots=True)
class PlannedDrain:
    """A node (its claim) to give back once `pods` (their uids) have their new places, and the reason in words.

    `moves_micro_usd` is the price of moving them.
    """

    claim: str
    pods: tuple[str, ...]
    price_micro_usd_hour: int
    moves_micro_usd: int
    reason: str


@dataclass(frozen=True, slots=True)
class HeldNode:
    """A node (its claim) that can't be given back since a pod on it (its uid) can't be moved, and why."""

    claim: str
    pod: str
    reason: str


@dataclass(frozen=True, slots=True)
class Repack:
    """What packing all nodes that may be given back anew would come to, found and not proven, and its moves."""

    cost_after_micro_usd_hour: int
    pods: int
    moves_micro_usd: int


@dataclass(frozen=True, slots=True)
class Unplaceable:
    """Pods (their uids) that nothing that may be bought can hold, under one name and for one reason.

    Explained later (`planner.explaining`): `advice` says what would place them, `changes` is the smallest change that
    does (() where none is known), `or_else` one as small by others: of NodePools if the first is not. `exclusions` is
    what each constraint excludes by itself of the `offerings` that are sold, counted in each pool.
    """

    name: str
    pods: tuple[str, ...]
    reason: str
    changes: tuple[Change, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    offerings: int = 0
    advice: str = ""
    or_else: tuple[Change, ...] = ()

    @property
    def in_short(self) -> str:
        """What would place them, and why they have no place."""
        return "; ".join(filter(None, (self.advice, self.reason)))

    @property
    def in_words(self) -> str:
        """The same, and what each constraint excludes."""
        alone = ", ".join(f"{one.constraint} {one.offerings}" for one in self.exclusions)
        counted = f"each by itself excludes, of {self.offerings} offerings: {alone}" if alone else ""
        return "; ".join(filter(None, (self.in_short, counted)))


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """One alternative that was weighed.

    `interruption_micro_usd_hour` is what interruptions are expected to cost, `pods_lost_together` the CVaR at 95 % of
    the pods that one event takes, `interruptions_per_month` how many pods would be interrupted, `moved_pods` how many
    that run are moved.
    """

    micro_usd_hour: int
    interruption_micro_usd_hour: float = 0.0
    pods_lost_together: float = 0.0
    interruptions_per_month: float = 0.0
    moved_pods: int = 0
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Concentration:
    """The spot pool (instance type and zone) that holds most of a NodePool's pods on spot: `pods` of `spot_pods`."""

    pool: str
    instance_type: str
    zone: str
    pods: int
    spot_pods: int

    @property
    def share(self) -> float:
        return self.pods / self.spot_pods


@dataclass(frozen=True, slots=True)
class Work:
    """How much was done. The counts are those of the search that made the plan.

    `passes` has an entry for each search and each bound of the decision, in their order, None where somebody broke it
    off. A replay needs these, and nothing else.
    """

    column_rounds: int = 0
    generations: int = 0
    branch_programs: int = 0
    landing_tries: int = 0
    evaluations: int = 0
    replans: int = 0
    passes: tuple[Passes | None, ...] = ()

    def known_passes(self) -> tuple[Passes, ...]:
        """Raises ValueError where a search was broken off."""
        known = tuple(passes for passes in self.passes if passes is not None)
        if len(known) < len(self.passes):
            raise ValueError(
                "the search was broken off by hand: where it stopped is not known, so it can't be repeated"
            )
        return known


@dataclass(frozen=True, slots=True)
class Baselines:
    """What simpler ways would have cost for the same pods; None where they can't place them all."""

    first_fit_micro_usd_hour: int | None = None
    all_on_demand_micro_usd_hour: int | None = None


@dataclass(frozen=True, slots=True)
class Landing:
    """How the plan stands up to kube-scheduler: simulated `tries` with random ties and orders in which nodes arrive.

    In `failed` of them pods found no place, or one that they may not have; in `failed_before`, before nodes were added
    for them. No tries: nothing can go wrong.
    """

    tries: int = 0
    failed: int = 0
    failed_before: int = 0
    nodes_added: int = 0
    micro_usd_hour_added: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """One decision. Costs and bound are of the whole fleet in micro-dollars an hour and cover the same placed pods.

    `unmet_preferences` is how many pods go onto nodes to buy that don't meet all of their preferences. `policy` says in
    words how the plan was picked, `concentrations` how much of each NodePool's spot is in one spot pool. `drains` pay
    for their moves together, by what they save; `repack` says what is not had since its moves would not be paid for,
    and `held` which nodes in force can't go at all.
    """

    additions: tuple[PlannedNode, ...] = ()
    placements: tuple[Placement, ...] = ()
    unplaceable: tuple[Unplaceable, ...] = ()
    cost_now_micro_usd_hour: int = 0
    cost_after_micro_usd_hour: int = 0
    lower_bound_micro_usd_hour: int = 0
    placed_pods: int = 0
    front: tuple[FrontPoint, ...] = ()
    work: Work = Work()
    baselines: Baselines = Baselines()
    unmet_preferences: int = 0
    landing: Landing = Landing()
    policy: str = ""
    concentrations: tuple[Concentration, ...] = ()
    drains: tuple[PlannedDrain, ...] = ()
    saved_micro_usd_hour: int = 0
    repack: Repack | None = None
    held: tuple[HeldNode, ...] = ()

    @property
    def chosen(self) -> FrontPoint | None:
        """The point of the front that is the plan."""
        return next((point for point in self.front if point.chosen), None)

    @property
    def unexplained(self) -> "Plan":
        """The plan as it was decided, without what was found later on pods without a place."""
        bare = (Unplaceable(one.name, one.pods, one.reason) for one in self.unplaceable)
        return replace(self, unplaceable=tuple(bare))

    @property
    def moved_pods(self) -> int:
        return sum(len(drain.pods) for drain in self.drains)

    @property
    def moves_micro_usd(self) -> int:
        """The price of all moves."""
        return sum(drain.moves_micro_usd for drain in self.drains)

    @property
    def payback_seconds(self) -> float:
        """How long it takes until what is saved has paid for the moves."""
        return payback_seconds(self.moves_micro_usd, self.saved_micro_usd_hour)

    @property
    def gap(self) -> float:
        """Cost after over the bound, less one; 0 where nothing needs to be bought."""
        if self.cost_after_micro_usd_hour <= self.lower_bound_micro_usd_hour:
            return 0.0
        if self.lower_bound_micro_usd_hour == 0:
            return float("inf")
        return self.cost_after_micro_usd_hour / self.lower_bound_micro_usd_hour - 1


def payback_seconds(moves_micro_usd: int, saved_micro_usd_hour: int) -> float:
    """Endless where nothing is saved."""
    if saved_micro_usd_hour <= 0:
        return float("inf") if moves_micro_usd else 0.0
    return 3600 * moves_micro_usd / saved_micro_usd_hour
