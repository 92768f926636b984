"""What a decision comes to: nodes to buy, where each pod goes, what has no place and why, and how good that is."""

from dataclasses import dataclass

from spotkube.model.offerings import Offering

# How often each stop of a search let it go on (see `planner.clock`).
Passes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PlannedNode:
    """A node to buy for `pods` (their uids), and the reason in words."""

    pool: str
    offering: Offering
    pods: tuple[str, ...]
    reason: str


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
    """Pods (their uids) that nothing that may be bought can hold, under one name and for one reason."""

    name: str
    pods: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """One alternative that was weighed; `interruptions_per_month` counts pods that would be interrupted."""

    micro_usd_hour: int
    interruptions_per_month: float
    chosen: bool = False
    moved_pods: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """How much was done. The counts are those of the search that made the plan.

    `passes` has an entry for each search and each bound of the decision, in their order, None where somebody broke it
    off. A replay needs these, and nothing else.
    """

    column_rounds: int = 0
    generations: int = 0
    branch_programs: int = 0
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
class Plan:
    """One decision. Costs and bound are of the whole fleet in micro-dollars an hour and cover the same placed pods.

    `unmet_preferences` is how many pods go onto nodes to buy that don't meet all of their preferences. `drains` pay
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
    drains: tuple[PlannedDrain, ...] = ()
    saved_micro_usd_hour: int = 0
    repack: Repack | None = None
    held: tuple[HeldNode, ...] = ()

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
