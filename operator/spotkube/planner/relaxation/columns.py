"""Column generation: better and better packing patterns, priced by the duals of those found so far."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spotkube.planner.clock import Stop
from spotkube.planner.instance import Instance
from spotkube.planner.problem import FloatArray, IntArray
from spotkube.planner.reduced.state import Nodes
from spotkube.planner.relaxation.fluid import fluid_duals
from spotkube.planner.relaxation.master import Duals, Master
from spotkube.planner.relaxation.pricing import Pricer
from spotkube.planner.relaxation.proof import Proof, charges, demand_of

# Branches of the knapsack search, and the step of the search for charges: few and coarse for all holders; then more,
# for those that may still hold better patterns.
LEVELS = ((60, 5e-3), (200, 5e-3), (600, 1e-3), (3_000, 5e-4), (30_000, 5e-4))
# A round counts as the last when the cost of the columns is this close to the bound.
CLOSE = 1e-6
# How far towards the best proof's duals prices are moved before patterns are sought (Wentges' smoothing) ...
SMOOTHING = 0.5
# ... and how far in those rounds, one of so many (and a fifth of the groups), that look closely to better the proof.
NEAR_CENTRE, CENTRE_EVERY, THOROUGH = 0.8, 6, 3
NO_END = 2**31
# With bins in blocks, what all of them leave open adds up: where so many rounds made the columns cheaper by no more
# than this part, and the proof is farther away than that, the next one looks closely, up to so many levels: as long as
# better bounds of the holders could still prove so much more.
STALLED, PART, LOOSE, DEEP = 3, 5e-3, 2e-2, 5
# Of a smaller problem, a proof farther from the columns than that is from before its prices were about right.
FAR = 5e-2
# Patterns that the fluid's prices say are worth so much of what they cost are columns to begin with.
PROMISING = 0.9
# Holders that are priced exactly before it is asked whether that was enough.
AT_ONCE = 8
# Rounds for the proof of a plan that leaves pods out.
REPROOFS = 8
# The same for the last proofs, one after the other.
TOWARDS_CENTRE = (1.0, 0.95, 0.8, 0.8, 0.5, 0.8, 0.9)


@dataclass(eq=False)
class Relaxation:
    """What column generation knows at any time.

    Attributes:
        amount: how much of each of the master's columns its cheapest fractional plan takes.
        cost: of that plan, micro-dollars an hour.
        proof: the best one so far.
        bound: what it proves for the pods that the master covers.
        rounds: linear programs solved.
    """

    master: Master
    amount: FloatArray
    cost: float
    duals: Duals
    proof: Proof | None = None
    bound: float = 0.0
    rounds: int = 0

    @property
    def prices(self) -> Duals:
        """Those of the best proof, or else the latest."""
        return self.proof.duals if self.proof else self.duals

    @property
    def gap(self) -> float:
        """How far the cost is above the bound, as a part of it."""
        return self.cost / self.bound - 1.0 if self.bound > 0.0 else float("inf")


def begun(
    instance: Instance, master: Master, pricer: Pricer, stop: Stop, begin: Relaxation | None = None
) -> Relaxation:
    """The first round. `begin` is what is known of a problem much like this one."""
    amount, duals, cost = master.solve()
    state = Relaxation(master, amount, cost, duals, rounds=1)
    if begin is not None:
        prices = begin.duals if begin.cost - begin.bound > FAR * begin.cost else begin.prices
        _round(instance, state, pricer, prices, DEEP, stop, NO_END)
        state.amount, state.duals, state.cost = master.solve()
    else:
        fluid = fluid_duals(instance, master.demand, master.blocks)
        if fluid is not None:
            state.duals, pricer.mu = fluid
            # However little time there is: no other round proves as much.
            _round(instance, state, pricer, state.duals, 1, Stop(None, None), part=PROMISING)
            state.amount, state.duals, state.cost = master.solve()
    return state


def improve(instance: Instance, state: Relaxation, pricer: Pricer, stop: Stop, most: int | None = None) -> None:
    """Generates columns until the bound meets the cost of the columns, or `stop`, or the `most` rounds are done."""
    master, costs = state.master, [state.cost]
    every = CENTRE_EVERY + instance.problem.groups // 5

    def over() -> bool:
        return (most is not None and state.rounds >= most) or stop()

    while not over():
        centre = state.prices
        added = 0
        if state.rounds % every == 0:
            added = _round(
                instance, state, pricer, state.duals.blend(centre, NEAR_CENTRE), THOROUGH, stop, enough=NO_END
            )
        elif master.together.any() and _stalled(state, costs):
            added = _round(instance, state, pricer, state.duals, DEEP, stop, NO_END)
        if not added:
            added = _round(instance, state, pricer, state.duals.blend(centre, SMOOTHING), 1, stop)
        if not added and state.cost - state.bound > CLOSE * state.cost and not over():
            added = _round(instance, state, pricer, state.duals, THOROUGH, stop, exactly=True)
        if not added or state.cost - state.bound <= CLOSE * state.cost:
            break
        state.amount, state.duals, state.cost = master.solve()
        state.rounds += 1
        costs.append(state.cost)


def _stalled(state: Relaxation, costs: Sequence[float]) -> bool:
    """Whether the columns hardly got cheaper of late, though they are far from what is proven."""
    latest = costs[-STALLED - 1 :]
    return (
        len(latest) > STALLED
        and latest[0] - latest[-1] <= PART * state.cost
        and state.cost - state.bound > LOOSE * state.cost
    )


def _round(
    instance: Instance,
    state: Relaxation,
    pricer: Pricer,
    duals: Duals,
    levels: int,
    stop: Stop,
    enough: int = 1,
    *,
    exactly: bool = False,
    part: float = 1.0,
) -> int:
    """Prices at these duals, with more branches until `enough` columns improve; keeps a better proof; columns added.

    `exactly`: if the levels do not suffice, what they leave open is priced to the end.
    `part`: those are added too that are worth so much of what they cost.

    A level after which `stop` ends it leaves no trace; without the first there is nothing to go on from.
    """
    pay = instance.arrays.price + charges(instance, duals)
    holders, upper, best = pricer.lean, np.zeros(instance.holders), np.zeros(instance.holders)
    shapes = np.zeros((instance.holders, instance.problem.groups), np.int64)
    added = 0
    for level, (branches, step) in enumerate(LEVELS[:levels]):
        patterns, found, above = pricer.price(holders, instance.upper, duals, pay[holders], branches, step, stop)
        if np.isinf(above).any():
            exactly &= level > 0
            break
        upper[holders] = np.minimum(upper[holders], above) if level else above
        proven = consider(instance, state, duals, upper)
        added += add_better(state.master, state.duals, holders, patterns, part)
        better = found > best[holders]
        shapes[holders[better]] = patterns[better]
        best[holders] = np.maximum(best[holders], found)
        holders = pricer.lean[(upper > np.maximum(pay, best) * (1 + CLOSE))[pricer.lean]]
        if added >= enough or not len(holders):
            break
        if levels == DEEP and Proof(instance, duals, best).value(state.master.demand)[0] - proven <= LOOSE * state.cost:
            break
    added += add_blocks(state.master, state.duals, shapes)
    if exactly and added < enough:
        added += _price_exactly(instance, state, pricer, duals, holders, upper, stop, enough)
    return added


def _price_exactly(
    instance: Instance,
    state: Relaxation,
    pricer: Pricer,
    duals: Duals,
    holders: IntArray,
    upper: FloatArray,
    stop: Stop,
    enough: int,
) -> int:
    """Prices the holders whose upper bounds are too high to the end, a few at a time; columns added."""
    pay = instance.arrays.price + charges(instance, duals)
    worst = holders[np.argsort(-(upper / np.maximum(pay, 1.0))[holders], kind="stable")]
    added = 0
    for first in range(0, len(worst), AT_ONCE):
        few = worst[first : first + AT_ONCE]
        patterns, _, most = pricer.price_exactly(few, instance.upper, duals, pay[few], stop)
        upper[few] = np.minimum(upper[few], most)
        added += add_better(state.master, state.duals, few, patterns)
        if added >= enough or stop():
            break
    consider(instance, state, duals, upper)
    return added


def add_better(master: Master, duals: Duals, holders: IntArray, patterns: IntArray, part: float = 1.0) -> int:
    """Adds the patterns that the duals say are worth more than they cost, or than that part of it; how many they are.
    Not those of blocks."""
    pay = (master.instance.arrays.price + charges(master.instance, duals) + master.rent())[holders]
    worth = patterns @ duals.pod(master.instance)
    better = (worth > part * pay * (1 + 1e-9) + 1e-6) & ~master.together[holders]
    return sum(master.add(int(holders[i]), patterns[i]) for i in np.flatnonzero(better))


def add_blocks(master: Master, duals: Duals, shapes: IntArray) -> int:
    """The same for blocks of several bins, from the patterns of all holders, [H, G]."""
    rent, value, added = master.rent(), duals.pod(master.instance), 0
    for i, block in enumerate(master.blocks):
        if len(block) > 1:
            pods = master.instance.arrays.stock[block] @ shapes[block]
            if pods @ value > rent[block[0]] * (1 + 1e-9) + 1e-6:
                added += master.add_shapes(shapes[block], i)
    return added


def add_plan(instance: Instance, master: Master, plan: Nodes) -> None:
    """Adds the columns of a plan."""
    shapes, held = (np.zeros((instance.holders, instance.problem.groups), np.int64) for _ in range(2))
    for row in np.flatnonzero(plan.times[: int(plan.rows[0])]):
        holder = int(plan.holder[row])
        if master.together[holder]:
            shapes[holder] = plan.pods[row]
            held[holder] += plan.times[row] * plan.pods[row]
        else:
            master.add(holder, plan.pods[row])
    for i, block in enumerate(master.blocks):
        if len(block) > 1:
            master.add_shapes(shapes[block], i, held[block].sum(axis=0))


def consider(instance: Instance, state: Relaxation, duals: Duals, upper: FloatArray) -> float:
    """What these prices prove; kept if it is more. `upper` is 0 for holders that are beaten by others."""
    proof = Proof(instance, duals, upper.copy())
    value, _ = proof.value(state.master.demand)
    if state.proof is None or value > state.bound:
        state.proof, state.bound = proof, value
    return value


def sharpen(instance: Instance, state: Relaxation, pricer: Pricer, stop: Stop) -> None:
    """Looks closely at prices on the way from the best proof's to the latest, as long as that proves more."""
    for part in TOWARDS_CENTRE:
        if stop() or state.cost - state.bound <= CLOSE * state.cost:
            return
        centre = state.prices
        _round(instance, state, pricer, state.duals.blend(centre, part), THOROUGH, stop, NO_END, exactly=True)


def prove(instance: Instance, state: Relaxation, pricer: Pricer, plan: Nodes, stop: Stop) -> int:
    """The lower bound for the pods that the plan places, micro-dollars an hour.

    Where limits or bins did not suffice for all, the prices were those of scarcity, and prove little for the pods that
    did get a place: then new ones are found for those.
    """
    demand = demand_of(instance.problem, plan.remain)
    if (plan.remain[instance.placeable] > 0).any():
        add_plan(instance, state.master, plan)
        state.master.require(demand)
        state.bound = state.proof.value(demand)[0] if state.proof else 0.0
        for _ in range(REPROOFS):
            state.amount, state.duals, state.cost = state.master.solve()
            if not _round(instance, state, pricer, state.duals, THOROUGH, stop):
                break
    return state.proof.lower_bound(demand) if state.proof else 0
