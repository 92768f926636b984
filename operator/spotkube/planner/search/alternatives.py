"""What the plans of a front are worth, and the plan that is chosen of them."""

import numpy as np

from spotkube.planner.instance import Instance
from spotkube.planner.problem import Alternative, FloatArray
from spotkube.planner.reduced.expand import rows_needed
from spotkube.planner.reduced.state import Nodes, make_nodes
from spotkube.planner.search.flock import Flock, unload


def alternatives(instance: Instance, front: Flock) -> tuple[Alternative, ...]:
    """One for each plan, in their order."""
    arrays, spot = instance.arrays, instance.problem.spot
    there = float(arrays.spot_there @ arrays.spot_rate)
    interrupted = _interrupted(instance, front)
    return tuple(
        Alternative(
            cost=round(float(front.cost[i])),
            unmet=float(front.unmet[i]),
            interruption=spot.there_cost + float(front.interruption[i]),
            lost_together=float(front.tail[i]),
            interrupted=there + float(interrupted[i]),
        )
        for i in range(len(front.cost))
    )


def plan_of(instance: Instance, front: Flock, index: int) -> Nodes:
    """The plan as rows."""
    nodes = make_nodes(instance, rows_needed(instance))
    unload(instance.arrays, nodes, front, index)
    return nodes


def _interrupted(instance: Instance, front: Flock) -> FloatArray:
    """[I] pods an hour, as is expected."""
    arrays, rows = instance.arrays, len(front.holder)
    row_of = np.repeat(np.arange(rows), np.diff(front.item_start))
    heads = np.bincount(row_of, weights=front.pods * arrays.heads[front.group], minlength=rows)
    plan_of_row = np.repeat(np.arange(len(front.cost)), np.diff(front.row_start))
    each = front.times * heads * arrays.risk[front.holder]
    return np.bincount(plan_of_row, weights=each, minlength=len(front.cost)).astype(np.float64)
