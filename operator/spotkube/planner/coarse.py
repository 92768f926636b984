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

    def blocks(self, small: Master) -> list[IntArray]:
        """The blocks of the whole problem that stand for those of the smaller one."""
        return [np.concatenate([self.members[h] for h in block]) for block in small.blocks]


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
    small = replace(
        instance,
        arrays=arrays,
        kind_of=instance.kind_of[chosen],
        bins_of=tuple(instance.bins_of[h] for h in chosen),
        placeable=np.asarray(arrays.allowed.any(axis=0)),
    )
    return Coarse(small, members)


def transfer(coarse: Coarse, small: Master, master: Master) -> None:
    """Gives the master of the whole problem, in the same blocks, the columns of the smaller one as far as they fit.

    Of kinds all; of bins those that are in use, without the bins that are too small for their part.
    """
    number = {int(block[0]): i for i, block in enumerate(small.blocks)}
    amount, _, _ = small.solve()
    for column, (holder, pattern) in enumerate(zip(small.holders, small.patterns, strict=True)):
        if holder not in number:
            master.add(int(coarse.members[holder][0]), pattern)
        elif amount[column] > 0:
            i = number[holder]
            own = small.apart.get(column, pattern[None]).astype(np.int64)
            shapes = np.repeat(own, [len(coarse.members[h]) for h in small.blocks[i]], axis=0)
            shapes *= [[fits(master.instance, int(h), pods)] for h, pods in zip(master.blocks[i], shapes, strict=True)]
            master.add_shapes(shapes, i)
