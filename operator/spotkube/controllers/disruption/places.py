"""Whether pods that shall leave a node have room elsewhere, on nodes that are Ready. Pure."""

from functools import cached_property

from spotkube.api import NodeClaim
from spotkube.api.nodeclaim import Phase
from spotkube.controllers.claims.arriving import is_ready
from spotkube.controllers.view import View
from spotkube.model.pods import Pod, PodShape
from spotkube.model.selectors import matches_all, untolerated
from spotkube.planner.formulation.bins import Bin


class Room:
    """What is free on the nodes of one View; looked up once, if at all. `target` names a claim, or else a Node."""

    def __init__(self, view: View) -> None:
        self._view = view

    def is_ready(self, target: str) -> bool:
        """Whether its node is there and runs pods."""
        claim = self._view.claims.get(target)
        node = self._view.node_of(claim) if claim else self._view.nodes.get(target)
        return node is not None and (is_ready(claim, node) if claim else node.ready)

    def takes(self, pod: Pod, target: str) -> bool:
        """Whether the node is Ready, stays, suits the pod by its labels and taints, and has room for its requests."""
        found = self._bins.get(target)
        return found is not None and self.is_ready(target) and _suits(pod.shape, found)

    def place(self, pod: Pod, planned: str) -> str | None:
        """Where it has room: as planned, or else on the fullest node that takes it. kube-scheduler may have put another
        pod there, and left free what was meant for that. A pod with rules over others goes as planned or not at all."""
        if self.takes(pod, planned):
            return planned
        shape = pod.shape
        if shape.spread or shape.affinity or shape.anti_affinity or shape.volume_terms:
            return None
        others = [found for name, found in self._bins.items() if found.claim and self.takes(pod, name)]
        return min(others, key=lambda found: (found.free["cpu"], found.name)).name if others else None

    @cached_property
    def _bins(self) -> dict[str, Bin]:
        return {found.name: found for found in self._view.bins}


def _suits(shape: PodShape, found: Bin) -> bool:
    labels = dict(found.labels)
    if any(labels.get(key) != value for key, value in shape.node_selector):
        return False
    if shape.affinity_terms and not any(matches_all(term, labels) for term in shape.affinity_terms):
        return False
    return untolerated(found.taints, shape.tolerations) is None and shape.requests.fits(found.free)


def is_gone(target: str, view: View) -> bool:
    """Whether nothing may come there any more: no such claim or Node, or one that is leaving."""
    claim = view.claims.get(target)
    if claim is not None and claim.metadata.deletion_timestamp is not None:
        return True
    name = view.node_names.get(target, target)
    node = view.nodes.get(name)
    if name in view.leaving_nodes or (node is not None and (node.unschedulable or node.deleting)):
        return True
    return claim is None and node is None


def movable(claim: NodeClaim, pods: tuple[Pod, ...], view: View, room: Room) -> frozenset[str]:
    """Which pods (their uids) of a node that leaves may be evicted though nothing presses.

    Those whose planned place is Ready, and those that nobody makes anew; after the pool's readyTimeout all of them, for
    then no place is to be expected any more.
    """
    draining, pool = claim.status.phase_times.get(Phase.DRAINING), view.pool_model(claim.spec.node_pool)
    patience = pool.ready_timeout_seconds if pool else 0.0
    if draining is not None and view.now - draining.timestamp() >= patience:
        return frozenset(pod.uid for pod in pods)
    return frozenset(
        pod.uid for pod in pods if not pod.owner or ((to := view.places.get(pod.uid)) and room.takes(pod, to))
    )
