"""Why pods wait, in words that stay the same while the reason does: a status is not written for a running clock."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from spotkube.api import NodeClaim
from spotkube.controllers.queues.standing import Standing
from spotkube.model import labels as keys
from spotkube.model.pods import Pod

MAX_REASONS = 3
MAX_CHARACTERS = 1024
"""What the API allows in waitingFor."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of pods that have no node yet, by their uid.

    `expected` names the NodeClaim that a pod was planned onto, `unplaceable` gives the planner's reason, `recommended`
    names the NodePool in mode Recommend from which a node would be bought. `queued` are jobs that wait in a queue.
    """

    claims: Mapping[str, NodeClaim] = field(default_factory=dict)
    expected: Mapping[str, str] = field(default_factory=dict)
    unplaceable: Mapping[str, str] = field(default_factory=dict)
    recommended: Mapping[str, str] = field(default_factory=dict)
    queued: Mapping[str, Standing] = field(default_factory=dict)


def pods_waiting(pods: Iterable[Pod], outlook: Outlook) -> list[str]:
    """One sentence for each reason that some of the pods wait for, that of the most pods first."""
    reasons = Counter(reason_of(pod, outlook) for pod in pods)
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    told = [f"{count_of(count, 'pod')}: {reason}" for reason, count in ordered[:MAX_REASONS]]
    others = sum(count for _, count in ordered[MAX_REASONS:])
    return [*told, f"{count_of(others, 'pod')} for other reasons"] if others else told


def reason_of(pod: Pod, outlook: Outlook) -> str:
    """Why a pod without a node waits."""
    if standing := outlook.queued.get(pod.uid):
        return f"waits in queue {standing.queue}: {standing.message}"
    foreign = next((gate for gate in pod.gates if gate not in (keys.PLACEMENT_GATE, keys.QUEUE_GATE)), None)
    # First: what the pools that may buy have no place for may be recommended in another one.
    if pod.uid not in outlook.expected and (pool := outlook.recommended.get(pod.uid)):
        return f"a node is recommended only: set mode of NodePool {pool} to Apply"
    if reason := outlook.unplaceable.get(pod.uid):
        return reason
    if keys.QUEUE_GATE in pod.gates and pod.queued is None:
        return "its queue gives its job fewer pods at the moment, and it follows when one of them has ended"
    if foreign is not None:
        return f"held by scheduling gate {foreign}, which whoever set it must remove"
    if claim := outlook.expected.get(pod.uid):
        return _claim_in_words(claim, outlook.claims.get(claim))
    if not pod.shape.is_pinnable and not pod.gates:
        return f"scheduler {pod.shape.scheduler_name} has not bound it yet: we plan for it, and leave its place to that"
    if pod.nominated:
        return f"nominated onto node {pod.nominated}, kube-scheduler has not bound it yet"
    if keys.QUEUE_GATE in pod.gates:
        return "held by our scheduling gate until its queue lets it go"
    if pod.gates:
        return "held by our scheduling gate until a plan gives it a node"
    return "kube-scheduler finds no node with room" if pod.unschedulable else "kube-scheduler has not seen it yet"


def in_one_line(sentences: Iterable[str]) -> str | None:
    """Joined by semicolons and cut to what the API allows; None for nothing."""
    line = "; ".join(sentence for sentence in sentences if sentence)
    return (line if len(line) <= MAX_CHARACTERS else f"{line[: MAX_CHARACTERS - 1]}…") or None


def count_of(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _claim_in_words(name: str, claim: NodeClaim | None) -> str:
    if claim is None:
        return f"waits for NodeClaim {name}"
    spec, status = claim.spec, claim.status
    words = f"waits for NodeClaim {name} ({spec.instance_type} {spec.capacity_type} in {spec.zone})"
    if status.phase is None:
        return f"{words}, which is not bought yet"
    since = status.phase_times.get(status.phase)
    return f"{words}, which is {status.phase}" + (f" since {_time(since)}" if since else "")


def _time(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
