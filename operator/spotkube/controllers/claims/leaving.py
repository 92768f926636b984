"""From a claim's deletion to the end of its instance, losing nothing. Pure."""

from spotkube.api import NodeClaim
from spotkube.api.nodeclaim import Phase
from spotkube.controllers.claims.draining import drain_actions, must_leave
from spotkube.controllers.claims.news import unrecorded_notice
from spotkube.controllers.claims.steps import Advance, Cordon, Drain, EndInstance, Facts, Finish, RemoveNode, Step, Wait
from spotkube.model import labels
from spotkube.model.cluster import Node
from spotkube.model.pods import Pod
from spotkube.providers.port import InstanceState

# kube-scheduler may have placed a pod just before it saw the cordon; so long we look for such pods.
SETTLE_SECONDS = 5.0


def leaving(claim: NodeClaim, facts: Facts) -> Step:
    node, status = facts.node, claim.status
    if not facts.instances_known:
        return Wait("the cloud does not answer")
    if not facts.alive:
        # The pods died with the instance; what is left is to tidy up.
        if node is not None:
            return RemoveNode(node.name)
        if status.phase is not Phase.TERMINATED and status.phase is not None:
            return Advance(Phase.TERMINATED)
        return Finish()
    if (news := unrecorded_notice(claim, facts)) is not None:
        return news
    if status.phase is not Phase.DRAINING:
        return Advance(Phase.DRAINING, provider_id=facts.instance.provider_id if facts.instance else None)
    if node is not None and not is_cordoned(node):
        return Cordon(node.name)
    deadline = status.notice.deadline.timestamp() if status.notice else None
    staying = [pod for pod in facts.pods if must_leave(pod)]
    if staying and (deadline is None or facts.now < deadline):
        # What nothing presses waits until there is room for it elsewhere.
        held = deadline is None and facts.movable is not None
        asked = [pod for pod in staying if not held or pod.uid in (facts.movable or ())]
        actions = drain_actions(asked, facts.now, deadline, facts.margin_seconds)
        return Drain(actions, _what_stays(staying, deadline))
    if facts.instance is not None and facts.instance.state is not InstanceState.TERMINATING:
        if node is not None and _may_still_come(claim, facts, deadline):
            return Wait("pods that were placed before its Node was closed are looked for")
        return EndInstance(facts.instance.provider_id)
    return Wait("its instance is shutting down")


def _may_still_come(claim: NodeClaim, facts: Facts, deadline: float | None) -> bool:
    since = claim.status.phase_times[Phase.DRAINING].timestamp() if Phase.DRAINING in claim.status.phase_times else 0.0
    return facts.now - since < SETTLE_SECONDS and (deadline is None or facts.now < deadline)


def is_cordoned(node: Node) -> bool:
    """Whether all three marks of a leaving node are on it."""
    tainted = any(taint.key == labels.DISRUPTED_TAINT for taint in node.taints)
    return node.unschedulable and tainted and dict(node.labels).get(labels.EXCLUDE_FROM_LOAD_BALANCERS) == "true"


def _what_stays(pods: list[Pod], deadline: float | None) -> str:
    held = [pod for pod in pods if pod.do_not_disrupt]
    if deadline is None and len(held) == len(pods):
        return f"{len(pods)} pods opted out of being moved, such as {pods[0].key}: delete them to go on"
    return f"{len(pods)} pods still have to leave, such as {pods[0].key}"
