"""Who waits for a place that somebody has to find."""

from collections.abc import Set

from spotkube.model.cluster import Snapshot
from spotkube.model.labels import PLACEMENT_GATE
from spotkube.model.pods import Pod
from spotkube.planner.formulation.bins import KeptBins, make_bins


def pods_to_place(snapshot: Snapshot) -> list[Pod]:
    """Pods that wait for us: those of Workloads, those with our gate, and others that kube-scheduler has no node for.

    It says so of one pod after the other, a few hundred a second. Once it has said it of one, the others are not waited
    for: what is there is filled before anything is bought, so that those which it has a node for cost nothing.

    Pods on nodes that are leaving count too: their room is bought before they are moved, and once one is evicted, the
    pod that follows it takes that room. So nothing is bought twice.
    """
    leaving = {claim.node or claim.name for claim in snapshot.claims if claim.leaving}
    full = any(pod.unschedulable and pod.node is None for pod in snapshot.pods)
    return [
        pod
        for pod in snapshot.pods
        if not (pod.deleting or pod.daemon or pod.mirror) and _wants_room(pod, leaving, full=full)
    ]


def unsettled(snapshot: Snapshot, kept: KeptBins | None = None) -> frozenset[str]:
    """Pods (their uids) that wait for a place and have none yet, not even one that is being bought. `kept` as in
    `make_bins`."""
    waiting = frozenset(pod.uid for pod in pods_to_place(snapshot))
    if not waiting:  # as mostly: then no bins are needed
        return waiting
    return waiting - {pod.uid for bin_ in make_bins(snapshot, kept) for pod in bin_.residents}


def _wants_room(pod: Pod, leaving: Set[str], *, full: bool) -> bool:
    if pod.node is not None:
        # A bare pod ends with its node, since nobody makes it anew.
        return pod.node in leaving and bool(pod.owner)
    if not set(pod.gates) <= {PLACEMENT_GATE}:
        return False
    return pod.workload is not None or bool(pod.gates) or pod.unschedulable or (full and pod.shape.is_pinnable)
