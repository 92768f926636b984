# mypy: disable-error-code="arg-type"
"""Whole patterns for the bins of blocks, of which the fractional plan only says which share of each block takes which.

A basic solution takes one pattern for most blocks, and as many more as there are groups; so few bins stay open. They
get new blocks and new patterns for the pods that remain, and so on; in the end each is by itself.
"""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from spotkube.planner.instance import Instance
from spotkube.planner.problem import FloatArray, IntArray
from spotkube.planner.reduced.nodes import place
from spotkube.planner.reduced.state import Nodes
from spotkube.planner.relaxation.blocks import MOST_BLOCKS, make_blocks
from spotkube.planner.relaxation.columns import Relaxation, add_better, add_blocks
from spotkube.planner.relaxation.master import Demand, Duals, Master
from spotkube.planner.relaxation.pricing import Pricer
from spotkube.planner.relaxation.proof import charges

# Shares that are whole but for rounding errors.
WHOLE = 1e-6
# How often blocks are made anew at most, and rounds of new patterns for them: they begin with the best so many each.
SETTLINGS, ROUNDS, BEST = 4, 4, 2
# So many bins may be by themselves in the end. Of more, the others get no patterns: they are filled like gaps.
MOST_ALONE = 1024
# How far the prices are kept towards those of the whole problem in these rounds, where few columns are at hand.
SMOOTHING = 0.5


@dataclass(frozen=True, eq=False)
class _Open:
    """A bin without pods yet, and the patterns of its block's columns, those of the largest share first."""

    holder: int
    patterns: list[IntArray]


def settle(
    instance: Instance, relaxation: Relaxation, pricer: Pricer, nodes: Nodes, chance: np.random.Generator
) -> Generator[Nodes, None, tuple[Master, FloatArray]]:
    """Places what whole parts of the blocks hold, and yields after each time.

    Returns a master for what then remains, with the columns at hand, and its fractional plan. Its bins, each by itself,
    are those that are left over of blocks with several patterns.
    """
    master, (amount, duals, _) = relaxation.master, relaxation.master.solve()
    for number in range(SETTLINGS):
        still = _settle_blocks(instance, master, amount, nodes, chance)
        yield nodes
        # Shares of small blocks may stay fractions for ever; what is dived into must be patterns of single bins.
        last = number == SETTLINGS - 1
        master = _master_for(instance, master, nodes, still[:MOST_ALONE] if last else still, last)
        amount = _find_patterns(instance, master, pricer, nodes, duals)
        if not master.together.any():
            break
    return master, amount


def rest_of(instance: Instance, remain: IntArray) -> Demand:
    """Each group of the plan's own split has to be covered: families are decided by now."""
    families = np.zeros(int(instance.problem.family.max(initial=-1)) + 1, np.int64)
    np.add.at(families, instance.problem.family, remain)
    return Demand(remain, families)


def _settle_blocks(
    instance: Instance, master: Master, amount: FloatArray, nodes: Nodes, chance: np.random.Generator
) -> list[_Open]:
    """Gives the columns of each block their shares of its bins, in whole bins; those that are still open."""
    columns: dict[int, list[int]] = {int(block[0]): [] for block in master.blocks}
    for column in np.argsort(-amount, kind="stable").tolist():
        if amount[column] > WHOLE and master.holders[column] in columns:
            columns[master.holders[column]].append(column)
    still = []
    for block in master.blocks:
        mine = columns[int(block[0])]
        patterns = [master.apart.get(column, master.patterns[column][None]) for column in mine]
        shares = [int((amount[column] + WHOLE) * len(block)) for column in mine]
        for i in chance.permutation(len(block)):
            holder, own = int(block[i]), [pattern[i].astype(np.int64) for pattern in patterns]
            for k, share in enumerate(shares):
                # A class by itself may share its bins out; in a block every class counts once.
                most = int(nodes.stock[holder]) if len(block) > 1 else share
                if share and most and place(instance.arrays, nodes, holder, own[k], most):
                    shares[k] -= 1
            if own and nodes.stock[holder]:
                still.append(_Open(holder, own))
    return still


def _master_for(instance: Instance, before: Master, nodes: Nodes, still: list[_Open], alone: bool) -> Master:
    """A master for the pods that remain: all columns of kinds, and the open bins in new blocks, or each `alone`."""
    bins = {one.holder: one for one in still}
    blocks = make_blocks(instance, np.array(sorted(bins), np.int64), len(bins) if alone else MOST_BLOCKS)
    master = Master(instance, rest_of(instance, nodes.remain), blocks)
    master.offer(nodes.stock, nodes.pool_left)
    for holder, pattern in zip(before.holders, before.patterns, strict=True):
        if instance.kind_of[holder] >= 0:
            master.add(holder, pattern)
    for i, block in enumerate(blocks):
        for best in range(BEST):
            own = np.array([bins[h].patterns[min(best, len(bins[h].patterns) - 1)] for h in block.tolist()])
            master.add_shapes(own, i)
    return master


def _find_patterns(instance: Instance, master: Master, pricer: Pricer, nodes: Nodes, centre: Duals) -> FloatArray:
    """Some rounds of patterns of the pods that remain, for what may still be had; the fractional plan then."""
    holders = pricer.lean[(master.known & (nodes.stock > 0))[pricer.lean]]
    amount, latest, _ = master.solve()
    for _ in range(ROUNDS):
        duals = latest.blend(centre, SMOOTHING)
        pay = (instance.arrays.price + charges(instance, duals))[holders]
        patterns, _, _ = pricer.price(holders, nodes.remain, duals, pay, 60, 5e-3)
        shapes = np.zeros((instance.holders, instance.problem.groups), np.int64)
        shapes[holders] = patterns
        if not add_better(master, latest, holders, patterns) + add_blocks(master, latest, shapes):
            break
        amount, latest, _ = master.solve()
    return amount
