"""Nodes, claims and pools as they stand, and the Snapshot that one decision is made from."""

from dataclasses import dataclass, field
from enum import StrEnum

from spotkube.model.history import SpotRecord
from spotkube.model.notices import Notice
from spotkube.model.offerings import Offering, OfferingKey
from spotkube.model.pods import DaemonSet, Labels, Pod, SpotRule
from spotkube.model.policy import CHEAPEST, Policy
from spotkube.model.resources import ResourceList
from spotkube.model.selectors import LabelSelector, SortedSet, Taint, Term


class Mode(StrEnum):
    APPLY = "Apply"
    RECOMMEND = "Recommend"
    PAUSED = "Paused"


class ClaimPhase(StrEnum):
    PENDING = "Pending"
    LAUNCHED = "Launched"
    REGISTERED = "Registered"
    READY = "Ready"
    DRAINING = "Draining"
    TERMINATED = "Terminated"


class Rebalance(StrEnum):
    """What a recommendation to leave a spot node leads to."""

    IGNORE = "Ignore"
    AVOID = "Avoid"
    REPLACE = "Replace"


@dataclass(frozen=True, slots=True)
class Pool:
    """A NodePool. None in a limit means that there is none, as for a resource that `limit_resources` does not name.

    Amounts in limits are sums over its nodes' allocatable. `min_values` are label keys, and among how many of their
    values there must be a choice. `per_node_micro_usd_hour` is part of the price of each of its nodes.
    `empty_after_seconds` None: nothing is given back. `consolidates`: nodes may also go whose pods have to move, where
    what that saves pays for the moves within `payback_seconds`. Nodes that are older than `expire_after_seconds`, or
    have not been Ready for `repair_after_seconds`, are replaced; None: never.
    """

    name: str
    mode: Mode = Mode.RECOMMEND
    weight: int = 0
    requirements: Term = ()
    min_values: tuple[tuple[str, int], ...] = ()
    per_node_micro_usd_hour: int = 0
    labels: Labels = ()
    taints: tuple[Taint, ...] = ()
    startup_taints: tuple[Taint, ...] = ()
    limit_resources: tuple[tuple[str, int], ...] = ()
    limit_nodes: int | None = None
    limit_micro_usd_hour: int | None = None
    max_interruption_percent: int = 100
    allow_unmanaged_on_spot: bool = False
    max_fraction_per_pool: float | None = None
    ready_timeout_seconds: float = 300.0
    empty_after_seconds: float | None = 30.0
    consolidates: bool = False
    payback_seconds: float = 3600.0
    rebalance: Rebalance = Rebalance.AVOID
    expire_after_seconds: float | None = None
    repair_after_seconds: float | None = 600.0
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A NodeClaim: one node, bought or on its way. `deadline` is when a notice says that the instance ends.

    `stays`: its pods are not to be moved now, since some came or went lately or a budget holds it.
    """

    name: str
    uid: str
    pool: str
    offering: OfferingKey
    price_micro_usd_hour: int
    allocatable: ResourceList
    labels: Labels
    taints: tuple[Taint, ...]
    phase: ClaimPhase
    startup_taints: tuple[Taint, ...] = ()
    node: str | None = None
    deadline: float | None = None
    deleting: bool = False
    stays: bool = False
    created_at: float = 0.0

    @property
    def leaving(self) -> bool:
        """Whether nothing new may be put on it."""
        return self.deleting or self.deadline is not None or self.phase in (ClaimPhase.DRAINING, ClaimPhase.TERMINATED)


@dataclass(frozen=True, slots=True)
class Node:
    """A Node of the cluster, ours (`claim` names its NodeClaim) or not. `notice` is the gravest sign on it, if any.

    `volume_limits` is how many volumes of each CSI driver it takes; others are not limited.
    """

    name: str
    labels: Labels
    taints: tuple[Taint, ...]
    allocatable: ResourceList
    ready: bool
    unschedulable: bool = False
    claim: str | None = None
    deleting: bool = False
    provider_id: str = ""
    notice: Notice | None = None
    finalizers: tuple[str, ...] = ()
    volume_limits: tuple[tuple[str, int], ...] = ()
    uid: str = ""


@dataclass(frozen=True, slots=True)
class WorkloadRule:
    """What a Workload asks of the planner. `replicas` is how many pods it wants.

    `max_fraction_per_pool` is the largest share of them on spot nodes of one instance type and zone, None: the pool's.
    `restart_seconds` is how much work of a pod an interruption destroys.
    """

    key: str
    spot: SpotRule
    replicas: int
    max_fraction_per_pool: float | None = None
    restart_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class DisruptionBudget:
    """A PodDisruptionBudget: how many of the pods that it selects may be evicted right now."""

    namespace: str
    name: str
    selector: LabelSelector | None
    allowed: int

    def covers(self, pod: Pod) -> bool:
        """One without a selector covers none."""
        return pod.namespace == self.namespace and self.selector is not None and self.selector.matches(dict(pod.labels))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one decision depends on. `taken_at` is seconds since the epoch; `resting` is not to be bought now.

    `preference_percent` is how much dearer a pod's room counts where none of its preferences is met.
    `namespaces` are those known, with their labels. `spot_history` is what was seen of spot: it grows all the time, and
    two snapshots that differ in nothing else are equal. `budgets` hold back moves that could wait.
    """

    taken_at: float
    pods: tuple[Pod, ...] = ()
    nodes: tuple[Node, ...] = ()
    claims: tuple[Claim, ...] = ()
    pools: tuple[Pool, ...] = ()
    workloads: tuple[WorkloadRule, ...] = ()
    daemonsets: tuple[DaemonSet, ...] = ()
    namespaces: tuple[tuple[str, Labels], ...] = ()
    budgets: tuple[DisruptionBudget, ...] = ()
    offerings: tuple[Offering, ...] = field(default=(), repr=False)
    resting: SortedSet[OfferingKey] = frozenset()
    preference_percent: float = 5.0
    policy: Policy = CHEAPEST
    spot_history: tuple[SpotRecord, ...] = field(default=(), compare=False)
