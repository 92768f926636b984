"""What must hold after any fault: pure functions from a History to what was looked at and what was violated.

They know nothing of how the operator works, only what its users were promised (docs/termination.md, docs/chaos.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from chaos.history import ClaimLife, History, InstanceLife, PodLife, Reign

# An instance may live so long without a claim: garbage is looked for after 30 s, in cycles of some seconds.
ORPHAN_SECONDS = 60.0
# Times of the API server are whole seconds, and a drain keeps a margin of a few for itself.
SLACK_SECONDS = 5.0
# A change of the lease is seen later than it was made.
SEEN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One invariant: how many cases it was looked at in, and in words those in which it did not hold."""

    name: str
    cases: int
    violations: tuple[str, ...] = ()


@dataclass
class _Cases:
    count: int = 0
    violations: list[str] = field(default_factory=list)

    def case(self, holds: bool, otherwise: str) -> None:
        self.count += 1
        if not holds:
            self.violations.append(otherwise)


def owned(history: History, cases: _Cases) -> None:
    """No instance is without its claim for longer than ORPHAN_SECONDS."""
    claims = {claim.uid: claim for claim in history.claims}
    for instance in history.instances:
        until = history.ended_at if instance.ended_at is None else instance.ended_at
        claim = claims.get(instance.token)
        alone_since = instance.launched_at if claim is None else claim.gone_at
        alone = 0.0 if alone_since is None else until - max(alone_since, instance.launched_at)
        cases.case(alone <= ORPHAN_SECONDS, f"instance {instance.name} was nobody's for {alone:.0f} s")


def bought_once(history: History, cases: _Cases) -> None:
    """Nothing is bought twice: for one claim, or for a pod that another claim in force was bought for.

    Plans may have like pods change places. So two claims for one pod are one too many only where all in force were
    bought for more pods than there are.
    """
    claims = {claim.uid: claim for claim in history.claims}
    tokens: set[str] = set()
    bought: list[ClaimLife] = []
    for instance in sorted(history.instances, key=lambda each: each.launched_at):
        cases.case(instance.token not in tokens, f"instance {instance.name} was bought a second time")
        tokens.add(instance.token)
        if (claim := claims.get(instance.token)) is None:
            continue
        at = instance.launched_at
        others = [other for other in bought if other.uid != claim.uid and _in_force(other, at)]
        twin = next((other for other in others if other.planned_pods & claim.planned_pods), None)
        seats = sum(len(one.planned_pods) for one in (*others, claim))
        there = sum(pod.created_at <= at + SLACK_SECONDS and (pod.gone_at or at) >= at for pod in history.pods)
        cases.case(twin is None or seats <= there, f"claim {claim.name} was bought for pods of {twin and twin.name}")
        bought.append(claim)


def _in_force(claim: ClaimLife, at: float) -> bool:
    return claim.leaving_at is None or claim.leaving_at > at + SLACK_SECONDS


def warned(history: History, cases: _Cases) -> None:
    """Each pod on a machine that is taken back was told to end at least min(its grace, what remained) before."""
    pods = {pod.uid: pod for pod in history.pods}
    for instance, pod in _on_noticed(history, pods):
        assert instance.deadline is not None and instance.noticed_at is not None
        remaining = instance.deadline - max(instance.noticed_at, pod.created_at)
        had = instance.deadline - pod.told_at if pod.told_at is not None else 0.0
        fair = had >= min(pod.grace_seconds, remaining) - SLACK_SECONDS and had > 0
        cases.case(fair, f"pod {pod.key} was told {had:.0f} s before the end of {instance.name}")


def _on_noticed(history: History, pods: Mapping[str, PodLife]) -> Iterator[tuple[InstanceLife, PodLife]]:
    """Pods that were told, or never were, on machines with a notice that came to their end."""
    for instance in history.instances:
        if instance.deadline is None or instance.ended_at is None:
            continue
        for pod in pods.values():
            if pod.node == instance.name and (pod.told_at is not None or pod.uid in instance.lost_pods):
                yield instance, pod


def none_lost_by_us(history: History, cases: _Cases) -> None:
    """A machine that we end by ourselves, before any deadline, has no pod on it any more."""
    for instance in history.instances:
        if instance.ended_at is None or (instance.deadline is not None and instance.ended_at >= instance.deadline):
            continue
        lost = len(instance.lost_pods)
        cases.case(not lost, f"instance {instance.name} was ended with {lost} pods on it")


def forced_when_due(history: History, cases: _Cases) -> None:
    """A pod is deleted without asking its budgets only when its grace would else reach beyond its machine's end."""
    deadlines = {each.name: each.deadline for each in history.instances}
    for pod in history.pods:
        if not pod.forced or pod.told_at is None:
            continue
        deadline = deadlines.get(pod.node or "")
        due = deadline is not None and pod.told_at >= deadline - pod.grace_seconds - SLACK_SECONDS
        left = "no deadline at all" if deadline is None else f"{deadline - pod.told_at:.0f} s left"
        cases.case(due, f"pod {pod.key} was forced with {left} and a grace of {pod.grace_seconds:.0f} s")


def one_actor(history: History, cases: _Cases) -> None:
    """Who changes anything holds the lease right then; whoever is stopped after that moment is not to blame."""
    for act in history.acts:
        reigns = zip(history.reigns, (*history.reigns[1:], Reign(None, float("inf"))), strict=True)
        holds = any(
            reign.pid == act.pid and reign.since - SEEN_SECONDS <= act.at < after.since for reign, after in reigns
        )
        cases.case(holds, f"process {act.pid} did not hold the lease when it made the call {act.name}")


def within_cap(cap_usd_hour: float) -> Callable[[History, _Cases], None]:
    """What is alive at once never costs more than the cap."""

    def spend_capped(history: History, cases: _Cases) -> None:
        prices = {claim.uid: claim.price_usd_hour for claim in history.claims}
        for now in (instance.launched_at for instance in history.instances):
            alive = (each for each in history.instances if each.launched_at <= now < (each.ended_at or float("inf")))
            spent = sum(prices.get(each.token, 0.0) for each in alive)
            cases.case(spent <= cap_usd_hour + 1e-9, f"${spent:.4f} an hour was spent, above ${cap_usd_hour:.4f}")

    return spend_capped


def nothing_left(history: History, cases: _Cases) -> None:
    """In the end claims, nodes and instances are the same, and all pods run."""
    claims = {claim.name for claim in history.claims if claim.gone_at is None}
    alive = {instance.name for instance in history.instances if instance.ended_at is None}
    for name in sorted(claims | alive | history.nodes):
        missing = [
            kind
            for kind, there in (("claim", claims), ("instance", alive), ("Node", history.nodes))
            if name not in there
        ]
        cases.case(not missing, f"{name} has no {' and no '.join(missing)} in the end")
    for pod in history.pods:
        if pod.gone_at is None:
            cases.case(pod.running, f"pod {pod.key} does not run in the end")


def check(history: History, cap_usd_hour: float | None = None) -> tuple[Verdict, ...]:
    """All invariants; that of the spend only where there is a cap."""
    invariants: list[Callable[[History, _Cases], None]] = [
        owned,
        bought_once,
        warned,
        forced_when_due,
        none_lost_by_us,
        one_actor,
        nothing_left,
    ]
    if cap_usd_hour is not None:
        invariants.append(within_cap(cap_usd_hour))
    return tuple(_judged(invariant, history) for invariant in invariants)


def _judged(invariant: Callable[[History, _Cases], None], history: History) -> Verdict:
    cases = _Cases()
    invariant(history, cases)
    return Verdict(invariant.__name__, cases.count, tuple(cases.violations))
