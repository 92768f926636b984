"""A smaller problem to begin with: of bins that are nearly alike one stands for all.

With thousands of bins a round of the column generation takes long, and most rounds pass before the prices are about
right. Those of the smaller problem nearly are, and most of its patterns fit. What is proven is proven later, with every
bin.
"""

from dataclasses import dataclass, replace

import numpy as np

from spotkube.planner.blocks import make_blocks
from spotkube.planner.expand import fits
from spotkube.planner.instance import Instance
from spotkube.planner.master import Master
from spotkube.planner.problem import IntArray

# So many bins are left; it pays from so many times as many on.
BINS, PAYS_FROM = 400, 3
BY_HOLDER = ("room", "allowed", "caps", "price", "risk", "stock", "lean", "pool", "pool_use", "met", "quota_domain")


@dataclass(frozen=True, eq=False)
class Coarse:
    """The smaller problem, and for each of its holders those that it stands for."""

    instance: Instance
    members: list[IntArray]


def make_coarse(instance: Instance) -> Coarse | None:
    """None where it would save little."""
    kinds, bins = np.flatnonzero(instance.kind_of >= 0), np.flatnonzero(instance.kind_of < 0)
    if len(bins) < BINS * PAYS_FROM:
        return None
    members = [*(kinds[i : i + 1] for i in range(len(kinds))), *make_blocks(instance, bins, BINS)]
    chosen = np.array([holders[len(holders) // 2] for holders in members], np.int64)
    arrays = instance.arrays
    arrays = arrays._replace(**{name: getattr(arrays, name)[chosen] for name in BY_HOLDER})
    arrays.stock[len(kinds) :] = [instance.arrays.stock[holders].sum() for holders in members[len(kinds) :]]
    bins_of = tuple(instance.bins_of[h] for h in chosen)
    return Coarse(replace(instance, arrays=arrays, kind_of=instance.kind_of[chosen], bins_of=bins_of), members)


def refine(coarse: Coarse, small: Master, instance: Instance) -> Master:
    """The master of the whole problem, in the same blocks, with what fits of the columns."""
    blocks = [np.concatenate([coarse.members[h] for h in block]) for block in small.blocks]
    number = {int(block[0]): i for i, block in enumerate(small.blocks)}
    master = Master(instance, small.demand, blocks)
    for column, (holder, pattern) in enumerate(zip(small.holders, small.patterns, strict=True)):
        if holder not in number:
            master.add(int(coarse.members[holder][0]), pattern)
    amount, _, _ = small.solve()
    for column in np.flatnonzero(amount > 0).tolist():
        if small.holders[column] in number:
            i = number[small.holders[column]]
            own = small.apart.get(column, small.patterns[column][None]).astype(np.int64)
            times = [len(coarse.members[h]) for h in small.blocks[i]]
            shapes = np.repeat(own, times, axis=0)
            for j, bin_ in enumerate(blocks[i].tolist()):
                if not fits(instance, bin_, shapes[j]):
                    shapes[j] = 0
            master.add_together(shapes, i, instance.arrays.stock[blocks[i]] @ shapes)
    return master
