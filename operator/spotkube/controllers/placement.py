"""Brings pods onto the nodes that were planned for them, by nomination.

kube-scheduler tries a pod's nominated node first and keeps that room from others, and still runs all its filters. Pods
that were born with our gate are let go once their node is Ready.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from spotkube.api import NodeClaim
from spotkube.api.nodeclaim import CapacityType, Phase
from spotkube.cluster.errors import ApiError, Conflict, Invalid, NotFound
from spotkube.cluster.resources import PODS
from spotkube.controllers.toolbox import Toolbox, each
from spotkube.controllers.view import View
from spotkube.model.cluster import Node
from spotkube.model.labels import HOSTNAME, NODECLAIM, PLACEMENT_GATE, PLANNED_PODS, UNREGISTERED_TAINT
from spotkube.model.plan import Placement
from spotkube.model.pods import Pod
from spotkube.planner.landing.site import is_delicate

# Phases of a claim whose node takes no pods yet, since not all of them are nominated.
_CLOSED = (None, Phase.PENDING, Phase.LAUNCHED, Phase.REGISTERED)
logger = logging.getLogger(__name__)


def pods_held(view: View) -> Counter[str]:
    """By Node (or claim, before it has one): pods planned onto it whose nomination is not stored yet, so that
    kube-scheduler does not keep room for them. For a pod that is nominated it does, also while our gate is on it."""
    names = view.node_names
    held: Counter[str] = Counter()
    for uid, pod in view.pods.items():
        if pod.node is None and pod.nominated and not pod.deleting:
            target = names.get(pod.nominated, pod.nominated)
            held[target] += pod.shape.is_pinnable and view.pods_as_stored[uid].nominated != target
    return held


def exposed_plans(view: View) -> frozenset[str]:
    """Plans of which pods that kube-scheduler may try at any moment (no gate is on them) are planned onto on-demand
    nodes, and not bound yet. Refused by a node that is closed, such a pod loses its nomination and goes wherever there
    is room, on a spot node too."""
    on_demand = {
        view.node_names[claim.name]: claim.spec.plan
        for claim in view.claims.values()
        if claim.spec.capacity_type is CapacityType.ON_DEMAND and claim.spec.plan
    }
    tried = (pod for pod in view.pods.values() if pod.node is None and not pod.gates and not pod.deleting)
    targets = (view.node_names.get(pod.nominated or "", pod.nominated or "") for pod in tried)
    return frozenset(plan for target in targets if (plan := on_demand.get(target)))


def delicate_nodes(view: View) -> dict[str, frozenset[str]]:
    """By plan: nodes of pods that kube-scheduler may try at any moment, and that must not go elsewhere than planned.

    Where pods need the company of others, the first of them draws all others after it; and one of a higher priority
    takes room that is kept for others. So these nodes are opened before the others of their plan.
    """
    plans = {view.node_names[claim.name]: claim.spec.plan for claim in view.claims.values() if claim.spec.plan}
    coming: dict[str, list[tuple[str, Pod]]] = defaultdict(list)
    for pod in view.pods.values():
        target = view.node_names.get(pod.nominated or "", pod.nominated or "")
        if pod.node is None and not pod.deleting and target in plans:
            coming[plans[target]].append((target, pod))
    found = {}
    for plan, pods in coming.items():
        lowest = min(pod.shape.priority for _, pod in pods)
        delicate = frozenset(node for node, pod in pods if not pod.gates and is_delicate(pod.shape, lowest))
        if delicate:
            found[plan] = delicate
    return found


class PlacementController:
    """Remembers where the plans in force put each pod until it is bound there.

    After a restart, what was nominated stands in the pods themselves, and what was not on the claims. Planned anew,
    pods of many sizes might not all fit again onto nodes that are just large enough for them.
    """

    def __init__(self, tools: Toolbox, *, by_selector: bool = False) -> None:
        """`by_selector`: this cluster's kube-scheduler does not go by nominations (before Kubernetes 1.35). Gated pods
        are then given a node selector besides, where that is harmless."""
        self._tools = tools
        self._by_selector = by_selector
        self._targets: dict[str, str] = {}
        self._recalled = False

    def recall(self, claims: Iterable[NodeClaim], pods: Iterable[Pod]) -> None:
        """Once at the beginning: what was planned onto claims whose nodes are not open yet, and is not nominated."""
        if self._recalled:
            return
        self._recalled = True
        # Those with a node may be about to leave it; where not, the next `reconcile` forgets them.
        concerned = {pod.uid for pod in pods if pod.node is not None or pod.nominated is None}
        for claim in claims:
            planned = (claim.metadata.annotations or {}).get(PLANNED_PODS, "")
            if claim.status.phase in _CLOSED and claim.metadata.deletion_timestamp is None:
                self.remember(Placement(uid, claim.name) for uid in planned.split(",") if uid in concerned)

    def remember(self, placements: Iterable[Placement]) -> None:
        self._targets.update({placement.pod: placement.target for placement in placements})

    def forget(self) -> None:
        """Whoever led meanwhile may have decided otherwise."""
        self._targets.clear()
        self._recalled = False

    @property
    def awaited(self) -> frozenset[str]:
        """Claims and Nodes that pods shall come to, those too that still run on a node that is leaving: until they are
        evicted, nothing else shows what their new node is for."""
        return frozenset(self._targets.values())

    def inherit(self, heirs: Mapping[str, str]) -> None:
        """Gives the places of displaced pods to those that follow them: uid of the new pod -> uid of the old one."""
        for heir, displaced in heirs.items():
            target = self._targets.pop(displaced, None)
            if target is not None:
                self._targets.setdefault(heir, target)

    def overlay(self, pod: Pod) -> Pod:
        """The pod as if its nomination were written already, so that no cycle plans for it twice."""
        target = self._targets.get(pod.uid)
        return replace(pod, nominated=target) if target and pod.node is None else pod

    async def reconcile(self, view: View) -> None:
        """Writes nominations, and lifts our gate from pods whose node is Ready."""
        waiting = {uid: pod for uid, pod in view.pods.items() if pod.node is None and not pod.deleting}
        moving = {uid for uid, pod in view.pods.items() if pod.node in view.leaving_nodes} | view.displaced
        names = view.node_names
        known = names.keys() | view.nodes.keys()
        self._targets = {
            uid: to for uid, to in self._targets.items() if to in known and (uid in waiting or uid in moving)
        }

        async def one(pod: Pod) -> None:
            try:
                await self._place(pod, names.get(pod.nominated or "", pod.nominated or ""), view)
            except (NotFound, Conflict, Invalid):
                return  # the pod is gone or was bound meanwhile
            except ApiError as error:
                logger.warning("pod %s could not be placed, which is tried again: %s", pod.key, error)

        await each((pod for pod in waiting.values() if pod.nominated), one)

    async def _place(self, pod: Pod, node_name: str, view: View) -> None:
        if pod.shape.is_pinnable and view.pods_as_stored[pod.uid].nominated != node_name:
            self._tools.require_leader()
            await self._patch(pod, {"status": {"nominatedNodeName": node_name}}, subresource="status")
        node = view.nodes.get(node_name)
        if PLACEMENT_GATE in pod.gates and node is not None and _takes_pods(node, view):
            self._tools.require_leader()
            others = [{"name": gate} for gate in pod.gates if gate != PLACEMENT_GATE]
            selector = selector_of(pod, node) if self._by_selector else {}
            await self._patch(pod, {"spec": {"schedulingGates": others, **selector}})

    async def _patch(self, pod: Pod, body: dict[str, object], subresource: str | None = None) -> None:
        body = {"metadata": {"uid": pod.uid}, **body}
        raw = await self._tools.client.patch(PODS, pod.name, body, namespace=pod.namespace, subresource=subresource)
        self._tools.cache.feed(PODS, "MODIFIED", raw)


def selector_of(pod: Pod, node: Node) -> dict[str, object]:
    """What of a pod's spec brings it onto the node by a node selector; a gated pod's may be narrowed.

    None where the pod is spread: kube-scheduler counts only nodes that the selector leaves, so that the rule would be
    broken in silence, or with minDomains never met.
    """
    label = next((key for key in (NODECLAIM, HOSTNAME) if key in dict(node.labels)), None)
    if label is None or pod.shape.spread or not pod.shape.is_pinnable:
        return {}
    return {"nodeSelector": {**dict(pod.shape.node_selector), label: dict(node.labels)[label]}}


def _takes_pods(node: Node, view: View) -> bool:
    if any(taint.key == UNREGISTERED_TAINT for taint in node.taints):
        # A pod let go now would be refused by its own node, and go wherever else there is room.
        return False
    return node.ready and not (node.unschedulable or node.deleting or node.name in view.leaving_nodes)
