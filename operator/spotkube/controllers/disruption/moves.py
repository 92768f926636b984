"""A move under way: what the claim of a node stores of it, and what is to be done for it next. Pure.

Its pods leave one by one, each only when its new place is there and it could be taken back until then: the claim is
deleted only once its node is empty. All that has to be known is stored on the claim, so that a restart goes on with it.
"""

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass

from spotkube.api import NodeClaim
from spotkube.controllers.claims.draining import must_leave
from spotkube.controllers.disruption.places import Room, is_gone
from spotkube.controllers.view import View
from spotkube.model import labels
from spotkube.model.cluster import Mode, Node
from spotkube.model.pods import Pod
from spotkube.planner.consolidation.candidates import why_held

# A pod that has just come may still read its caches: so long after it was made it is not moved, however Ready.
STARTING_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Move:
    """That the pods of a claim's node go elsewhere, as it is stored on the claim.

    `plan` names the CapacityPlan. `until` (seconds since the epoch) is when it would not pay any more. `places` says
    where each pod (its uid) goes: the name of a claim, or of a Node that has none.
    """

    plan: str
    until: float
    places: Mapping[str, str]

    def to_text(self) -> str:
        return json.dumps({"plan": self.plan, "until": round(self.until), "places": dict(self.places)})


@dataclass(frozen=True, slots=True)
class Close:
    """Keep new pods from coming to the node."""


@dataclass(frozen=True, slots=True)
class Evict:
    """`to` is where the pod that follows it is expected."""

    pod: Pod
    to: str


@dataclass(frozen=True, slots=True)
class GiveBackEmptied:
    """All its pods have gone."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Open the node again; the pods that are still there stay."""

    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    message: str


Step = Close | Evict | GiveBackEmptied | GiveUp | Wait


def move_of(claim: NodeClaim) -> Move | None:
    """What is stored; one that can't be read is over."""
    text = (claim.metadata.annotations or {}).get(labels.MOVING)
    if text is None:
        return None
    try:
        found = json.loads(text)
        return Move(str(found["plan"]), float(found["until"]), {str(k): str(v) for k, v in found["places"].items()})
    except (ValueError, TypeError, KeyError, AttributeError):
        return Move("", 0.0, {})


def next_step(claim: NodeClaim, move: Move, view: View, room: Room, *, budget_allows: bool) -> Step:
    """What comes next, from what is seen right now; whatever was decided before is looked at anew."""
    node, staying = view.node_of(claim), staying_pods(claim, view)
    if node is None or (reason := _why_over(claim, move, node, staying, view)):
        return GiveUp(reason if node else "its Node is gone")
    if not is_closed(node):
        return Close()
    if not all(room.is_ready(move.places[pod.uid]) for pod in staying):
        return Wait("its pods' new nodes are not Ready yet")
    if not budget_allows:
        return Wait("the budgets of its NodePool let no more nodes go now")
    return _next_pod(move, staying, view, room) if staying else GiveBackEmptied()


def has_begun(claim: NodeClaim, move: Move, view: View) -> bool:
    """Whether one of its pods has left already."""
    return not move.places.keys() <= {pod.uid for pod in staying_pods(claim, view)}


def staying_pods(claim: NodeClaim, view: View) -> list[Pod]:
    """Those that have to leave and have not begun to, the longest grace first."""
    there = view.pods_on.get(view.node_names[claim.name], ())
    pods = [pod for pod in there if must_leave(pod) and not pod.deleting]
    return sorted(pods, key=lambda pod: (-pod.grace_seconds, pod.key))


def is_closed(node: Node) -> bool:
    return any(taint.key == labels.DISRUPTED_TAINT for taint in node.taints)


def _why_over(claim: NodeClaim, move: Move, node: Node, staying: list[Pod], view: View) -> str:
    """Why the move must end here; "" if it may go on."""
    pool = view.pool_model(claim.spec.node_pool)
    if view.now >= move.until:
        return "it was not done within its NodePool's payBackWithin"
    if pool is None or pool.deleting or not pool.consolidates or pool.mode is not Mode.APPLY:
        return f"NodePool {claim.spec.node_pool} does not consolidate any more"
    if not node.ready or node.unschedulable or node.deleting or node.notice is not None:
        return "its Node is not in force any more"
    for pod in staying:
        if pod.uid not in move.places:
            return f"pod {pod.key} has come to it meanwhile"
        if held := why_held(pod, ()):
            return f"pod {pod.key} can't be moved any more: {held}"
        if is_gone(move.places[pod.uid], view):
            return f"the new place of pod {pod.key}, {move.places[pod.uid]}, is gone"
    return ""


def _next_pod(move: Move, staying: list[Pod], view: View, room: Room) -> Step:
    if view.displaced & move.places.keys():
        return Wait("the pod that left it last is not made anew yet")
    starting = starting_owners(view)
    ripe = [pod for pod in staying if (pod.namespace, pod.owner) not in starting and _is_ripe(pod, view)]
    if not ripe:
        return Wait("its pods are still starting, or their PodDisruptionBudgets allow no eviction")
    pod = ripe[0]
    planned = move.places[pod.uid]
    to = room.place(pod, planned)
    return GiveUp(f"the new place of pod {pod.key}, {planned}, was taken") if to is None else Evict(pod, to)


def _is_ripe(pod: Pod, view: View) -> bool:
    started = view.now - pod.created_at >= STARTING_SECONDS
    return started and not any(one.covers(pod) and one.allowed <= 0 for one in view.snapshot.budgets)


def starting_owners(view: View) -> Set[tuple[str, str]]:
    """Owners (namespace, "Kind/name") of which a pod is not Ready: moving another one now would be two at a time."""
    return {(pod.namespace, pod.owner) for pod in view.pods.values() if not (pod.ready or pod.deleting)}
