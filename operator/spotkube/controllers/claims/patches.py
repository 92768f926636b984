"""What is written for a claim: its own status, and the marks on its Node."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from spotkube.api import NodeClaim
from spotkube.api.common import Condition, ConditionStatus
from spotkube.api.nodeclaim import NodeClaimStatus, Phase
from spotkube.api.nodeclaim import Notice as ApiNotice
from spotkube.controllers.claims.steps import Advance, Avoid, Open, RecordNotice, RecordWarning
from spotkube.model import labels
from spotkube.model.cluster import Node
from spotkube.model.offerings import Offering, OfferingKey
from spotkube.model.resources import ResourceList
from spotkube.model.selectors import Taint, TaintEffect
from spotkube.providers.port import Instance, InstanceOrder

Json = dict[str, Any]
_MILESTONES = (Phase.LAUNCHED, Phase.REGISTERED, Phase.READY, Phase.DRAINING)


def order_of(claim: NodeClaim, offerings: Mapping[OfferingKey, Offering]) -> InstanceOrder:
    """The order for the claim's instance; its UID makes repeating it harmless."""
    spec = claim.spec
    taints = [Taint(t.key, TaintEffect(t.effect), t.value) for t in (*spec.taints, *spec.startup_taints)]
    key = OfferingKey(spec.instance_type, spec.zone, spec.capacity_type.value)
    allocatable = ResourceList.from_quantities(spec.allocatable)
    offering = offerings.get(key)
    return InstanceOrder(
        token=claim.metadata.uid or "",
        name=claim.name,
        offering=key,
        labels=tuple(sorted(spec.labels.items())),
        taints=(*taints, Taint(labels.UNREGISTERED_TAINT, TaintEffect.NO_SCHEDULE, claim.metadata.uid or "")),
        capacity=offering.capacity if offering else allocatable,
        allocatable=allocatable,
        tags=((labels.NODEPOOL, spec.node_pool), (labels.NODECLAIM, claim.name)),
    )


def advanced(claim: NodeClaim, step: Advance, now: float) -> NodeClaimStatus:
    """The status after entering a phase. A node that is in use has been registered, whether that was written or not."""
    times = _times(claim)
    if step.phase is Phase.READY:
        times.setdefault(Phase.REGISTERED, _time(now))
    times[step.phase] = _time(now)
    status = claim.status.model_copy(
        update={
            "observed_generation": claim.metadata.generation,
            "phase": step.phase,
            "phase_times": times,
            "provider_id": step.provider_id or claim.status.provider_id,
            "node_name": step.node or claim.status.node_name,
            "message": None,
        }
    )
    return status.model_copy(update={"conditions": _conditions(status, claim.metadata.generation)})


def told(claim: NodeClaim, message: str) -> NodeClaimStatus:
    """The status with what the claim waits for; before anything else became of it, it is Pending."""
    phase = claim.status.phase or Phase.PENDING
    return claim.status.model_copy(update={"message": message or None, "phase": phase, "phase_times": _times(claim)})


def drained(claim: NodeClaim, now: float) -> NodeClaimStatus:
    return claim.status.model_copy(update={"drained_at": _time(now)})


def noticed(claim: NodeClaim, step: RecordNotice | RecordWarning, now: float) -> NodeClaimStatus:
    notice = ApiNotice(
        kind=step.notice.kind.value,
        source=step.notice.source,
        deadline=_time(step.deadline),
        received_at=_time(now),
        id=step.notice.id[:253],
    )
    return claim.status.model_copy(update={"warning" if isinstance(step, RecordWarning) else "notice": notice})


def draining(claim: NodeClaim, instance: Instance | None, now: float) -> NodeClaimStatus:
    """The status of one whose Node is closed to new pods; as it is where that is known."""
    if claim.status.phase is Phase.DRAINING:
        return claim.status
    step = Advance(Phase.DRAINING, provider_id=instance.provider_id if instance else None)
    return advanced(claim, step, now)


def _times(claim: NodeClaim) -> dict[Phase, datetime]:
    created = claim.metadata.creation_timestamp
    decided = {Phase.PENDING: created} if created else {}
    return {**decided, **claim.status.phase_times}


def status_patch(status: NodeClaimStatus) -> Json:
    """A merge patch; null removes what was there."""
    body = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"status": {"message": None, **body}}


def guarded(claim: NodeClaim, body: Json) -> Json:
    """The patch, refused with Conflict unless the claim is as we read it: another replica may lead by now."""
    metadata = {"uid": claim.metadata.uid, "resourceVersion": claim.metadata.resource_version}
    return {**body, "metadata": {**metadata, **body.get("metadata", {})}}


def cordon_patch(node: Node) -> list[Json]:
    """Taint, cordon and off the load balancers at once: no pod may slip in between.

    A JSON patch, since the list of taints is replaced as a whole by any other kind; the test makes it fail when
    somebody else was faster to put the first one there.
    """
    taint = {"key": labels.DISRUPTED_TAINT, "effect": labels.DISRUPTED_TAINT_EFFECT}
    label = labels.EXCLUDE_FROM_LOAD_BALANCERS.replace("/", "~1")
    operations: list[Json] = [
        {"op": "add", "path": "/spec/unschedulable", "value": True},
        {"op": "add", "path": f"/metadata/labels/{label}", "value": "true"},
    ]
    if not node.taints:
        operations += _first("/spec/taints", taint)
    elif all(there.key != labels.DISRUPTED_TAINT for there in node.taints):
        operations.append({"op": "add", "path": "/spec/taints/-", "value": taint})
    return operations


def door_patch(node: Node, step: Open | Avoid) -> list[Json]:
    """Opens or closes the Node to new pods."""
    if isinstance(step, Open):
        return opening_patch(node)
    return avoiding_patch(node) if step.closed else _without_taint(node, labels.AVOID_TAINT)


def avoiding_patch(node: Node) -> list[Json]:
    """Closes the Node to new pods by a taint."""
    taint = {"key": labels.AVOID_TAINT, "effect": labels.AVOID_TAINT_EFFECT}
    return [{"op": "add", "path": "/spec/taints/-", "value": taint}] if node.taints else _first("/spec/taints", taint)


def closing_patch(node: Node) -> list[Json]:
    """Keeps new pods off a node whose pods are being moved, and nothing else: it may yet be opened again."""
    taint = {"key": labels.DISRUPTED_TAINT, "effect": labels.DISRUPTED_TAINT_EFFECT}
    return [{"op": "add", "path": "/spec/taints/-", "value": taint}] if node.taints else _first("/spec/taints", taint)


def reopening_patch(node: Node) -> list[Json]:
    """Takes that taint off again; the test fails the patch when the list has changed."""
    return _without_taint(node, labels.DISRUPTED_TAINT)


def opening_patch(node: Node) -> list[Json]:
    """Takes our taint off, by its place in the list; the test fails the patch when the list has changed. Our finalizer
    comes with it where it is not there yet."""
    guarding = [] if labels.TERMINATION_FINALIZER in node.finalizers else finalizer_added(node.finalizers)
    return [*_without_taint(node, labels.UNREGISTERED_TAINT), *guarding]


def _without_taint(node: Node, key: str) -> list[Json]:
    index = next(i for i, taint in enumerate(node.taints) if taint.key == key)
    return [
        {"op": "test", "path": f"/spec/taints/{index}/key", "value": key},
        {"op": "remove", "path": f"/spec/taints/{index}"},
    ]


def finalizer_added(finalizers: tuple[str, ...]) -> list[Json]:
    """A JSON patch that leaves those of others as they are."""
    if not finalizers:
        return _first("/metadata/finalizers", labels.TERMINATION_FINALIZER)
    return [{"op": "add", "path": "/metadata/finalizers/-", "value": labels.TERMINATION_FINALIZER}]


def finalizer_removed(node: Node) -> list[Json]:
    """A JSON patch that takes ours off and fails when the list has changed, so that none of others' gets lost, or when
    another Node has its name by now."""
    path = f"/metadata/finalizers/{node.finalizers.index(labels.TERMINATION_FINALIZER)}"
    return [
        {"op": "test", "path": "/metadata/uid", "value": node.uid},
        {"op": "test", "path": path, "value": labels.TERMINATION_FINALIZER},
        {"op": "remove", "path": path},
    ]


def _first(path: str, item: Any) -> list[Json]:
    """Makes a list of one where there is none."""
    return [{"op": "test", "path": path, "value": None}, {"op": "add", "path": path, "value": [item]}]


def _conditions(status: NodeClaimStatus, generation: int | None) -> tuple[Condition, ...]:
    return tuple(_condition(milestone, status, generation) for milestone in _MILESTONES)


def _condition(milestone: Phase, status: NodeClaimStatus, generation: int | None) -> Condition:
    reached = milestone in status.phase_times
    if milestone is Phase.READY:
        reached = status.phase is Phase.READY
    now = status.phase_times[status.phase] if status.phase else _time(0)
    when = now if milestone is Phase.READY and not reached else status.phase_times.get(milestone, now)
    return Condition(
        type=milestone.value,
        status=ConditionStatus.TRUE if reached else ConditionStatus.FALSE,
        observed_generation=generation,
        last_transition_time=when,
        reason=milestone.value if reached else f"Not{milestone.value}",
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
