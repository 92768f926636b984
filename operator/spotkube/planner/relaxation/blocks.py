"""Many bins taken together: a block of bins that are nearly alike is one row of the master, and one column at a time.

Of thousands of nodes that are there hardly two have the same room left. With a row and columns of its own for each the
linear program would take seconds; but it only matters what all of them together hold, and like bins hold like pods. A
column of a block has a pattern for each of its bins, so nothing is lost but some freedom to mix those. Proofs don't
read columns: they price every bin by itself.
"""

import numpy as np

from spotkube.planner.instance import Instance
from spotkube.planner.problem import FloatArray, IntArray

# So many classes of bins may have a row of the master each; more are put into so many blocks.
MOST_BLOCKS = 192
# How far apart bins are that are open to different groups: more than by any room.
APART = 100.0


def make_blocks(instance: Instance, bins: IntArray, most: int) -> list[IntArray]:
    """These holders in at most so many blocks: whichever is widest for its number is cut in halves, again and again."""
    if len(bins) <= most:
        return [bins[i : i + 1] for i in range(len(bins))]
    places, blocks = _places(instance, bins), [np.arange(len(bins))]
    width = [_width(places)]
    while len(blocks) < most:
        widest = int(np.argmax(width))
        block = blocks[widest]
        axis = int(np.argmax(np.ptp(places[block], axis=0)))
        block = block[np.argsort(places[block, axis], kind="stable")]
        blocks[widest], other = block[: len(block) // 2], block[len(block) // 2 :]
        width[widest] = _width(places[blocks[widest]])
        blocks.append(other)
        width.append(_width(places[other]))
    return [bins[block] for block in blocks]


def _places(instance: Instance, bins: IntArray) -> FloatArray:
    """[n, R + 1] how far the bins are apart: in parts of their room, and by whom they are open to."""
    problem = instance.problem
    first = [int(instance.bins_of[h][0]) for h in bins]
    _, open_to = np.unique(problem.bin_compatible[:, first].T, axis=0, return_inverse=True)
    return np.column_stack([np.log1p(instance.arrays.room[bins]), APART * open_to.ravel()])


def _width(places: FloatArray) -> float:
    return float(np.ptp(places, axis=0).max() * np.sqrt(len(places)))
