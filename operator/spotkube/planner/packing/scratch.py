"""Scratch space of the knapsack search."""

from typing import NamedTuple

import numpy as np

from spotkube.planner.problem import FloatArray, IntArray

# Cells of the table: 16 MiB.
TABLE_CELLS = 2**21


class Work(NamedTuple):
    """Scratch space of one thread, so that the inner loops allocate nothing."""

    pattern: IntArray  # [G] the answer: pods of each group
    items: IntArray  # [G] groups that may be packed, most valuable for their size first
    most: IntArray  # [G] by item: most pods
    chosen: IntArray  # [G] by item: pods in the branch at hand
    ratio: (
        FloatArray  # [R + 1, G + 1] by item: best value per unit of a resource (last row: of all, weighed) from here on
    )
    rest: FloatArray  # [G + 1] by item: what the items from here on add to the Lagrangian bound
    total: FloatArray  # [G + 1] by item: what they are worth in all
    key: FloatArray  # [G]
    left: IntArray  # [R]
    cap_left: IntArray  # [K + Q]
    foes: IntArray  # [G] how many chosen items forbid the group
    met: IntArray  # [N] what meets each need: chosen items, and what was there before
    cap_sum: FloatArray  # [K + Q]
    cap_best: FloatArray  # [K + Q]
    cap_of: IntArray  # [G] by item: the cap under which the bound counts it, or -1
    cap_use_of: IntArray  # [G] by item: what a pod counts under that cap
    trial: FloatArray  # [R]
    table: FloatArray  # see spotkube.planner.packing.tables
    table_mu: FloatArray  # [R] what the table charges
    table_unit: IntArray  # [1] the unit in which it counts
    table_width: IntArray  # [1] cells of a row


def make_work(groups: int, resources: int, caps: int, needs: int = 0) -> Work:
    """Scratch for problems of this shape."""

    def ints(n: int) -> IntArray:
        return np.zeros(n, np.int64)

    return Work(
        pattern=ints(groups),
        items=ints(groups),
        most=ints(groups),
        chosen=ints(groups),
        ratio=np.zeros((resources + 1, groups + 1)),
        rest=np.zeros(groups + 1),
        total=np.zeros(groups + 1),
        key=np.zeros(groups),
        left=ints(resources),
        cap_left=ints(caps),
        foes=ints(groups),
        met=ints(needs),
        cap_sum=np.zeros(caps),
        cap_best=np.zeros(caps),
        cap_of=ints(groups),
        cap_use_of=np.ones(groups, np.int64),
        trial=np.zeros(resources),
        table=np.zeros(max(TABLE_CELLS, 16 * (groups + 1))),
        table_mu=np.zeros(resources),
        table_unit=ints(1),
        table_width=ints(1),
    )
