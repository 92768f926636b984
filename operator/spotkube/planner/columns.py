"""Column generation: better and better packing patterns, priced by the duals of those found so far."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spotkube.planner.master import Duals, Master
from spotkube.planner.packing import Work, make_work, price_holders
from spotkube.planner.problem import IntArray
from spotkube.planner.proof import Proof, charges, demand_of
from spotkube.planner.reduction import FloatArray, Instance

# Branches of the knapsack search while columns are sought, and in the proofs at the end, one after the other.
QUICK = 300
THOROUGH = (3_000, 30_000, 300_000)
# A round counts as the last when the cost of the columns is this close to the bound.
CLOSE = 1e-6
SMOOTHING = 0.5


@dataclass(eq=False)
class Relaxation:
    """What column generation knows at any time.

    Attributes:
        amount: how much of each of the master's columns its cheapest fractional plan takes.
        cost: of that plan, micro-dollars an hour.
        proof: the best one so far.
        bound: what it proves for all placeable pods.
        rounds: linear programs solved.
    """

    master: Master
    amount: FloatArray
    cost: float
    duals: Duals
    proof: Proof | None = None
    bound: float = 0.0
    rounds: int = 0

    def prove(self, unplaced: IntArray) -> int:
        """The lower bound for all pods but the unplaced ones, micro-dollars an hour."""
        return self.proof.lower_bound(demand_of(self.master.instance.problem, unplaced)) if self.proof else 0


class Pricer:
    """Prices holders, and remembers for each where its bound was tight."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        groups, resources = instance.arrays.demand.shape
        self.work: Work = make_work(groups, resources, instance.arrays.caps.shape[1])
        self.lean = np.flatnonzero(instance.arrays.lean)
        self.mu = np.zeros((instance.holders, resources))

    def price(
        self, holders: IntArray, stock: IntArray, duals: Duals, bars: FloatArray, branches: int, last: float = 1e-3
    ) -> tuple[IntArray, FloatArray, FloatArray]:
        """(patterns [n, G], their worth [n], upper bounds [n]) for the holders listed."""
        patterns = np.zeros((len(holders), self.instance.problem.groups), np.int64)
        found, upper = np.zeros(len(holders)), np.zeros(len(holders))
        value = duals.pod(self.instance)
        price_holders(
            self.instance.arrays,
            self.work,
            holders,
            stock,
            value,
            self.mu,
            bars,
            branches,
            last,
            patterns,
            found,
            upper,
        )
        return patterns, found, upper


def generate(instance: Instance, master: Master, pricer: Pricer, stopped: Callable[[int], bool]) -> Relaxation:
    """Generates columns until the bound meets the cost of the columns, or `stopped(rounds)`."""
    amount, duals, cost = master.solve()
    state = Relaxation(master, amount, cost, duals, rounds=1)
    centre = duals
    while not stopped(state.rounds):
        smooth = duals.blend(centre, SMOOTHING) if state.proof else duals
        added = _round(instance, state, pricer, smooth, QUICK)
        if not added and smooth is not duals:
            added = _round(instance, state, pricer, duals, QUICK)
        if not added or state.cost - state.bound <= CLOSE * state.cost:
            break
        state.amount, duals, state.cost = master.solve()
        state.duals = duals
        state.rounds += 1
        centre = state.proof.duals if state.proof else duals
    return state


def _round(instance: Instance, state: Relaxation, pricer: Pricer, duals: Duals, branches: int) -> int:
    """Prices every holder at these duals: adds what improves, keeps the proof if it is better. Returns columns added."""
    holders = pricer.lean
    pay = instance.arrays.price + charges(instance, duals)
    patterns, found, upper = pricer.price(holders, instance.upper, duals, pay[holders], branches)
    consider(instance, state, duals, holders, upper)
    actual = state.duals.pod(instance)
    pay_now = instance.arrays.price + charges(instance, state.duals)
    added = 0
    for i, holder in enumerate(holders):
        worth = float(patterns[i] @ actual)
        if (
            found[i] > 0
            and (worth > pay_now[holder] * (1 + 1e-9) + 1e-6)
            and state.master.add(int(holder), patterns[i])
        ):
            added += 1
    return added


def consider(instance: Instance, state: Relaxation, duals: Duals, holders: IntArray, upper: FloatArray) -> None:
    """Keeps the proof that these prices give if it proves more. Holders not listed are beaten by one that is."""
    everywhere = np.zeros(instance.holders)
    everywhere[holders] = upper
    proof = Proof(instance, duals, everywhere)
    missing = np.where(instance.placeable, 0, instance.problem.count)
    value, _ = proof.value(demand_of(instance.problem, missing))
    if state.proof is None or value > state.bound:
        state.proof, state.bound = proof, value


def sharpen(instance: Instance, state: Relaxation, pricer: Pricer, over: Callable[[], bool]) -> None:
    """Prices the holders that hold the bound down with more and more branches, as long as that proves more."""
    if state.proof is None:
        _round(instance, state, pricer, state.duals, QUICK)
    for branches in THOROUGH:
        if over() or state.proof is None or state.cost - state.bound <= CLOSE * state.cost:
            return
        proof = state.proof
        pay = instance.arrays.price + charges(instance, proof.duals)
        loose = np.array([h for h in pricer.lean if proof.upper[h] > pay[h] * (1 + CLOSE)], dtype=np.int64)
        if not len(loose):
            return
        _, _, upper = pricer.price(loose, instance.upper, proof.duals, pay[loose], branches, 1e-6)
        better = proof.upper.copy()
        better[loose] = np.minimum(better[loose], upper)
        consider(instance, state, proof.duals, np.arange(instance.holders), better)
