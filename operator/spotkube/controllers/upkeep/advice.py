"""Nodes that the cloud advises to leave, of pools that would rather replace such. Pure.

Waiting for the notice, which may never come, costs each pod one restart, as moving it now does. So moving pays only for
pods that would not end within the notice: what they still have to do is lost when the machine goes.
"""

from collections.abc import Iterable, Iterator

from spotkube.controllers.claims.draining import must_leave
from spotkube.controllers.view import View
from spotkube.model.cluster import Claim, ClaimPhase, Mode, Rebalance
from spotkube.model.disruption import Disruptable, DisruptionReason
from spotkube.model.pods import Pod

# What a spot instance is given at least where recommendations exist.
SPOT_NOTICE_SECONDS = 120.0


def advised(view: View, margin_seconds: float) -> tuple[Disruptable, ...]:
    """Those with pods that would be cut off, those that lose most first. A drain keeps `margin_seconds` for itself."""
    left = SPOT_NOTICE_SECONDS - margin_seconds
    found = [(slow, claim) for claim in _warned(view) if (slow := _cut_off(claim, left, view))]
    found.sort(key=lambda one: (-sum(pod.grace_seconds - left for pod in one[0]), one[1].name))
    return tuple(Disruptable(claim.name, DisruptionReason.REBALANCE, _words(slow, left)) for slow, claim in found)


def _warned(view: View) -> Iterator[Claim]:
    for claim in view.snapshot.claims:
        pool, known = view.pool_model(claim.pool), view.claims.get(claim.name)
        if pool is None or pool.mode is not Mode.APPLY or pool.rebalance is not Rebalance.REPLACE:
            continue
        if claim.phase is ClaimPhase.READY and not claim.leaving and known and known.status.warning:
            yield claim


def _cut_off(claim: Claim, left: float, view: View) -> list[Pod]:
    pods: Iterable[Pod] = view.pods_on.get(claim.node or claim.name, ())
    return [pod for pod in pods if must_leave(pod) and pod.grace_seconds > left and not pod.do_not_disrupt]


def _words(slow: list[Pod], left: float) -> str:
    one = max(slow, key=lambda pod: (pod.grace_seconds, pod.key))
    others = f", and {len(slow) - 1} more like it" if len(slow) > 1 else ""
    return f"pod {one.key} takes {one.grace_seconds} s to end, and a spot notice leaves {left:.0f}{others}"
