"""In which order nodes are bought: those of the pods that have waited longest come first.

kube-scheduler tries pods one after the other, by priority and then by how long they wait. Hundreds of nodes come one
after the other too, and a pod that is tried before its node is there goes to the queue's end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from spotkube.model.pods import Pod, turn_of
from spotkube.planner.formulation.groups import Group
from spotkube.planner.problem import Solution


def in_turn(solution: Solution, groups: Sequence[Group], pods: Iterable[Pod]) -> Solution:
    """The same solution with its nodes in the order in which pods need them; services before batch.

    Of each group the pods that were created first have the bins and then the nodes that come first, as they are dealt.
    `pods` are all those of the groups.
    """
    turns = {pod.uid: turn_of(pod) for pod in pods}
    waiting = [(group.batch, turns[uid], uid, g) for g, group in enumerate(groups) for uid in group.pods]
    bundles = np.array([group.bundle for group in groups], dtype=np.int64)
    free = solution.bin_pods.sum(axis=0) * bundles
    holds = solution.node_pods * bundles
    closed = np.ones(len(holds), dtype=np.bool_)
    order: list[int] = []
    for *_, g in sorted(waiting):
        if not free[g] and (holds[closed, g] > 0).any():
            node = int(np.argmax(np.where(closed, holds[:, g], 0)))
            closed[node] = False
            order.append(node)
            free += holds[node]
        free[g] -= 1
    order += np.flatnonzero(closed).tolist()
    return replace(solution, node_kind=solution.node_kind[order], node_pods=solution.node_pods[order])
