# mypy: disable-error-code="arg-type"
"""Turns the fractional plan of the column generation into a whole one by diving.

What is whole in it is fixed, then what is nearly whole; the rest is priced and solved again, until nothing is left.
"""

from collections.abc import Iterator

import numpy as np

from spotkube.planner.instance import Instance
from spotkube.planner.problem import FloatArray, IntArray
from spotkube.planner.reduced.expand import rows_needed
from spotkube.planner.reduced.nodes import place
from spotkube.planner.reduced.state import Nodes, make_nodes
from spotkube.planner.relaxation.columns import Relaxation
from spotkube.planner.relaxation.pricing import Pricer
from spotkube.planner.relaxation.proof import charges
from spotkube.planner.search.effort import effort_for
from spotkube.planner.search.recreate import BRANCHES
from spotkube.planner.search.refill import fill_gaps, pack_rest
from spotkube.planner.search.scoring import by_price, retype
from spotkube.planner.search.settling import rest_of, settle

# Parts from this on are rounded up at once.
NEARLY = 0.9
# How much chance may add to a fraction.
NOISE = 0.4


def dive(
    instance: Instance, relaxation: Relaxation, pricer: Pricer, chance: np.random.Generator | None = None
) -> Iterator[Nodes]:
    """Yields the plan after each step; what it leaves unplaced is for `pack_left`.

    With `chance` fractions are rounded up in an order that is partly random. At the end the master is as before, but
    for the columns that were found on the way.
    """
    nodes = make_nodes(instance, rows_needed(instance))
    master = relaxation.master
    demand = master.demand
    if master.together.any():
        master, amount = yield from settle(instance, relaxation, pricer, nodes, chance or np.random.default_rng(0))
    else:
        amount, _, _ = master.solve()
    try:
        while _fix(instance, master.holders, master.patterns, amount, nodes, chance):
            yield nodes
            if not (nodes.remain[instance.placeable] > 0).any():
                return
            master.require(rest_of(instance, nodes.remain))
            master.offer(nodes.stock, nodes.pool_left)
            amount, duals, _ = master.solve()
            open_ = pricer.lean[(nodes.stock > 0)[pricer.lean] & master.known[pricer.lean]]
            pay = (instance.arrays.price + charges(instance, duals))[open_]
            patterns, found, _ = pricer.price(open_, nodes.remain, duals, pay, 100, 0.03)
            better = [master.add(int(open_[i]), patterns[i]) for i in np.flatnonzero(found > pay * (1 + 1e-9))]
            if any(better):
                amount, _, _ = master.solve()
    finally:
        relaxation.master.require(demand)
        relaxation.master.offer(instance.arrays.stock, instance.pool_left)


def pack_left(instance: Instance, relaxation: Relaxation, pricer: Pricer, nodes: Nodes) -> None:
    """Packs what a dive left unplaced, first into gaps; then makes each node as cheap a kind as holds its pods."""
    value, best = pod_values(instance, relaxation), np.zeros(instance.problem.groups, np.int64)
    nodes.cuts[0] = 0
    fill_gaps(instance.arrays, pricer.work, nodes, value, pricer.mu, BRANCHES)
    pack_rest(
        instance.arrays, pricer.work, nodes, best, pricer.by_promise(relaxation.proof), value, 0.0, pricer.mu, BRANCHES
    )
    retype(instance.arrays, nodes, by_price(instance))


def pod_values(instance: Instance, relaxation: Relaxation) -> FloatArray:
    """The worth of a pod of each group: its dual, but never nothing, so that every pod gets packed."""
    duals = relaxation.proof.duals if relaxation.proof else relaxation.duals
    value = duals.pod(instance)
    arrays = instance.arrays
    share = (arrays.demand / np.maximum(arrays.room.max(axis=0, initial=1), 1)).max(axis=1, initial=0.0)
    least: FloatArray = np.maximum(1e-3 * share * float(arrays.price.max(initial=1.0)), 1e-3)
    return np.maximum(value, least)


def _fix(
    instance: Instance,
    holders: list[int],
    patterns: list[IntArray],
    amount: FloatArray,
    nodes: Nodes,
    chance: np.random.Generator | None,
) -> bool:
    """Places the whole parts, then the largest fractions; whether anything was placed."""
    whole = np.floor(amount + 1e-6).astype(np.int64)
    part = np.maximum(amount - whole, 0.0)
    placed = 0
    for i in np.flatnonzero(whole):
        placed += place(instance.arrays, nodes, holders[i], patterns[i], int(whole[i]))
    fractions = np.flatnonzero(part > 1e-6)
    rank = part[fractions] if chance is None else part[fractions] + NOISE * chance.random(len(fractions))
    order = fractions[np.argsort(-rank, kind="stable")]
    steps = effort_for(instance.problem.groups).dive_steps
    enough = max(1, -(-len(order) // steps)) if not placed else 0
    for i in order:
        if enough <= 0 and part[i] < NEARLY:
            break
        # A node that would not be full is better chosen by what is left than by the pattern.
        if (patterns[i] <= nodes.remain).all() and place(instance.arrays, nodes, holders[i], patterns[i], 1):
            placed += 1
            enough -= 1
    return placed > 0
