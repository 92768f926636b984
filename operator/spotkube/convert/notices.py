"""Termination notices, as the clouds and their agents put them onto Nodes."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from spotkube.model.labels import TERMINATION_DEADLINE, TERMINATION_NOTICE
from spotkube.model.notices import Notice, NoticeKind

Json = Mapping[str, Any]

_SPOT = NoticeKind.SPOT_INTERRUPTION
_NTH = "aws-node-termination-handler"
_AUTOSCALER = "ToBeDeletedByClusterAutoscaler"
# Taint key -> what it means, how long the cloud gives, and whether the instance surely ends. EC2 gives a spot instance
# two minutes, GKE and AKS half a minute; who shuts a node down for maintenance gives minutes at least.
_TAINTS: dict[str, tuple[NoticeKind, float, bool]] = {
    f"{_NTH}/spot-itn": (_SPOT, 120, True),
    f"{_NTH}/scheduled-maintenance": (NoticeKind.SCHEDULED_MAINTENANCE, 600, True),
    f"{_NTH}/asg-lifecycle-termination": (NoticeKind.INSTANCE_TERMINATION, 120, True),
    f"{_NTH}/rebalance-recommendation": (NoticeKind.REBALANCE_RECOMMENDATION, 600, False),
    "cloud.google.com/impending-node-termination": (_SPOT, 30, True),
    "remediator.kubernetes.azure.com/unschedulable": (_SPOT, 30, True),
    "karpenter.sh/disrupted": (NoticeKind.INSTANCE_TERMINATION, 600, True),
    _AUTOSCALER: (NoticeKind.INSTANCE_TERMINATION, 600, True),
    "node.cloudprovider.kubernetes.io/shutdown": (NoticeKind.OUT_OF_SERVICE, 0, True),
    "node.kubernetes.io/out-of-service": (NoticeKind.OUT_OF_SERVICE, 0, True),
}
_LABELS: dict[tuple[str, str], tuple[NoticeKind, float]] = {
    ("cloud.google.com/active-node-maintenance", "ONGOING"): (NoticeKind.SCHEDULED_MAINTENANCE, 30),
}
# Conditions that AKS's node problem detector makes of scheduled events.
_CONDITIONS: dict[str, tuple[NoticeKind, float]] = {"PreemptScheduled": (_SPOT, 30), "TerminateScheduled": (_SPOT, 30)}


_KINDS_OF_AGENT = frozenset(NoticeKind)


def notice_of(node: Json) -> Notice | None:
    """The gravest notice on a Node: what ends the instance before mere warnings, the sooner end first."""
    deadline = _deadline(node)
    notices = sorted(_notices(node, deadline), key=lambda n: (not n.ends_instance, n.lead_seconds, n.source))
    return notices[0] if notices else None


def _notices(node: Json, deadline: float | None) -> Iterator[Notice]:
    uid = node["metadata"]["uid"]
    kind = (node["metadata"].get("annotations") or {}).get(TERMINATION_NOTICE)
    if kind in _KINDS_OF_AGENT and deadline is not None:
        ends = kind != NoticeKind.REBALANCE_RECOMMENDATION
        yield Notice(NoticeKind(kind), TERMINATION_NOTICE, f"{uid}/{kind}/{deadline:.0f}", 0.0, deadline, ends)
        deadline = None  # it says nothing of what others tell
    for taint in (node.get("spec") or {}).get("taints") or ():
        if taint["key"] in _TAINTS:
            kind, lead, ends = _TAINTS[taint["key"]]
            known = deadline or _since(taint.get("timeAdded"), lead) or _stamped(taint, lead)
            yield Notice(kind, taint["key"], f"{uid}/{taint['key']}/{taint.get('value') or ''}", lead, known, ends)
    labels = node["metadata"].get("labels") or {}
    for (key, value), (kind, lead) in _LABELS.items():
        if labels.get(key) == value:
            yield Notice(kind, key, f"{uid}/{key}", lead, deadline)
    for condition in (node.get("status") or {}).get("conditions") or ():
        if condition["type"] in _CONDITIONS and condition["status"] == "True":
            kind, lead = _CONDITIONS[condition["type"]]
            since = _since(condition.get("lastTransitionTime"), lead)
            yield Notice(kind, condition["type"], f"{uid}/{condition['type']}", lead, deadline or since)


def _since(text: str | None, lead: float) -> float | None:
    return datetime.fromisoformat(text).timestamp() + lead if text else None


def _stamped(taint: Json, lead: float) -> float | None:
    """Cluster Autoscaler writes as the taint's value when it set it, in seconds since the epoch."""
    value = taint.get("value") or ""
    stamped = taint["key"] == _AUTOSCALER and value.isascii() and value.isdigit() and len(value) <= 11
    return int(value) + lead if stamped else None


def _deadline(node: Json) -> float | None:
    """An agent that knows the absolute deadline writes it as an annotation; one that can't be read, or could mean any
    time zone, counts as none."""
    text = (node["metadata"].get("annotations") or {}).get(TERMINATION_DEADLINE)
    try:
        deadline = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return deadline.timestamp() if deadline is not None and deadline.tzinfo is not None else None
