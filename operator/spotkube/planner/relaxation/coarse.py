"""A smaller problem to begin with: bins that are nearly alike are all as small as the smallest of them.

With thousands of bins a round of the column generation takes long, and most rounds pass before the prices are about
right. Those of the smaller problem nearly are, and its patterns fit. What is proven is proven later, with every bin as
it is.
"""

from dataclasses import dataclass, replace

import numpy as np

from spotkube.planner.instance import Instance
from spotkube.planner.problem import IntArray
from spotkube.planner.relaxation.blocks import make_blocks
from spotkube.planner.relaxation.master import Master

# So many bins are left; it pays from so many times as many on.
BINS, PAYS_FROM = 400, 3
BY_HOLDER = (
    "room",
    "allowed",
    "caps",
    "price",
    "risk",
    "stock",
    "lean",
    "pool",
    "pool_use",
    "met",
    "quota_domain",
    "spot_pool",
)


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
    chosen = np.array([holders[0] for holders in members], np.int64)
    whole = instance.arrays
    arrays = whole._replace(**{name: getattr(whole, name)[chosen] for name in BY_HOLDER})
    for one, holders in enumerate(members[len(kinds) :], start=len(kinds)):
        arrays.stock[one] = whole.stock[holders].sum()
        for name in ("room", "caps", "met"):
            getattr(arrays, name)[one] = getattr(whole, name)[holders].min(axis=0)
        fit = (whole.demand <= arrays.room[one]).all(axis=1)
        arrays.allowed[one] = whole.allowed[holders].all(axis=0) & fit
    small = replace(
        instance,
        arrays=arrays,
        kind_of=instance.kind_of[chosen],
        bins_of=tuple(instance.bins_of[h] for h in chosen),
        placeable=np.asarray(arrays.allowed.any(axis=0)),
    )
    return Coarse(small, members)


def transfer(coarse: Coarse, small: Master, master: Master) -> None:
    """Gives the master of the whole problem, in the same blocks, the columns of kinds, and those of bins in use."""
    number = {int(block[0]): i for i, block in enumerate(small.blocks)}
    amount, _, _ = small.solve()
    for column, (holder, pattern) in enumerate(zip(small.holders, small.patterns, strict=True)):
        if holder not in number:
            master.add(int(coarse.members[holder][0]), pattern)
        elif amount[column] > 0:
            i = number[holder]
            own = small.apart.get(column, pattern[None]).astype(np.int64)
            shapes = np.repeat(own, [len(coarse.members[h]) for h in small.blocks[i]], axis=0)
            master.add_shapes(shapes, i)
