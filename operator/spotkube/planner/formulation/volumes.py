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
from spotkube.model.resources import ResourceList
from spotkube.model.volumes import ATTACHABLE, UNLIMITED, AttachedVolume
from spotkube.planner.formulation.labeltable import LabelTable
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
    """Volumes that several pods use, of which one waits, by driver: room for each of them is kept on every node.

    A driver whose limits are too tight for that is left out: its shared volumes count for each pod, as if not shared.
    """
    leaving = {claim.node or claim.name for claim in snapshot.claims if claim.leaving}
    users = Counter(volume for pod in snapshot.pods for volume in pod.volumes)
    shared: dict[str, set[AttachedVolume]] = defaultdict(set)
    own: Counter[str] = Counter()
    for pod in snapshot.pods:
        if pod.volumes and (pod.node is None or pod.node in leaving):
            for driver, handle in pod.volumes:
                if users[driver, handle] > 1:
                    shared[driver].add((driver, handle))
            for name, number in pod.shape.attachments.items():
                own[name] = max(own[name], number)
    limits = _tightest(snapshot) if shared else {}
    return {
        driver: frozenset(volumes)
        for driver, volumes in shared.items()
        if len(volumes) + own[f"{ATTACHABLE}{driver}"] <= limits.get(driver, UNLIMITED)
    }


def _tightest(snapshot: Snapshot) -> dict[str, int]:
    """The smallest limit of each driver, on nodes that are there and on what is for sale."""
    limits: dict[str, int] = {}
    for node in snapshot.nodes:
        for driver, limit in node.volume_limits:
            limits[driver] = min(limit, limits.get(driver, limit))
    for offering in snapshot.offerings:
        for name in offering.allocatable:
            if name.startswith(ATTACHABLE):
                driver, limit = name.removeprefix(ATTACHABLE), offering.allocatable[name]
                limits[driver] = min(limit, limits.get(driver, limit))
    return limits


def taken(shape: PodShape, shared: Shared) -> ResourceList:
    """What a pod takes of its node: its requests, the volumes that it brings along, and the pod itself."""
    if not shape.attachments and not shape.shared_attachments:
        return shape.requests
    each = {n: k for n, k in shape.shared_attachments.items() if n.removeprefix(ATTACHABLE) not in shared}
    return shape.requests + shape.attachments + each


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
