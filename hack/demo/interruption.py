"""A spot node gets a two-minute notice: which one, and what has become of it and its pods so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC

from demo.errors import DemoError
from demo.scene import Scene
from spotkube.api import NodeClaim

READY, SPOT = "Ready", "spot"


@dataclass(frozen=True, slots=True)
class Victim:
    """The node that is taken back, as it was just before: its claim, its pods, and all claims that there were."""

    claim: NodeClaim
    node: str
    pods: frozenset[str]
    covered: int
    known_claims: frozenset[str]


def choose(scene: Scene) -> Victim:
    """The spot node with most pods among those that hold a pod of a service with a budget.

    Raises:
        DemoError: there is none.
    """
    candidates = []
    for claim in scene.claims.values():
        node = claim.status.node_name
        if claim.spec.capacity_type != SPOT or claim.status.phase != READY or not node:
            continue
        pods = scene.pods_on(node)
        covered = sum(pod.covered for pod in pods)
        if covered:
            keys = frozenset(pod.key for pod in pods)
            candidates.append(Victim(claim, node, keys, covered, frozenset(scene.claims)))
    if not candidates:
        raise DemoError("no spot node holds a pod that a PodDisruptionBudget covers, so there is nothing to show")
    return max(candidates, key=lambda victim: (len(victim.pods), victim.node))


@dataclass
class Timeline:
    """What has happened since the notice. Each step is told once, in whatever order they come true."""

    victim: Victim
    told: dict[str, float] = field(default_factory=dict)

    def observe(self, scene: Scene, seconds: float) -> list[str]:
        """What is new in the scene, in words; `seconds` since the notice."""
        news = []
        for name, describe in _STEPS.items():
            if name not in self.told and (text := describe(self.victim, scene)):
                self.told[name] = seconds
                news.append(text)
        return news

    @property
    def is_over(self) -> bool:
        """Whether everything has happened that must."""
        return len(self.told) == len(_STEPS)

    @property
    def missing(self) -> list[str]:
        return [name for name in _STEPS if name not in self.told]


def _replacements(victim: Victim, scene: Scene) -> list[NodeClaim]:
    new = (claim for name, claim in scene.claims.items() if name not in victim.known_claims)
    return sorted(new, key=lambda claim: claim.name)


def _notice(victim: Victim, scene: Scene) -> str:
    claim = scene.claims.get(victim.claim.name)
    notice = claim.status.notice if claim else None
    if notice is None:
        return ""
    return (
        f"the claim records the notice ({notice.source}): the end is at {notice.deadline.astimezone(UTC):%H:%M:%S} UTC"
    )


def _cordon(victim: Victim, scene: Scene) -> str:
    node = scene.nodes.get(victim.node)
    if node is not None and not node.is_cordoned:
        return ""
    return "the node is cordoned, tainted, and taken off the load balancers"


def _replacement(victim: Victim, scene: Scene) -> str:
    specs = [claim.spec for claim in _replacements(victim, scene)]
    offerings = [f"{s.instance_type} {s.zone} {s.capacity_type} (${s.price_usd_per_hour:.4f}/h)" for s in specs]
    return f"bought in its place: {', '.join(offerings)}" if offerings else ""


def _replacement_ready(victim: Victim, scene: Scene) -> str:
    new = _replacements(victim, scene)
    ready = bool(new) and all(claim.status.phase == READY for claim in new)
    return f"{'the replacement is' if len(new) == 1 else f'all {len(new)} replacements are'} Ready" if ready else ""


def _leaving(victim: Victim, scene: Scene) -> str:
    pods = {pod.key: pod for pod in scene.work}
    stayed = [key for key in victim.pods if (pod := pods.get(key)) and pod.node == victim.node and not pod.is_ending]
    return f"the first of its {len(victim.pods)} pods are evicted" if len(stayed) < len(victim.pods) else ""


def _left(victim: Victim, scene: Scene) -> str:
    return "" if scene.pods_on(victim.node) else "all its pods have left, as far as their budgets let them at a time"


def _node_gone(victim: Victim, scene: Scene) -> str:
    return "" if victim.node in scene.nodes else "the instance is ended and its Node is gone"


def _claim_gone(victim: Victim, scene: Scene) -> str:
    return "" if victim.claim.name in scene.claims else "its NodeClaim is gone"


def _all_run(victim: Victim, scene: Scene) -> str:
    moved = not scene.pods_on(victim.node)
    return "all pods run again" if moved and scene.all_run() else ""


_STEPS: dict[str, Callable[[Victim, Scene], str]] = {
    "notice": _notice,
    "cordon": _cordon,
    "replacement": _replacement,
    "eviction": _leaving,
    "replacement ready": _replacement_ready,
    "drained": _left,
    "node gone": _node_gone,
    "claim gone": _claim_gone,
    "all pods run": _all_run,
}
