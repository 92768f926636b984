"""Notices that a claim does not know of yet. Pure."""

from collections.abc import Iterator

from spotkube.api import NodeClaim
from spotkube.controllers.claims.steps import Facts, RecordNotice, RecordWarning
from spotkube.model.notices import Notice, NoticeKind, storable
from spotkube.providers.port import InstanceState

# What the cloud itself says of an instance names no kind; only spot is taken back by it.
CLOUD_SOURCE = "provider"


def unrecorded_notice(claim: NodeClaim, facts: Facts) -> RecordNotice | RecordWarning | None:
    """A notice that is not stored yet: the first, or one by which the instance ends sooner than was known. Of warnings
    the first one."""
    by_deadline = sorted(
        ((_deadline(notice, facts.now), notice) for notice in _notices(claim, facts)),
        key=lambda one: (not one[1].ends_instance, one[0], one[1].source, one[1].id),
    )
    if not by_deadline:
        return None
    (deadline, first), known = by_deadline[0], claim.status.notice
    if not first.ends_instance:
        return RecordWarning(first, deadline) if claim.status.warning is None and known is None else None
    if known is None or (known.id != first.id and int(deadline) < known.deadline.timestamp()):
        return RecordNotice(first, deadline)
    return None


def _deadline(notice: Notice, now: float) -> float:
    return storable(now + notice.lead_seconds if notice.deadline is None else notice.deadline)


def _notices(claim: NodeClaim, facts: Facts) -> Iterator[Notice]:
    """What the Node says, messages, and the cloud itself, which knows of a notice before the Node has joined."""
    if facts.node is not None and facts.node.notice is not None:
        yield facts.node.notice
    yield from (notice for notice in facts.told if not _is_our_own_doing(claim, facts, notice))
    instance = facts.instance
    if instance is not None and instance.termination_deadline is not None:
        deadline, id_ = instance.termination_deadline, f"{instance.provider_id}/{instance.termination_deadline:.0f}"
        yield Notice(NoticeKind.SPOT_INTERRUPTION, CLOUD_SOURCE, id_, 0.0, deadline)


def _is_our_own_doing(claim: NodeClaim, facts: Facts, notice: Notice) -> bool:
    """The cloud also tells of each instance that we end ourselves."""
    ended = facts.instance is not None and facts.instance.state is InstanceState.TERMINATING
    return claim.metadata.deletion_timestamp is not None and ended and notice.kind is NoticeKind.INSTANCE_TERMINATION
