"""Notices that a claim does not know of yet. Pure."""

from spotkube.api import NodeClaim
from spotkube.controllers.claims.steps import Facts, RecordNotice
from spotkube.model.notices import Notice, NoticeKind

# What the cloud itself says of an instance names no kind; only spot is taken back by it.
CLOUD_SOURCE = "provider"


def unrecorded_notice(claim: NodeClaim, facts: Facts) -> RecordNotice | None:
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
