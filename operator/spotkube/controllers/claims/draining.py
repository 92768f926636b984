"""Which pods of a leaving node are asked to go, when, and how. Pure.

Budgets are honoured through the Eviction API up to each pod's forced moment, which leaves it its whole grace before the
deadline: a budget that ends in SIGKILL protects nobody. Without a deadline there is no forced moment.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from spotkube.model.pods import Pod


@dataclass(frozen=True, slots=True)
class PodAction:
    """Evict the pod, or (`forced`) delete it with the grace that remains. None leaves the pod its own grace."""

    pod: Pod
    forced: bool = False
    grace_seconds: int | None = None


def must_leave(pod: Pod) -> bool:
    """Daemons and static pods end with their node."""
    return not (pod.daemon or pod.mirror)


def drain_actions(
    pods: Iterable[Pod], now: float, deadline: float | None, margin_seconds: float
) -> tuple[PodAction, ...]:
    """What to ask of the pods now, the longest grace first; pods that are going already are left alone."""
    actions = []
    for pod in sorted(pods, key=lambda pod: (-pod.grace_seconds, pod.key)):
        if pod.deleting or not must_leave(pod):
            continue
        if deadline is None:
            # An opt-out holds back moves that could wait; a notice can't.
            if not pod.do_not_disrupt:
                actions.append(PodAction(pod))
            continue
        left = deadline - margin_seconds - now
        if left > pod.grace_seconds:
            actions.append(PodAction(pod))
        else:
            actions.append(PodAction(pod, forced=True, grace_seconds=max(1, min(pod.grace_seconds, int(left)))))
    return tuple(actions)
