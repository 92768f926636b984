"""What a claim needs next. Pure: from what is known of it to one step, so that any step may be repeated or be the first
after a restart."""

from dataclasses import dataclass
from enum import StrEnum

from spotkube.api import NodeClaim
from spotkube.api.nodeclaim import Phase
from spotkube.controllers.claims.draining import PodAction, drain_actions, must_leave
from spotkube.model import labels
from spotkube.model.cluster import Mode, Node, Pool
from spotkube.model.notices import Notice, NoticeKind
from spotkube.model.pods import Pod
from spotkube.providers.port import Instance, InstanceState

# A Node may be missing from a stale cache for a moment; after this its claim counts as having lost it.
NODE_LOST_SECONDS = 15.0
# kube-scheduler may have placed a pod just before it saw the cordon; so long we look for such pods.
SETTLE_SECONDS = 5.0
# A node stays closed to others as long as pods of its plan are bound one after the other, and so long after the last:
# one that never is must not keep it closed.
LANDING_SECONDS = 60.0
# Where the pool that would say it can't be read.
DEFAULT_READY_TIMEOUT_SECONDS = 300.0
# What the cloud itself says of an instance names no kind; only spot is taken back by it.
CLOUD_SOURCE = "provider"


class GiveBackReason(StrEnum):
    """Why a claim is deleted by us; one word each, for events and metrics."""

    NOTICE = "TerminationNotice"
    NODE_DELETED = "NodeDeleted"
    NODE_LOST = "NodeLost"
    INSTANCE_GONE = "InstanceGone"
    NOT_READY = "NotReadyInTime"
    NO_CAPACITY = "InsufficientCapacity"
    POOL_DELETED = "NodePoolDeleted"
    POOL_NOT_APPLIED = "NodePoolNotApplied"
    EMPTY = "Empty"


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do now; `message` says for what."""

    message: str = ""


@dataclass(frozen=True, slots=True)
class Launch:
    """Ask the cloud for the instance."""


@dataclass(frozen=True, slots=True)
class Advance:
    """Record that the claim is in `phase` now."""

    phase: Phase
    provider_id: str | None = None
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Open:
    """Take our taint off the Node: the pods planned onto it have their places, now others may come too."""

    node: str


@dataclass(frozen=True, slots=True)
class RecordNotice:
    """Store the notice with its absolute deadline (seconds since the epoch), before anything is done about it."""

    notice: Notice
    deadline: float


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Delete the claim, which drains it. `rest` keeps its offering from being bought again for a while."""

    reason: GiveBackReason
    message: str
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Cordon:
    """Taint the Node, cordon it and take it off load balancers, in one patch."""

    node: str


@dataclass(frozen=True, slots=True)
class Drain:
    """Pods still have to leave; `actions` are those to be asked now, and may be none while budgets or graces run."""

    actions: tuple[PodAction, ...]
    message: str


@dataclass(frozen=True, slots=True)
class EndInstance:
    provider_id: str


@dataclass(frozen=True, slots=True)
class RemoveNode:
    node: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left of it: let the claim go."""


Step = Wait | Launch | Advance | Open | RecordNotice | GiveBack | Cordon | Drain | EndInstance | RemoveNode | Finish


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one claim. `instances_known` False: the cloud could not be asked, so nothing is concluded.

    `pods` are bound to its Node; `landing_since` is when the last pod of its plan was bound, None if all are.
    `pool` None is a pool that is gone, unless `pool_unreadable`: it is there, but not as we can read it.
    """

    now: float
    pool: Pool | None
    node: Node | None
    instance: Instance | None
    instances_known: bool
    pods: tuple[Pod, ...]
    margin_seconds: float
    pool_unreadable: bool = False
    landing_since: float | None = None

    @property
    def alive(self) -> bool:
        """Whether the instance exists or may exist."""
        return self.instance is not None and self.instance.state is not InstanceState.TERMINATED


def next_step(claim: NodeClaim, facts: Facts) -> Step:
    if claim.metadata.deletion_timestamp is not None:
        return _leaving(claim, facts)
    return _arriving(claim, facts)


def _news(claim: NodeClaim, facts: Facts) -> RecordNotice | None:
    """A notice that is not stored yet: the first, or one by which the instance ends sooner than was known."""
    notice, known = _notice(facts), claim.status.notice
    if notice is None or not notice.ends_instance or (known is not None and known.id == notice.id):
        return None
    deadline = notice.deadline or facts.now + notice.lead_seconds
    if known is not None and int(deadline) >= known.deadline.timestamp():
        return None
    return RecordNotice(notice, deadline)


def _notice(facts: Facts) -> Notice | None:
    """What the Node says, or else the cloud itself, which knows of a notice before the Node has joined."""
    if facts.node is not None and facts.node.notice is not None and facts.node.notice.ends_instance:
        return facts.node.notice
    instance = facts.instance
    if instance is None or instance.termination_deadline is None:
        return None
    deadline, id_ = instance.termination_deadline, f"{instance.provider_id}/{instance.termination_deadline:.0f}"
    return Notice(NoticeKind.SPOT_INTERRUPTION, CLOUD_SOURCE, id_, 0.0, deadline)


def _arriving(claim: NodeClaim, facts: Facts) -> Step:
    node, phase = facts.node, claim.status.phase or Phase.PENDING
    if (news := _news(claim, facts)) is not None:
        return news
    if claim.status.notice is not None:
        return GiveBack(GiveBackReason.NOTICE, f"{claim.status.notice.kind}: the instance ends", rest=True)
    if phase is not Phase.PENDING and facts.instances_known and not facts.alive:
        # Looked at before the Node, which the cloud deletes together with a machine that died.
        return GiveBack(GiveBackReason.INSTANCE_GONE, "its instance is gone", rest=True)
    if node is not None and node.deleting:
        return GiveBack(GiveBackReason.NODE_DELETED, f"Node {node.name} is being deleted")
    if facts.pool.deleting if facts.pool else not facts.pool_unreadable:
        return GiveBack(GiveBackReason.POOL_DELETED, f"NodePool {claim.spec.node_pool} is being deleted")
    timeout = facts.pool.ready_timeout_seconds if facts.pool else DEFAULT_READY_TIMEOUT_SECONDS
    runs = node is not None and is_ready(claim, node)  # closed to others it may stay for as long as its pods land
    if phase is not Phase.READY and not runs and facts.now - _created(claim) > timeout:
        return GiveBack(GiveBackReason.NOT_READY, f"not Ready {timeout:.0f} s after it was ordered", rest=True)
    if phase is Phase.PENDING:
        return _buying(claim, facts)
    if not facts.instances_known:
        return Wait("the cloud does not answer")
    if phase is Phase.LAUNCHED:
        return Advance(Phase.REGISTERED, node=node.name) if node else Wait("its instance has not joined yet")
    if node is None:
        return _without_node(claim, facts)
    return _opening(claim, node, facts) if phase is Phase.REGISTERED else Wait()


def _buying(claim: NodeClaim, facts: Facts) -> Step:
    """The mode may have changed since the claim was written; an instance that was bought by then is taken over."""
    if facts.pool is None:
        return Wait(f"NodePool {claim.spec.node_pool} can't be read")
    if facts.pool.mode is Mode.APPLY or facts.alive:
        return Launch()
    if not facts.instances_known:
        return Wait("the cloud does not answer")
    message = f"NodePool {facts.pool.name} is in mode {facts.pool.mode}, in which nothing is bought"
    return GiveBack(GiveBackReason.POOL_NOT_APPLIED, message)


def _opening(claim: NodeClaim, node: Node, facts: Facts) -> Step:
    if not is_ready(claim, node):
        return Wait("its Node is not Ready yet")
    if all(taint.key != labels.UNREGISTERED_TAINT for taint in node.taints):
        return Advance(Phase.READY, node=node.name)
    if facts.landing_since is not None and facts.now - facts.landing_since < LANDING_SECONDS:
        return Wait("the pods of its plan take their places first")
    return Open(node.name)


def _without_node(claim: NodeClaim, facts: Facts) -> Step:
    since = max((time.timestamp() for time in claim.status.phase_times.values()), default=_created(claim))
    if facts.now - since < NODE_LOST_SECONDS:
        return Wait("its Node is not seen")
    return GiveBack(GiveBackReason.NODE_LOST, "its Node vanished", rest=True)


def is_ready(claim: NodeClaim, node: Node) -> bool:
    """Whether the node runs pods, apart from our own taint."""
    startup = {(taint.key, taint.effect.value) for taint in claim.spec.startup_taints}
    return node.ready and not any((taint.key, taint.effect.value) in startup for taint in node.taints)


def _leaving(claim: NodeClaim, facts: Facts) -> Step:
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
    if (news := _news(claim, facts)) is not None:
        return news
    if status.phase is not Phase.DRAINING:
        return Advance(Phase.DRAINING, provider_id=facts.instance.provider_id if facts.instance else None)
    if node is not None and not is_cordoned(node):
        return Cordon(node.name)
    deadline = status.notice.deadline.timestamp() if status.notice else None
    staying = [pod for pod in facts.pods if must_leave(pod)]
    if staying and (deadline is None or facts.now < deadline):
        actions = drain_actions(staying, facts.now, deadline, facts.margin_seconds)
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


def _created(claim: NodeClaim) -> float:
    created = claim.metadata.creation_timestamp
    return created.timestamp() if created else 0.0
