"""The planner's problem as arrays: groups of like pods, node kinds that may be bought, and bins that are there already.

Axes: G groups, O node kinds, B bins, R resources, K caps, P pools, F families; N needs, S profiles of preferences, Q
quotas, D their domains, or spot pools. Amounts are int64 in the units of `spotkube.model.resources`, prices int64
micro-dollars an hour.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from spotkube.model.plan import Passes

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
NO_LIMIT = 2**62


def _none(*axes: int) -> IntArray:
    return np.zeros(axes, np.int64)


@dataclass(frozen=True, eq=False)
class Needs:
    """Required company on a node: a pod of group of[n] goes only where a pod of some member group is as well.

    All needs of a group must hold. None refers to its own group, and going from members to those in need of them leads
    round in no circle.

    Attributes:
        of: [N] the group in need.
        member: [N, G] which groups meet it.
        met: [N, B] the bins whose residents meet it already.
    """

    of: IntArray = field(default_factory=lambda: _none(0))
    member: BoolArray = field(default_factory=lambda: np.zeros((0, 0), np.bool_))
    met: BoolArray = field(default_factory=lambda: np.zeros((0, 0), np.bool_))


@dataclass(frozen=True, eq=False)
class Preferences:
    """What it costs in unmet preferences that a pod stands somewhere. The search counts it; cost and bound do not.

    Attributes:
        cost: [S, O] micro-dollars an hour, >= 0, for each profile of preferences.
        profile: [G] the profile of each group, -1 for none; may be empty if no group has one.
    """

    cost: IntArray = field(default_factory=lambda: _none(0, 0))
    profile: IntArray = field(default_factory=lambda: _none(0))


@dataclass(frozen=True, eq=False)
class Quotas:
    """At most so many pods together on all nodes and bins of one domain. Bounds leave quotas out.

    Attributes:
        use: [Q, G] what one pod of the group counts, 0 if it does not.
        domain: [Q, O] the domain of each kind, -1: not counted there.
        bin_domain: [Q, B]
        left: [Q, D]
    """

    use: IntArray = field(default_factory=lambda: _none(0, 0))
    domain: IntArray = field(default_factory=lambda: _none(0, 0))
    bin_domain: IntArray = field(default_factory=lambda: _none(0, 0))
    left: IntArray = field(default_factory=lambda: _none(0, 0))


@dataclass(frozen=True, eq=False)
class Risk:
    """How often spot nodes are taken back, and what that costs. Left empty, nothing is ever interrupted.

    Attributes:
        rate: [D] how often in an hour the nodes of each spot pool are taken; all of them are then.
        spot_pool: [O] the spot pool of each kind, -1 for those that are never interrupted.
        bin_pool: [B]
        there: [D] pods that stand in each spot pool already, besides those to place.
        there_cost: micro-dollars an hour that interruptions of those are expected to cost.
        restart: [G] micro-dollars that it costs to interrupt one pod of the group.
        heads: [G] how many pods it stands for.
    """

    rate: FloatArray
    spot_pool: IntArray
    bin_pool: IntArray
    there: IntArray
    there_cost: float
    restart: FloatArray
    heads: IntArray


@dataclass(frozen=True, eq=False)
class Problem:
    """What has to be held, and by what. A node kind is one offering as one pool would buy it, net of its daemons.

    A *family* is a set of groups whose pods were one group before a rule split them (spread over zones, a part that
    must run on demand). A plan places exactly `count[g]` of each group. Another split may be as good for the user, so
    the bound only assumes that a family has the sum of its counts in all, and at least `sure_count[g]` in group g.

    Attributes:
        resources: R names; the last is "pods".
        demand: [G, R] what one pod of the group takes.
        count: [G] how many pods to place.
        family: [G] the family each group belongs to, 0..F-1.
        sure_count: [G] how many pods any allowed split puts into the group at least; the count, if nothing was split.
        capacity: [O, R] what a node of this kind holds besides its daemons.
        limit_use: [O, R] what such a node counts against its pool's limits (its daemons' share included).
        price: [O] micro-dollars an hour, > 0.
        pool: [O] which pool buys it.
        compatible: [G, O] whether kube-scheduler would let the group's pods onto such a node.
        bins: [B, R] what is free on nodes that exist or are on their way; they cost nothing more.
        bin_compatible: [G, B]
        conflict: [G, G] symmetric; two different groups that may not share a node.
        cap_use: [K, G] and cap_limit: [K]: on one node the pods, each counted cap_use[k, g] times, come to cap_limit[k]
            at most (anti-affinity of a group with itself is a cap of 1, a hostname spread a cap of its skew).
        bin_cap_left: [K, B] what is left of the caps on the bins.
        pool_left: [P, R + 2] what each pool may still buy: each resource (by limit_use), nodes, micro-dollars an hour.
        needs, preferences, quotas: see there; risk: likewise, None: nothing is ever interrupted.
        rank: [G] how important the group is: to leave out one pod is worse than any number of pods of lower ranks.
            Empty if all are alike.
    """

    resources: tuple[str, ...]
    group_names: tuple[str, ...]
    demand: IntArray
    count: IntArray
    family: IntArray
    sure_count: IntArray
    capacity: IntArray
    limit_use: IntArray
    price: IntArray
    pool: IntArray
    compatible: BoolArray
    bins: IntArray
    bin_compatible: BoolArray
    conflict: BoolArray
    cap_use: IntArray
    cap_limit: IntArray
    bin_cap_left: IntArray
    pool_left: IntArray
    needs: Needs = field(default_factory=Needs)
    preferences: Preferences = field(default_factory=Preferences)
    quotas: Quotas = field(default_factory=Quotas)
    rank: IntArray = field(default_factory=lambda: _none(0))
    risk: Risk | None = None

    @property
    def groups(self) -> int:
        return len(self.count)

    @property
    def kinds(self) -> int:
        return len(self.price)

    @property
    def spot(self) -> Risk:
        """The risk, without interruptions where none is given."""
        if self.risk is not None:
            return self.risk
        return Risk(
            rate=np.zeros(0),
            spot_pool=np.full(self.kinds, -1, np.int64),
            bin_pool=np.full(len(self.bins), -1, np.int64),
            there=_none(0),
            there_cost=0.0,
            restart=np.zeros(self.groups),
            heads=np.ones(self.groups, np.int64),
        )

    @property
    def interruption_rate(self) -> FloatArray:
        """[O] how often in an hour a node of each kind is interrupted."""
        return rate_of(self.spot, self.spot.spot_pool)

    @property
    def takes(self) -> IntArray:
        """[O, R + 2] what a node takes of the limits of its pool."""
        return np.column_stack([self.limit_use, np.ones(self.kinds, np.int64), self.price])


def rate_of(risk: Risk, spot_pool: IntArray) -> FloatArray:
    """How often in an hour a node of each of these spot pools is interrupted; never where it is -1."""
    return np.append(risk.rate, 0.0)[spot_pool]


@dataclass(frozen=True, eq=False)
class Solution:
    """Nodes to buy and what is put where.

    Attributes:
        node_kind: [N] the kind of each node bought.
        node_pods: [N, G] how many pods of each group it holds.
        bin_pods: [B, G] how many go onto each bin.
        unplaced: [G] how many found no place.
    """

    node_kind: IntArray
    node_pods: IntArray
    bin_pods: IntArray
    unplaced: IntArray

    def cost(self, problem: Problem) -> int:
        """Micro-dollars an hour of the nodes to buy."""
        return int(problem.price[self.node_kind].sum())


@dataclass(frozen=True, slots=True)
class Enough:
    """What is not worth waiting for: so many micro-dollars an hour, or such a part of the cost, whichever is more."""

    micro_usd_hour: int = 0
    part: float = 0.0

    def of(self, cost: int) -> float:
        """What may still be saved of that cost."""
        return max(self.micro_usd_hour, self.part * cost)


@dataclass(frozen=True)
class Budget:
    """When to stop: at whichever comes first.

    `sharp` False: no time goes into a sharper proof, where only the plan is asked for.
    `branch_programs` are the linear programs that sharpen the bound of small problems; without seconds None means none.
    Once no more can still be saved than is `enough`, no more is searched for; None to go on all the same.
    With `passes`, what an earlier search let pass, the clock is not asked: the same limits then give the same result.
    """

    seconds: float | None = 5.0
    column_rounds: int | None = None
    generations: int | None = None
    branch_programs: int | None = None
    sharp: bool = True
    enough: Enough | None = None
    passes: Passes | None = None

    def part(self, share: float, passes: Passes | None = None) -> "Budget":
        """A part of its seconds; other limits stay."""
        return replace(self, seconds=None if self.seconds is None else self.seconds * share, passes=passes)


@dataclass(frozen=True, slots=True)
class Alternative:
    """A plan that was weighed. All but the cost counts what stands already, too.

    Attributes:
        cost: micro-dollars an hour of the nodes to buy.
        unmet: what preferences that it does not meet count besides.
        interruption: micro-dollars an hour that interruptions are expected to cost.
        lost_together: pods, the CVaR at 95 % (see `tail`).
        interrupted: pods an hour, as is expected.
    """

    cost: int
    unmet: float = 0.0
    interruption: float = 0.0
    lost_together: float = 0.0
    interrupted: float = 0.0

    @property
    def weighed(self) -> float:
        """Micro-dollars an hour with what unmet preferences count."""
        return self.cost + self.unmet


@dataclass(frozen=True, eq=False)
class Result:
    """The chosen solution, a bound that no solution of the same pods can be below, and how it was reached.

    `front` holds the alternatives, at most 20, by their weighed cost; `chosen` is the solution's place among them.
    `passes` is None where somebody broke the search off.
    """

    solution: Solution
    lower_bound: int
    column_rounds: int
    generations: int
    front: tuple[Alternative, ...] = ()
    chosen: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    branch_programs: int = 0
    passes: Passes | None = ()
