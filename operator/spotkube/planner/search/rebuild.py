"""Ruin and dive: takes a few nodes out of a plan and places their pods anew by a dive into columns.

A large neighbourhood search. The compiled rounds of ruin and recreate pack one node after the other; this weighs all of
them together, sees beforehand whether anything can be gained, and finds columns on the way that only what is left asks
for. Where columns have all but converged it comes nearer to the bound than anything else here. (Shaw, "Using constraint
programming and local search methods to solve vehicle routing problems", CP 1998; Sadykov et al., "Primal heuristics for
branch and price: the assets of diving methods", INFORMS Journal on Computing 31, 2019.)
"""

from collections.abc import Callable

import numpy as np

from spotkube.planner.instance import Instance
from spotkube.planner.problem import FloatArray, IntArray
from spotkube.planner.reduced.expand import rows_needed
from spotkube.planner.reduced.nodes import place
from spotkube.planner.reduced.state import Nodes, make_nodes, reset
from spotkube.planner.relaxation.columns import Relaxation
from spotkube.planner.relaxation.master import Duals
from spotkube.planner.relaxation.pricing import Pricer
from spotkube.planner.relaxation.proof import charges
from spotkube.planner.search.flock import Flock, unload
from spotkube.planner.search.recreate import remove_one
from spotkube.planner.search.rest import Pool, RestProgram
from spotkube.planner.search.rounding import pack_left, pod_values

# How many nodes are taken away: no more than half of a large plan, or than a dive packs well and fast.
FEWEST, MOST = 3, 20
# How much chance adds to what pods on a node are worth for its price when the least worth are taken away.
CHANCES = (0.02, 0.1, 0.5)
# Rounds of pricing before the dive; branches for each holder, and the step of the search for its charges.
ROUNDS, BRANCHES, COARSE = 4, 30, 0.03
# How much chance may add to a fraction.
NOISE = 1.0


class Rebuilder:
    """Makes new plans of those at hand from the columns of a pool. Each thread needs one of its own."""

    def __init__(self, instance: Instance, relaxation: Relaxation, pricer: Pricer, pool: Pool) -> None:
        self.instance, self.relaxation, self.pool = instance, relaxation, pool
        self.pricer, self.mu = Pricer(instance, threads=1), pricer.mu.copy()
        self.value = pod_values(instance, relaxation)
        self.full = self._full()
        self.nodes = make_nodes(instance, rows_needed(instance))

    def child(self, flock: Flock, plan: int, seed: int, over: Callable[[], bool]) -> Nodes | None:
        """The plan with some nodes rebuilt, valid until the next call; None where nothing was to be gained, or `over`.

        What comes out depends on the pool, the plan and the seed alone.
        """
        chance, nodes, arrays = np.random.default_rng(seed), self.nodes, self.instance.arrays
        self.pricer.mu = self.mu.copy()
        reset(nodes, self.instance)
        unload(arrays, nodes, flock, plan)
        nodes.cuts[0] = 0
        whole = not nodes.remain[self.instance.placeable].any()
        chosen = self._chosen(nodes, chance)
        for row in chosen:
            remove_one(arrays, nodes, row)
        least = float(arrays.price[nodes.holder[chosen]].sum()) if whole else np.inf
        if not self._dive(nodes, least, chance, over):
            return None
        pack_left(self.instance, self.relaxation, self.pricer, nodes)
        return nodes

    def _dive(self, nodes: Nodes, cost: float, chance: np.random.Generator, over: Callable[[], bool]) -> bool:
        """Places what is left in `nodes`, as far as patterns do; False if it can't be had for less than `cost`."""
        program = RestProgram(self.instance, nodes)
        program.add(*self.pool.clipped(nodes, self.value), nodes)
        rounds = ROUNDS
        while not over():
            for _ in range(rounds):
                amount, duals, least = program.solve()
                if not self._price(program, nodes, duals):
                    break
            else:
                amount, duals, least = program.solve()
            if rounds == ROUNDS and least >= cost * (1.0 - 1e-9):
                return False
            rounds = 1
            if not self._fix(program, amount, nodes, chance) or not nodes.remain.any():
                return True
            program.limit(nodes)
        return False

    def _price(self, program: RestProgram, nodes: Nodes, duals: Duals) -> bool:
        """Adds the patterns that the duals ask for; whether there were any."""
        holders = self.pricer.lean[nodes.stock[self.pricer.lean] > 0]
        pay = (self.instance.arrays.price + charges(self.instance, duals))[holders]
        patterns, found, _ = self.pricer.price(holders, nodes.remain, duals, pay, BRANCHES, COARSE)
        better = found > pay * (1 + 1e-9)
        program.add(holders[better], patterns[better], nodes)
        return bool(better.any())

    def _fix(self, program: RestProgram, amount: FloatArray, nodes: Nodes, chance: np.random.Generator) -> bool:
        """Places the whole parts, or else the largest of the fractions, but for chance; whether anything was placed."""
        arrays = self.instance.arrays
        whole = np.floor(amount + 1e-6).astype(np.int64)
        placed = 0
        for i in np.flatnonzero(whole):
            placed += place(arrays, nodes, int(program.holders[i]), program.patterns[i], int(whole[i]))
        fractions = np.flatnonzero(amount - whole > 1e-6)
        rank = (amount - whole)[fractions] + NOISE * chance.random(len(fractions))
        for i in fractions[np.argsort(-rank, kind="stable")]:
            if placed:
                break
            placed += place(arrays, nodes, int(program.holders[i]), program.patterns[i], 1)
        return placed > 0

    def _chosen(self, nodes: Nodes, chance: np.random.Generator) -> IntArray:
        """The rows to take a node of: those least worth their price, but for chance."""
        rows = np.arange(int(nodes.rows[0]))
        rate = (nodes.pods[rows] @ self.value) / self.full[nodes.holder[rows]]
        each = np.repeat(rows, nodes.times[rows])
        number = int(chance.integers(FEWEST, max(FEWEST + 1, min(len(each) // 2, MOST))))
        key = rate[each] + chance.choice(CHANCES) * chance.random(len(each))
        return each[np.argsort(key, kind="stable")[:number]]

    def _full(self) -> FloatArray:
        """[H] what the pods on a holder should be worth: its price, or what a bin can hold at most."""
        proof, bins = self.relaxation.proof, self.instance.kind_of < 0
        full = self.instance.arrays.price.astype(float)
        if proof is not None:
            full[bins] = proof.upper[bins]
        value: FloatArray = np.maximum(full, 1.0)
        return value
