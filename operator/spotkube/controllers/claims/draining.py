"""Which pods of a leaving node are asked to go, when, and how. Pure, and without memory: any call may be the first one.

Budgets are honoured through the Eviction API up to each pod's forced moment, which leaves it its whole grace before the
deadline: a budget that ends in SIGKILL protects nobody. Without a deadline there is no forced moment.

Who others lean on goes last, as when a kubelet shuts down: a tier waits until nobody of an earlier one is left on the
node, but for no pod beyond its own forced moment.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum, StrEnum

from spotkube.model.labels import TERMINATION_DEADLINE
from spotkube.model.pods import Pod
from spotkube.model.termination import TerminationRule

# From the priority of system-cluster-critical on; no user may give himself more.
CRITICAL_PRIORITY = 2_000_000_000
# Without a deadline, a successor that never becomes ready holds up its predecessor for no longer.
SURGE_SECONDS = 300.0
_NO_RULE = TerminationRule()


class Tier(IntEnum):
    """In this order pods leave."""

    ORDINARY = 0
    DAEMON = 1
    CRITICAL = 2
    CRITICAL_DAEMON = 3


class How(StrEnum):
    """TELL it of the deadline by annotations. RELEASE it from its ReplicaSet, which makes its successor at once, while
    it goes on serving. EVICT it, which budgets may refuse. FORCE: delete it with the grace that remains."""

    TELL = "tell"
    RELEASE = "release"
    EVICT = "evict"
    FORCE = "force"


@dataclass(frozen=True, slots=True)
class PodAction:
    """What is asked for one pod. `grace_seconds` None leaves it its own; it is never 0, which would only drop the API
    server's record of it. `annotations` are those that tell it."""

    pod: Pod
    how: How = How.EVICT
    grace_seconds: int | None = None
    annotations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Departure:
    """How a node leaves. Times are seconds since the epoch, all stored on its claim.

    Attributes:
        closed_at: when the node was closed to new pods.
        deadline: when its instance ends, None: whenever all pods have left.
        noticed_at: when we learned of the deadline.
        margin_seconds: how long before the deadline pods shall be gone.
        balancer_seconds: without a deadline, how long load balancers are given to forget the node.
        rules: of the Workloads that have one, by their key.
        succeeded_later: UIDs of pods whose successors are not ready yet.
    """

    now: float
    closed_at: float
    deadline: float | None = None
    noticed_at: float = 0.0
    margin_seconds: float = 0.0
    balancer_seconds: float = 0.0
    rules: Mapping[str, TerminationRule] = field(default_factory=dict)
    succeeded_later: frozenset[str] = frozenset()

    @property
    def left_seconds(self) -> float:
        """Until all pods must be gone; negative when that is over, infinite without a deadline."""
        return math.inf if self.deadline is None else self.deadline - self.margin_seconds - self.now

    def rule_of(self, pod: Pod) -> TerminationRule:
        return self.rules.get(pod.workload or "", _NO_RULE)

    def grace_of(self, pod: Pod) -> int:
        grace = self.rule_of(pod).grace_seconds
        return max(1, pod.grace_seconds if grace is None else grace)

    def must_leave(self, pod: Pod) -> bool:
        """Whether the instance has to wait for the pod; at a notice also for daemons. One that came after the node was
        closed came back, though, and would do so again and again."""
        return must_leave(pod) or (pod.daemon and self.deadline is not None and not self.came_back(pod))

    def came_back(self, pod: Pod) -> bool:
        return pod.daemon and pod.created_at > self.closed_at


def must_leave(pod: Pod) -> bool:
    """Whether a node that nothing hurries has to wait for the pod: daemons and static pods end with it."""
    return not (pod.daemon or pod.mirror)


def tier_of(pod: Pod) -> Tier:
    critical = pod.shape.priority >= CRITICAL_PRIORITY
    if pod.daemon:
        return Tier.CRITICAL_DAEMON if critical else Tier.DAEMON
    return Tier.CRITICAL if critical else Tier.ORDINARY


def drain_actions(pods: Iterable[Pod], departure: Departure) -> tuple[PodAction, ...]:
    """What to ask of the pods of the node now, by tier, and in each the longest grace first."""
    urgent = departure.deadline is not None
    asked = [pod for pod in pods if not pod.mirror and (urgent or not pod.daemon)]
    turn = min((tier_of(pod) for pod in asked if departure.must_leave(pod)), default=None)
    asked.sort(key=lambda pod: (tier_of(pod), -departure.grace_of(pod), pod.key))
    actions = (_action(pod, departure, tier_of(pod) is turn) for pod in asked)
    return tuple(action for action in actions if action is not None)


def _action(pod: Pod, departure: Departure, its_turn: bool) -> PodAction | None:
    grace, left = departure.grace_of(pod), departure.left_seconds
    if pod.deleting:
        return _shortened(pod, departure)
    if left <= grace:
        # Rounded up: we are always a little late, and that is better taken from the margin than from the grace.
        return PodAction(pod, How.FORCE, max(1, min(grace, math.ceil(left))))
    if departure.came_back(pod) or (departure.deadline is None and pod.do_not_disrupt):
        return None  # an opt-out holds back moves that could wait; a notice can't
    if (told := _told(pod, departure)) is not None:
        return told
    if (first := _successor_first(pod, departure)) is not None:
        return first
    if not its_turn or _has_time(pod, departure):
        return None
    return PodAction(pod, How.EVICT, grace if grace != pod.grace_seconds else None)


def _shortened(pod: Pod, departure: Departure) -> PodAction | None:
    """A pod that is going already had its SIGTERM. One that would still be going when its instance ends is given what
    remains, so that its kubelet can yet unmount its volumes and tell its end."""
    if departure.deadline is None or pod.ends_at <= departure.deadline:
        return None
    return PodAction(pod, How.FORCE, max(1, int(departure.left_seconds)))


def _told(pod: Pod, departure: Departure) -> PodAction | None:
    """Our own annotation beside the one that the Workload names says that the pod knows."""
    name = departure.rule_of(pod).notice_annotation
    if not name or departure.deadline is None or pod.told_deadline == int(departure.deadline):
        return None
    value = datetime.fromtimestamp(int(departure.deadline), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return PodAction(pod, How.TELL, annotations=((name, value), (TERMINATION_DEADLINE, value)))


def _successor_first(pod: Pod, departure: Departure) -> PodAction | None:
    waits = pod.uid in departure.succeeded_later and not pod.released
    return PodAction(pod, How.RELEASE) if waits and _still_surges(departure) else None


def _still_surges(departure: Departure) -> bool:
    """With a deadline that ends at the pod's forced moment."""
    return departure.deadline is not None or departure.now < departure.closed_at + SURGE_SECONDS


def _has_time(pod: Pod, departure: Departure) -> bool:
    """Whether it is better not to evict the pod yet, where nothing forces us."""
    if pod.uid in departure.succeeded_later and _still_surges(departure):
        return True
    if departure.deadline is None:
        return departure.now < departure.closed_at + departure.balancer_seconds
    rule = departure.rule_of(pod)
    return bool(rule.notice_annotation) and departure.now < departure.noticed_at + rule.notice_seconds
