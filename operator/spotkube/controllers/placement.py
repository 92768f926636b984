"""Brings pods onto the nodes that were planned for them.

A new node is closed to all pods but those that are planned onto it: these are given a toleration of its taint. So
nobody takes their room, in whatever order nodes arrive, and they can't go astray onto other new nodes. Pods that were
born with our gate are let go once their node is ready, nominated onto it; so are pods onto nodes that are open to all.
kube-scheduler tries a nominated node first, and has the last word on every pod.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from spotkube.api import NodeClaim
from spotkube.api.nodeclaim import Phase
from spotkube.cluster.client import PatchKind
from spotkube.cluster.errors import ApiError, Conflict, Invalid, NotFound
from spotkube.cluster.resources import PODS
from spotkube.cluster.store import Store
from spotkube.cluster.transport import Object, Objects
from spotkube.controllers.claims.arriving import is_ready
from spotkube.controllers.entry import admission_patch, release_patch, selector_of, selector_patch
from spotkube.controllers.expected import owner_of, unmade
from spotkube.controllers.ongoing import TURN_SECONDS, Ongoing
from spotkube.controllers.toolbox import Toolbox
from spotkube.controllers.view import View
from spotkube.convert.workloads import SourceKey
from spotkube.model.cluster import Node
from spotkube.model.labels import PLACEMENT_GATE, PLANNED_PODS
from spotkube.model.plan import Placement
from spotkube.model.pods import EndedPod, Pod, turn_of
from spotkube.model.resources import ResourceList
from spotkube.model.selectors import Taint, untolerated

# While controllers make thousands of pods, hundreds at once, each call of ours waits for its part of the API server.
# With fewer, kube-scheduler comes to pods that may not enter yet; with more, nodes take longer to come.
LANDINGS_AT_ONCE = 64
# Phases of a claim whose node takes no pods yet, since not all of them have their place.
_CLOSED = (None, Phase.PENDING, Phase.LAUNCHED, Phase.REGISTERED)
logger = logging.getLogger(__name__)


def pods_landing(view: View) -> Counter[str]:
    """By plan: pods that are planned onto nodes which are not open to all yet, and are not bound."""
    closed = {
        view.node_names[claim.name]: claim.spec.plan
        for claim in view.claims.values()
        if claim.spec.plan and claim.status.phase in _CLOSED and claim.metadata.deletion_timestamp is None
    }
    pods = (*view.pods.values(), *view.expected.values())
    waiting = (pod for pod in pods if pod.node is None and pod.nominated and not pod.deleting)
    targets = (view.node_names.get(pod.nominated or "", pod.nominated or "") for pod in waiting)
    return Counter(plan for target in targets if (plan := closed.get(target)))


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
        self._pods: Store[Pod | EndedPod] = tools.cache.stores[PODS]
        self._landings = Ongoing(self._land, in_order=True, at_once=LANDINGS_AT_ONCE)
        self._targets: dict[str, str] = {}
        self._overlaid: dict[str, tuple[Pod, Pod]] = {}
        self._recalled = False
        self._room: _OpenRoom | None = None

    def recall(self, claims: Iterable[NodeClaim], pods: Sequence[Pod]) -> None:
        """Once at the beginning: what was planned onto claims whose nodes are not open yet, and is not nominated."""
        if self._recalled:
            return
        self._recalled = True
        # Those with a node may be about to leave it; where not, the next `reconcile` forgets them.
        concerned = {pod.uid for pod in pods if pod.node is not None or pod.nominated is None}
        admitted = [pod for pod in pods if pod.uid in concerned and pod.admitted_by]
        unmade_of: dict[SourceKey, list[str]] = defaultdict(list)
        for claim in claims:
            planned = (claim.metadata.annotations or {}).get(PLANNED_PODS, "").split(",")
            if claim.status.phase in _CLOSED and claim.metadata.deletion_timestamp is None:
                self.remember(Placement(uid, claim.name) for uid in planned if uid in concerned)
                own = (pod for pod in admitted if claim.metadata.uid in pod.admitted_by)
                self.remember(Placement(pod.uid, claim.name) for pod in own)
                for owner in filter(None, map(unmade, planned)):
                    unmade_of[owner].append(claim.name)
        for pod in pods:
            if pod.uid in concerned and pod.node is None and pod.uid not in self._targets and unmade_of[owner_of(pod)]:
                self.remember([Placement(pod.uid, unmade_of[owner_of(pod)].pop())])

    def remember(self, placements: Iterable[Placement]) -> None:
        self._targets.update({placement.pod: placement.target for placement in placements})

    def forget(self) -> None:
        """Whoever led meanwhile may have decided otherwise."""
        self._landings.forget()
        self._targets.clear()
        self._recalled = False

    @property
    def planned(self) -> Container[str]:
        """Pods (their uids) that have a place."""
        return self._targets.keys()

    @property
    def places(self) -> Mapping[str, str]:
        """Where the plans in force put pods (their uids)."""
        return dict(self._targets)

    @property
    def awaited(self) -> frozenset[str]:
        """Claims and Nodes that pods shall come to, those too that still run on a node that is leaving: until they are
        evicted, nothing else shows what their new node is for."""
        return frozenset(self._targets.values())

    def inherit(self, heirs: Mapping[str, str]) -> None:
        """Gives places to the pods that have come for them: uid of the pod -> uid of whom it was planned as."""
        for heir, planned in heirs.items():
            target = self._targets.pop(planned, None)
            if target is not None:
                self._targets.setdefault(heir, target)

    def overlay(self, pod: Pod) -> Pod:
        """The pod as if its nomination were written already, so that no cycle plans for it twice."""
        target = self._targets.get(pod.uid)
        if not target or pod.node is not None:
            return pod
        last = self._overlaid.get(pod.uid)
        if last is None or last[0] is not pod or last[1].nominated != target:
            # The same object each time, for what is made of each pod in a cycle is kept as long as it is.
            last = self._overlaid[pod.uid] = pod, replace(pod, nominated=target)
        return last[1]

    async def reconcile(self, view: View) -> None:
        """Writes nominations, and lifts our gate from pods whose node is Ready, for as long as it takes."""
        waiting = {uid: pod for uid, pod in view.pods.items() if pod.node is None and not pod.deleting}
        moving = {uid for uid, pod in view.pods.items() if pod.node in view.leaving_nodes}
        moving |= {uid for uid, pod in view.pods.items() if pod.node in view.closing_nodes}
        moving |= view.displaced | view.expected.keys()
        names = view.node_names
        known = names.keys() | view.nodes.keys()
        self._targets = {
            uid: to for uid, to in self._targets.items() if to in known and (uid in waiting or uid in moving)
        }
        self._overlaid = {uid: one for uid, one in self._overlaid.items() if uid in self._targets}

        claims = {names[claim.name]: claim for claim in view.claims.values()}
        open_room = self._open_room(view)
        landings = {}
        # As kube-scheduler takes them: one that it tries too early costs the time of another that could run.
        for pod in sorted(waiting.values(), key=turn_of):
            if pod.nominated:
                name = names.get(pod.nominated, pod.nominated)
                landings[pod.uid] = _Landing(pod, name, claims.get(name), view, open_room)
        await self._landings.go_on(landings, TURN_SECONDS)

    def begin(self, claim: NodeClaim, view: View) -> None:
        """Lets those pods in that are planned onto a claim which was stored just now, and that the view does not know:
        kube-scheduler may try them as soon as there is a Node."""
        planned = (claim.metadata.annotations or {}).get(PLANNED_PODS, "").split(",")
        waiting = [pod for uid in planned if (pod := view.pods.get(uid)) and pod.node is None and not pod.deleting]
        for pod in sorted(waiting, key=turn_of):
            landing = _Landing(replace(pod, nominated=claim.name), claim.name, claim, view, self._open_room(view))
            self._landings.add(pod.uid, landing)

    def _open_room(self, view: View) -> "_OpenRoom":
        if self._room is None or self._room.view is not view:
            self._room = _OpenRoom(view)
        return self._room

    async def _land(self, landing: "_Landing") -> None:
        try:
            await self._place(landing)
        except (NotFound, Conflict, Invalid):
            return  # the pod is gone or was bound meanwhile
        except ApiError as error:
            logger.warning("pod %s could not be placed, which is tried again: %s", landing.pod.key, error)

    async def _place(self, landing: "_Landing") -> None:
        pod, claim, view = landing.pod, landing.claim, landing.view
        # Since the view was taken, this may have been done.
        stored = self._pods.get(pod.name, pod.namespace)
        if not isinstance(stored, Pod) or stored.uid != pod.uid or stored.node is not None:
            return
        node, name = view.nodes.get(landing.node_name), landing.node_name
        gated, closed = PLACEMENT_GATE in stored.gates, claim is not None and claim.status.phase in _CLOSED
        if stored.nominated != name and _is_nominated(pod, landing.open_room if closed else None):
            await self._patch(pod, {"status": {"nominatedNodeName": name}}, subresource="status")
        operations: Objects = []
        releasing = node is not None and gated and _takes_pods(node, claim, view)
        if closed and claim and claim.metadata.uid not in stored.admitted_by and (releasing or not gated):
            operations += admission_patch(stored, claim.metadata.uid or "")
        if releasing and node is not None:
            operations += release_patch(stored)
            operations += selector_patch(stored, selector_of(stored, node) if self._by_selector else {})
        if operations:
            await self._patch(pod, operations, kind="json")

    async def _patch(
        self, pod: Pod, body: Object | Objects, *, subresource: str | None = None, kind: PatchKind = "merge"
    ) -> None:
        self._tools.require_leader()
        if isinstance(body, dict):
            body = {"metadata": {"uid": pod.uid}, **body}
        else:
            body = [{"op": "test", "path": "/metadata/uid", "value": pod.uid}, *body]
        raw = await self._tools.client.patch(
            PODS, pod.name, body, namespace=pod.namespace, subresource=subresource, kind=kind
        )
        self._tools.cache.feed(PODS, "MODIFIED", raw)


@dataclass(frozen=True, slots=True)
class _Landing:
    """One pod, and the node that it shall come to as the view knows them; `claim` None: a node of nobody's."""

    pod: Pod
    node_name: str
    claim: NodeClaim | None
    view: View
    open_room: "_OpenRoom"


class _OpenRoom:
    """What is left on nodes that are open to all; looked up once a view, if at all."""

    def __init__(self, view: View) -> None:
        self.view = view

    def takes(self, pod: Pod) -> bool:
        """Whether the pod could stray there, as far as its requests and its tolerations tell."""
        return any(
            pod.shape.requests.fits(free) and untolerated(taints, pod.shape.tolerations) is None
            for free, taints in self._free
        )

    @cached_property
    def _free(self) -> frozenset[tuple[ResourceList, tuple[Taint, ...]]]:
        closed = {name for name, claim in self.view.claims.items() if claim.status.phase in _CLOSED}
        return frozenset((one.free, one.taints) for one in self.view.bins if one.claim not in closed)


def _is_nominated(pod: Pod, stray: _OpenRoom | None) -> bool:
    """Onto a node that others may enter too; and where we hold the pod back, if others have room for it: it shall go
    nowhere else. `stray` is the room of these; None where its own node is open.

    A pod of nobody that kube-scheduler has not tried yet finds a node that is open by itself.

    Pods that are spread are not: kube-scheduler counts all that are nominated onto a node when it tries one of them
    there, and would refuse each for the sake of the others.
    """
    if not pod.shape.is_pinnable or pod.shape.spread:
        return False
    if stray is None:
        return PLACEMENT_GATE in pod.gates or pod.workload is not None or pod.unschedulable
    return PLACEMENT_GATE in pod.gates and stray.takes(pod)


def _takes_pods(node: Node, claim: NodeClaim | None, view: View) -> bool:
    if node.unschedulable or node.deleting or node.name in view.leaving_nodes:
        return False
    return node.ready if claim is None else is_ready(claim, node)
