"""From the decision to buy a node to its being in use, and what ends that. Pure."""

from spotkube.api import NodeClaim
from spotkube.api.nodeclaim import Phase
from spotkube.controllers.claims.leaving import is_cordoned
from spotkube.controllers.claims.news import unrecorded_notice
from spotkube.controllers.claims.steps import (
    Advance,
    Avoid,
    Cordon,
    Facts,
    GiveBack,
    GiveBackReason,
    Launch,
    Open,
    Step,
    Wait,
)
from spotkube.model import labels
from spotkube.model.cluster import Mode, Node, Rebalance

# A Node may be missing from a stale cache for a moment; after this its claim counts as having lost it.
NODE_LOST_SECONDS = 15.0
# A node stays closed to others as long as pods of its plan are bound one after the other, and so long after the last:
# one that never is must not keep it closed.
LANDING_SECONDS = 60.0
# Its pods come to run on a node that is Ready, whatever is known of it: that it joined is written where it is not Ready
# so soon, or its pods take long to come.
JOINING_SECONDS = 5.0
SETTLING_SECONDS = 30.0
# Where the pool that would say it can't be read.
DEFAULT_READY_TIMEOUT_SECONDS = 300.0


def arriving(claim: NodeClaim, facts: Facts) -> Step:
    node, phase = facts.node, claim.status.phase or Phase.PENDING
    if (news := unrecorded_notice(claim, facts)) is not None:
        return news
    if claim.status.notice is not None:
        if node is not None and not is_cordoned(node):
            return Cordon(node.name)  # at once: a pod that comes yet has less time than those that are there
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
        return _joining(claim, node, facts) if node else Wait("its instance has not joined yet")
    if node is None:
        return _without_node(claim, facts)
    return _opening(claim, node, facts) if phase is Phase.REGISTERED else _warned(claim, node, facts)


def _buying(claim: NodeClaim, facts: Facts) -> Step:
    """The mode may have changed since the claim was written; an instance that was bought by then is taken over."""
    if facts.overtaken and not facts.alive:
        if not facts.instances_known:
            return Wait("the cloud does not answer")
        return GiveBack(GiveBackReason.OVERTAKEN, "it was written late, when another replica had already decided")
    if facts.pool is None:
        return Wait(f"NodePool {claim.spec.node_pool} can't be read")
    if facts.pool.mode is Mode.APPLY or facts.alive:
        return Launch()
    if not facts.instances_known:
        return Wait("the cloud does not answer")
    message = f"NodePool {facts.pool.name} is in mode {facts.pool.mode}, in which nothing is bought"
    return GiveBack(GiveBackReason.POOL_NOT_APPLIED, message)


def _joining(claim: NodeClaim, node: Node, facts: Facts) -> Step:
    """Many are Ready in a moment: what is true for so long only is not written. Where hundreds join at once, the pods
    that are to run on them would wait for those writes."""
    patience = SETTLING_SECONDS if is_ready(claim, node) else JOINING_SECONDS
    if facts.now - facts.joined_at < patience:
        return _opening(claim, node, facts)
    return Advance(Phase.REGISTERED, node=node.name)


def _opening(claim: NodeClaim, node: Node, facts: Facts) -> Step:
    if not is_ready(claim, node):
        return Wait("its Node is not Ready yet")
    if all(taint.key != labels.UNREGISTERED_TAINT for taint in node.taints):
        return Advance(Phase.READY, node=node.name)
    if facts.landing_since is not None and facts.now - facts.landing_since < LANDING_SECONDS:
        return Wait("the pods of its plan take their places first")
    return Open(node.name)


def _warned(claim: NodeClaim, node: Node, facts: Facts) -> Step:
    """What a recommendation to leave comes to here: whether the node is replaced is up to its pool's budgets, too."""
    policy = facts.pool.rebalance if facts.pool is not None and facts.pool.mode is Mode.APPLY else Rebalance.IGNORE
    avoided = any(taint.key == labels.AVOID_TAINT for taint in node.taints)
    if claim.status.warning is None or policy is Rebalance.IGNORE:
        return Avoid(node.name, closed=False) if avoided else Wait()
    return Wait() if avoided else Avoid(node.name)


def _without_node(claim: NodeClaim, facts: Facts) -> Step:
    since = max((time.timestamp() for time in claim.status.phase_times.values()), default=_created(claim))
    if facts.now - since < NODE_LOST_SECONDS:
        return Wait("its Node is not seen")
    return GiveBack(GiveBackReason.NODE_LOST, "its Node vanished", rest=True)


def is_ready(claim: NodeClaim, node: Node) -> bool:
    """Whether the node runs pods, apart from our own taint."""
    startup = {(taint.key, taint.effect.value) for taint in claim.spec.startup_taints}
    return node.ready and not any((taint.key, taint.effect.value) in startup for taint in node.taints)


def _created(claim: NodeClaim) -> float:
    created = claim.metadata.creation_timestamp
    return created.timestamp() if created else 0.0
