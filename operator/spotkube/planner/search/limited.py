"""The problem with a limit on the pods that may stand in one spot pool, for children that are to lose less together.

It is a quota that every group counts in; with the limit of a child as what is left of it (an epsilon constraint).
"""

from dataclasses import dataclass, replace

import numpy as np

from spotkube.planner.instance import Arrays, Instance
from spotkube.planner.packing.scratch import Work
from spotkube.planner.problem import NO_LIMIT, IntArray
from spotkube.planner.reduced.state import Left, Nodes, make_nodes


@dataclass(frozen=True, eq=False)
class Limited:
    """The instance with one more quota, the last."""

    instance: Instance

    @classmethod
    def of(cls, instance: Instance) -> "Limited | None":
        """None where there are no two spot pools to spread over."""
        arrays = instance.arrays
        if len(np.unique(arrays.spot_pool[arrays.spot_pool >= 0])) < 2:
            return None
        return cls(replace(instance, arrays=_with_quota(arrays), quota_left=_left(instance, NO_LIMIT)))

    @property
    def arrays(self) -> Arrays:
        return self.instance.arrays

    def left(self, limit: int) -> Left:
        """What is left with at most so many pods in each spot pool, those that stand there counted."""
        instance = self.instance
        quota_left = instance.quota_left.copy()
        pools = len(instance.arrays.spot_there)
        quota_left[-1, :pools] = np.maximum(limit - instance.arrays.spot_there, 0)
        return Left(instance.problem.count, instance.arrays.stock, instance.pool_left, quota_left)

    def scratch(self, work: Work, rows: int) -> tuple[Work, Nodes]:
        """What a thread writes on, with most of what it has already."""
        caps = self.arrays.caps.shape[1]
        own = {name: np.zeros(caps, getattr(work, name).dtype) for name in ("cap_left", "cap_sum", "cap_best")}
        return work._replace(**own), make_nodes(self.instance, rows)


def _left(instance: Instance, limit: int) -> IntArray:
    """[Q + 1, D]"""
    quotas, pools = instance.quota_left, len(instance.arrays.spot_there)
    left = np.zeros((len(quotas) + 1, max(quotas.shape[1], pools)), np.int64)
    left[:-1, : quotas.shape[1]] = quotas
    left[-1, :pools] = limit
    return left


def _with_quota(arrays: Arrays) -> Arrays:
    groups, caps = len(arrays.heads), arrays.caps.shape[1]
    ends = arrays.cap_start[1:]
    return arrays._replace(
        caps=np.column_stack([arrays.caps, np.full(len(arrays.caps), NO_LIMIT)]),
        cap_start=arrays.cap_start + np.arange(groups + 1),
        cap_list=np.insert(arrays.cap_list, ends, caps),
        cap_use=np.insert(arrays.cap_use, ends, arrays.heads),
        quota_domain=np.column_stack([arrays.quota_domain, arrays.spot_pool]),
    )
