"""What it costs in micro-dollars to move a pod to another node: what is lost while it is restarted.

The rule: for the time that a restart costs it, the pod pays for its room twice, at the cheapest on-demand price. Its
deletion cost and its priority make it dearer. No move is free: somebody always notices a pod that restarts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import log10

from spotkube.model.cluster import Snapshot
from spotkube.model.offerings import ON_DEMAND, Offering
from spotkube.model.pods import Pod
from spotkube.model.resources import ResourceList

# For pods of no Workload. Image, start, caches, the next readiness probe: what a pod takes until it serves as before; a
# job's begins anew.
RESTART_SECONDS, JOB_RESTART_SECONDS = 300.0, 1800.0
# A tenth of a cent: what an hour of a fortieth of a core costs.
LEAST_MICRO_USD = 1_000
# So much of controller.kubernetes.io/pod-deletion-cost makes a move dearer by one restart.
DELETION_COST_UNIT = 1_000
# Neither annotation nor priority may turn the balance altogether.
LEAST_FACTOR, MOST_FACTOR = 0.1, 10.0


@dataclass
class MovePrices:
    """The prices of moves in one Snapshot; each shape is looked up once."""

    offerings: tuple[Offering, ...]
    restart_seconds: Mapping[str, float]
    _room: dict[ResourceList, float] = field(default_factory=dict)

    @classmethod
    def of(cls, snapshot: Snapshot) -> "MovePrices":
        on_demand = tuple(o for o in snapshot.offerings if o.capacity_type == ON_DEMAND)
        restart_seconds = {rule.key: rule.restart_seconds for rule in snapshot.workloads}
        return cls(on_demand or snapshot.offerings, restart_seconds)

    def of_all(self, pods: Iterable[Pod]) -> int:
        return sum(self.of_pod(pod) for pod in pods)

    def of_pod(self, pod: Pod) -> int:
        requests = pod.shape.requests
        if requests not in self._room:
            self._room[requests] = room_price(requests, self.offerings)
        otherwise = JOB_RESTART_SECONDS if pod.owner.startswith("Job/") else RESTART_SECONDS
        seconds = self.restart_seconds.get(pod.workload or "", otherwise)
        return move_cost(pod, self._room[requests], seconds)


def move_cost(pod: Pod, room_micro_usd_hour: float, seconds: float) -> int:
    """Micro-dollars for one move of the pod, whose restart costs it `seconds` of its room."""
    restart = max(room_micro_usd_hour * seconds / 3600, LEAST_MICRO_USD)
    factor = _deletion_factor(pod.deletion_cost) * _priority_factor(pod.shape.priority)
    return round(restart * min(max(factor, LEAST_FACTOR), MOST_FACTOR))


def room_price(requests: ResourceList, offerings: Iterable[Offering]) -> float:
    """Micro-dollars an hour for the share of a node that the pod takes of its scarcest resource, where that is least.

    What cheap and large nodes sell by the slice; 0 where none of them has what the pod asks for.
    """
    able = (o for o in offerings if all(o.allocatable[name] for name, amount in requests.items() if amount))
    return min((o.price_micro_usd_hour * _share(requests, o.allocatable) for o in able), default=0.0)


def _share(requests: ResourceList, allocatable: ResourceList) -> float:
    return max((amount / allocatable[name] for name, amount in requests.items() if amount), default=0.0)


def _deletion_factor(cost: int) -> float:
    """1 for the default of 0, 2 for 1,000; below zero towards nothing."""
    return max(LEAST_FACTOR, 1 + cost / DELETION_COST_UNIT)


def _priority_factor(priority: int) -> float:
    """1 for the default of 0, 2 for a thousand, 4 for a thousand millions, where users' classes end; half below 0."""
    return 0.5 if priority < 0 else 1 + log10(1 + priority) / 3
