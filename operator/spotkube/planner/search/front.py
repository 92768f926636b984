"""The front: plans of which none is as good as another in every objective and better in one."""

import numpy as np

from spotkube.planner.problem import BoolArray, FloatArray, IntArray


def undominated(points: FloatArray) -> BoolArray:
    """[n] of points [n, objectives], all to be small. Of equal ones the first stands for all."""
    no_worse = (points[:, None, :] <= points[None, :, :]).all(axis=2)
    better = no_worse & ~no_worse.T
    equal_before = np.tril(no_worse & no_worse.T, -1)
    return np.asarray(~better.any(axis=0) & ~equal_before.any(axis=1))


def spread(points: FloatArray, most: int) -> IntArray:
    """Indices of at most so many points, by the first objective: of too many the most crowded goes, one at a time.

    The best point in each objective stays; of those that are as good the best in the objectives before.
    """
    kept = np.lexsort(points.T[::-1])
    if len(kept) <= most:
        return kept
    pinned = {int(np.lexsort((*points.T[::-1], column))[0]) for column in points.T}
    while len(kept) > most:
        distance = crowding(points[kept])
        distance[[i for i, index in enumerate(kept.tolist()) if index in pinned]] = np.inf
        kept = np.delete(kept, int(np.argmin(distance)))
    return kept


def crowding(points: FloatArray) -> FloatArray:
    """[n] the crowding distance of NSGA-II (Deb et al. 2002): how far apart a point's neighbours are."""
    distance = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        width = float(column[order[-1]] - column[order[0]])
        if width > 0:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / width
    return distance
