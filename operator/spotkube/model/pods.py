"""Pods as the planner sees them: what matters for scheduling, and who they belong to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from spotkube.model.labels import POD_TEMPLATE_HASH, RELEASED
from spotkube.model.queued import QueuedPod
from spotkube.model.resources import ResourceList
from spotkube.model.selectors import LabelSelector, SortedSet, Term, Toleration
from spotkube.model.volumes import AttachedVolume, ClaimKey, ClaimUse

Labels = tuple[tuple[str, str], ...]
_NO_VOLUMES = ResourceList()
ALL_NAMESPACES = frozenset({"*"})


ANY_ADDRESS = "0.0.0.0"
DEFAULT_SCHEDULER = "default-scheduler"
_MADE_ANEW = ("Deployment/", "ReplicaSet/", "StatefulSet/")


@dataclass(frozen=True, slots=True)
class SpreadConstraint:
    """A topology spread constraint with whenUnsatisfiable DoNotSchedule; the soft ones are not planned for.

    `honor_affinity` and `honor_taints`: whether nodes that the pod's node affinity or its tolerations exclude are left
    out of the count (nodeAffinityPolicy and nodeTaintsPolicy).
    """

    max_skew: int
    topology_key: str
    selector: LabelSelector | None
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False


@dataclass(frozen=True, slots=True)
class PodTerm:
    """A required pod affinity or anti-affinity term.

    It is over the pods of `namespaces`, and of those namespaces whose labels `namespace_selector` selects.
    """

    topology_key: str
    selector: LabelSelector | None
    namespaces: SortedSet[str]
    namespace_selector: LabelSelector | None = None

    def means(self, pod: "Pod") -> bool:
        """Whether it is about the pod; the namespaces are known by name."""
        named = pod.namespace in self.namespaces or self.namespaces == ALL_NAMESPACES
        return named and self.selector is not None and self.selector.matches(dict(pod.labels))

    def within(self, namespaces: Mapping[str, Mapping[str, str]]) -> "PodTerm":
        """The same term with all its namespaces by name, found by their labels."""
        if self.namespace_selector is None:
            return self
        if not self.namespace_selector.requirements:
            return replace(self, namespaces=ALL_NAMESPACES, namespace_selector=None)
        found = {name for name, labels in namespaces.items() if self.namespace_selector.matches(labels)}
        return replace(self, namespaces=self.namespaces | found, namespace_selector=None)


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port of the node that a pod takes, at one address of it or at any."""

    port: int
    protocol: str = "TCP"
    address: str = ANY_ADDRESS

    def clashes(self, other: "HostPort") -> bool:
        if (self.port, self.protocol) != (other.port, other.protocol):
            return False
        return self.address == other.address or ANY_ADDRESS in (self.address, other.address)


@dataclass(frozen=True, slots=True)
class PodShape:
    """All that kube-scheduler checks of a pod, apart from its own labels: pods of one shape are interchangeable.

    `requests` counts the pod itself as one of "pods". `affinity_terms` are those of node affinity, ORed; an empty tuple
    asks for nothing. `affinity` and `anti_affinity` are those between pods, all of which hold.
    `volume_terms` are what its volumes ask of a node, lists of ORed terms that all must hold; `attachments` how many
    volumes of its own of each CSI driver it brings along, `shared_attachments` how many that other pods use as well.
    `refused` is why no node can take it yet, "" if one can. `preferred` are terms of node affinity with their weights.
    `unsupported` names what the pod uses and the planner does not model: such a pod is reported, never planned.
    """

    namespace: str
    requests: ResourceList
    node_selector: Labels = ()
    affinity_terms: tuple[Term, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    spread: tuple[SpreadConstraint, ...] = ()
    affinity: tuple[PodTerm, ...] = ()
    anti_affinity: tuple[PodTerm, ...] = ()
    host_ports: tuple[HostPort, ...] = ()
    scheduler_name: str = DEFAULT_SCHEDULER
    unsupported: tuple[str, ...] = ()
    volume_terms: tuple[tuple[Term, ...], ...] = ()
    attachments: ResourceList = _NO_VOLUMES
    shared_attachments: ResourceList = _NO_VOLUMES
    preferred: tuple[tuple[int, Term], ...] = ()
    priority: int = 0
    refused: str = ""

    @property
    def is_pinnable(self) -> bool:
        """Whether its scheduler goes by nominations, as far as we know."""
        return self.scheduler_name == DEFAULT_SCHEDULER

    @property
    def topology_keys(self) -> frozenset[str]:
        """The labels that a node must have, whatever their values: those of spreads and of pod affinity."""
        return frozenset(rule.topology_key for rule in self.spread) | {term.topology_key for term in self.affinity}


class PodPhase(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"


@dataclass(frozen=True, slots=True)
class Pod:
    """A live pod (neither Succeeded nor Failed). Times are seconds since the epoch; it has not started at 0.

    `node` is the Node it is bound to, `nominated` the one it is nominated onto, `admitted_by` the
    UIDs of claims whose nodes it may enter before others. `workload` is "namespace/name" of the
    Workload that it belongs to, `owner` "Kind/name" of its controller, "" for a bare pod. `claims` are those of its
    volumes. Once these are looked up, `volumes` is what of them is attached to its node, `unbound` those that it shares
    with others and whose volume is still to be made, and `shape` has what they ask for. `deletion_cost` is what its
    annotation controller.kubernetes.io/pod-deletion-cost says. `queued` is None for one that stands in no queue by
    itself. Of one that is `deleting`, `ends_at` is when its grace is over. `told_deadline` is the end of its instance
    that it was told of, 0 for none. `saved_at` is when it says that it saved its work last, 0 where it says nothing.
    """

    uid: str
    namespace: str
    name: str
    labels: Labels
    shape: PodShape
    owner: str = ""
    workload: str | None = None
    node: str | None = None
    nominated: str | None = None
    admitted_by: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    phase: PodPhase = PodPhase.PENDING
    ready: bool = False
    unschedulable: bool = False
    daemon: bool = False
    mirror: bool = False
    deleting: bool = False
    ends_at: float = 0.0
    told_deadline: float = 0.0
    do_not_disrupt: bool = False
    deletion_cost: int = 0
    grace_seconds: int = 30
    created_at: float = 0.0
    started_at: float = 0.0
    claims: tuple[ClaimUse, ...] = ()
    volumes: tuple[AttachedVolume, ...] = ()
    unbound: tuple[ClaimKey, ...] = ()
    queued: QueuedPod | None = None
    saved_at: float = field(default=0.0, compare=False)  # a new one is no reason for a cycle

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def batch(self) -> bool:
        """Whether it is a Job's, which serves nobody."""
        return self.owner.startswith("Job/")

    @property
    def made_anew(self) -> bool:
        """Whether its owner makes another one in its stead, however it ends."""
        return self.owner.startswith(_MADE_ANEW)

    @property
    def released(self) -> bool:
        """Whether we took it from its ReplicaSet, so that its successor could be made."""
        return (POD_TEMPLATE_HASH, RELEASED) in self.labels


def turn_of(pod: Pod) -> tuple[int, float]:
    """What kube-scheduler's queue is sorted by: priority, and then how long a pod waits."""
    return -pod.shape.priority, pod.created_at


def shapes_of(pods: Iterable[Pod]) -> tuple[PodShape, ...]:
    """The pods' shapes, each object once: of thousands of pods there are few, which need not be compared."""
    return tuple({id(pod.shape): pod.shape for pod in pods}.values())


@dataclass(frozen=True, slots=True)
class EndedPod:
    """A pod of a queue that nobody makes anew, and that has ended well or not, as long as it is there. `pod` is as it
    was at its end, `ended_at` when that was, in seconds since the epoch; 0 where nothing says so."""

    pod: Pod
    succeeded: bool
    ended_at: float = 0.0


@dataclass(frozen=True, slots=True)
class SpotRule:
    """How much spot a Workload bears: at most `fraction` of its replicas, and none of the first `on_demand_base`."""

    on_demand_base: int = 0
    fraction: float = 1.0

    def on_demand_count(self, replicas: int) -> int:
        """How many of `replicas` must run on demand."""
        # Rounded before the ceiling, so that 0.7 of 10 leaves 3 and not 4 on demand.
        by_fraction = replicas - int(round(self.fraction * replicas, 9))
        return min(replicas, max(self.on_demand_base, by_fraction))


NEVER_ON_SPOT = SpotRule(fraction=0.0)


@dataclass(frozen=True, slots=True)
class DaemonSet:
    """A DaemonSet's pod, which every node that it may run on has to hold besides the planned pods."""

    key: str
    shape: PodShape
