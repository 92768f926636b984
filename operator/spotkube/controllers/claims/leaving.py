"""From a claim's deletion to the end of its instance, losing nothing. Pure."""

from spotkube.api import NodeClaim
from spotkube.api.nodeclaim import Phase
from spotkube.controllers.claims.draining import Departure, How, PodAction, drain_actions
from spotkube.controllers.claims.news import unrecorded_notice
from spotkube.controllers.claims.steps import (
    Advance,
    Cordon,
    Drain,
    EndInstance,
    Facts,
    Finish,
    LookAgain,
    RecordDrained,
    RemoveNode,
    Step,
    Wait,
)
from spotkube.controllers.claims.volumes import still_attached
from spotkube.model import labels
from spotkube.model.cluster import Node
from spotkube.model.pods import Pod
from spotkube.providers.port import InstanceState

# kube-scheduler may have placed a pod just before it saw the cordon; so long we look for such pods.
SETTLE_SECONDS = 5.0
# An instance may outlive its deadline, or we learn of it too late: so long pods that never had a SIGTERM are asked yet.
LATE_SECONDS = 10.0
# A minute more than kube-controller-manager takes to detach by force what a kubelet does not let go of.
VOLUME_SECONDS = 420.0
# A kubelet that has fallen silent ends no pod, and says of none that it has ended.
SILENT_SECONDS = 120.0


def leaving(claim: NodeClaim, facts: Facts) -> Step:
    node, status = facts.node, claim.status
    if facts.instances_known and not facts.alive:
        return _tidying(claim, node)
    if node is None and not facts.instances_known:
        return Wait("the cloud does not answer")
    if (news := unrecorded_notice(claim, facts)) is not None:
        return news
    if node is not None and not is_cordoned(node):
        return Cordon(node.name)
    if status.phase is not Phase.DRAINING:
        return Advance(Phase.DRAINING, provider_id=facts.instance.provider_id if facts.instance else None)
    departure = departure_of(claim, facts)
    staying = [pod for pod in facts.pods if departure.must_leave(pod)]
    if staying and not _is_over(staying, departure):
        actions = [one for one in drain_actions(facts.pods, departure) if not _waits_for_room(one, facts, departure)]
        going = departure.deadline is not None and all(pod.deleting for pod in staying)
        return Drain(tuple(actions), "" if going else _what_stays(staying, departure))
    return _ending(claim, facts, departure)


def departure_of(claim: NodeClaim, facts: Facts) -> Departure:
    """How the claim's node leaves, once it is Draining."""
    notice, draining = claim.status.notice, claim.status.phase_times.get(Phase.DRAINING)
    closed_at = draining.timestamp() if draining else 0.0
    silent = facts.node is not None and not facts.node.ready
    return Departure(
        now=facts.now,
        closed_at=closed_at,
        deadline=notice.deadline.timestamp() if notice else closed_at + SILENT_SECONDS if silent else None,
        noticed_at=notice.received_at.timestamp() if notice else 0.0,
        margin_seconds=facts.margin_seconds,
        balancer_seconds=facts.balancer_seconds,
        rules=facts.rules,
        succeeded_later=facts.succeeded_later,
    )


def _waits_for_room(action: PodAction, facts: Facts, departure: Departure) -> bool:
    """What nothing presses waits until there is room for it elsewhere."""
    pressed = departure.deadline is not None or facts.movable is None or action.pod.uid in facts.movable
    return action.how is How.EVICT and not pressed


def _tidying(claim: NodeClaim, node: Node | None) -> Step:
    """The pods died with the instance."""
    if node is not None:
        return RemoveNode(node.name)
    if claim.status.phase not in (Phase.TERMINATED, None):
        return Advance(Phase.TERMINATED)
    return Finish()


def _is_over(staying: list[Pod], departure: Departure) -> bool:
    """Whether pods are waited for no more."""
    if departure.deadline is None or departure.now < departure.deadline:
        return False
    return all(pod.deleting for pod in staying) or departure.now >= departure.deadline + LATE_SECONDS


def _ending(claim: NodeClaim, facts: Facts, departure: Departure) -> Step:
    node, instance = facts.node, facts.instance
    if instance is None:
        return Wait("the cloud does not answer")
    if instance.state is InstanceState.TERMINATING:
        return Wait("its instance is shutting down")
    in_time = departure.deadline is None or departure.now < departure.deadline
    if node is not None and in_time:
        if departure.now - departure.closed_at < max(SETTLE_SECONDS, departure.balancer_seconds):
            return Wait("pods that were placed before its Node was closed are looked for")
        if (step := _volumes(claim, facts, departure)) is not None:
            return step
        if not facts.looked_again:
            return LookAgain(node.name)
    return EndInstance(instance.provider_id)


def _volumes(claim: NodeClaim, facts: Facts, departure: Departure) -> Step | None:
    """A volume that is not detached in order can't follow its pod for six minutes."""
    attached = still_attached(facts.attached, [pod for pod in facts.pods if not departure.must_leave(pod)])
    since = claim.status.drained_at
    if not attached:
        return None
    if since is None:
        return RecordDrained()
    if departure.deadline is None and departure.now - since.timestamp() >= VOLUME_SECONDS:
        return None
    return Wait(f"{len(attached)} volumes of its pods are still attached, such as {attached[0]}")


def is_cordoned(node: Node) -> bool:
    """Whether all three marks of a leaving node are on it."""
    tainted = any(taint.key == labels.DISRUPTED_TAINT for taint in node.taints)
    return node.unschedulable and tainted and dict(node.labels).get(labels.EXCLUDE_FROM_LOAD_BALANCERS) == "true"


def _what_stays(pods: list[Pod], departure: Departure) -> str:
    held = [pod for pod in pods if pod.do_not_disrupt]
    if departure.deadline is None and len(held) == len(pods):
        return f"{len(pods)} pods opted out of being moved, such as {pods[0].key}: delete them to go on"
    return f"{len(pods)} pods still have to leave, such as {pods[0].key}"
