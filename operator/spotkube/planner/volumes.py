"""Volumes: which nodes reach them, and how many of each CSI driver a node takes.

A node that is not bought yet has no CSINode, so that kube-scheduler knows no limit of it: only what the catalog says as
`attachable-volumes-csi-<driver>` of the type limits it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from spotkube.model.cluster import Node, Snapshot
from spotkube.model.offerings import Offering
from spotkube.model.pods import Pod, PodShape
from spotkube.model.volumes import ATTACHABLE, UNLIMITED, AttachedVolume
from spotkube.planner.labeltable import LabelTable
from spotkube.planner.problem import BoolArray, IntArray

Shared = Mapping[str, frozenset[AttachedVolume]]

# Labels that CSI drivers give to each node when they register, with the value of its zone.
CSI_ZONE_LABELS = (
    "topology.ebs.csi.aws.com/zone",
    "topology.gke.io/zone",
    "topology.disk.csi.azure.com/zone",
)


def reach_mask(table: LabelTable, shape: PodShape) -> BoolArray:
    """[rows] the nodes from which all volumes of the pod can be reached."""
    mask = np.ones(len(table), dtype=np.bool_)
    for terms in shape.volume_terms:
        mask &= table.any_of(terms)
    return mask


def shared_volumes(snapshot: Snapshot) -> Shared:
    """Volumes that several pods use, of which one waits, by driver: each may take one more of any node's limit."""
    leaving = {claim.node or claim.name for claim in snapshot.claims if claim.leaving}
    users = Counter(volume for pod in snapshot.pods for volume in pod.volumes)
    shared: dict[str, set[AttachedVolume]] = defaultdict(set)
    for pod in snapshot.pods:
        if pod.node is None or pod.node in leaving:
            for driver, handle in pod.volumes:
                if users[driver, handle] > 1:
                    shared[driver].add((driver, handle))
    return {driver: frozenset(volumes) for driver, volumes in shared.items()}


def attachable(node: Node, pods: Iterable[Pod], shared: Shared) -> tuple[tuple[str, int], ...]:
    """How many more volumes a node takes, by resource; those that pods share are taken to come to it as well."""
    there = {volume for pod in pods for volume in pod.volumes}
    left = []
    for driver, limit in node.volume_limits:
        taken = {volume for volume in there if volume[0] == driver} | shared.get(driver, frozenset())
        left.append((f"{ATTACHABLE}{driver}", max(0, limit - len(taken))))
    return tuple(left)


def limit_attachments(
    room: IntArray,
    offerings: Sequence[Offering],
    resources: Sequence[str],
    shared: Shared,
) -> None:
    """Sets in `room` [O, R] how many volumes each node to buy takes."""
    for r, name in enumerate(resources):
        if name.startswith(ATTACHABLE):
            reserved = len(shared.get(name.removeprefix(ATTACHABLE), ()))
            limits = [o.allocatable[name] - reserved if name in o.allocatable else UNLIMITED for o in offerings]
            room[:, r] = np.maximum(np.array(limits, dtype=np.int64), 0)
