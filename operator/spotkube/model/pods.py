"""Pods as the planner sees them: what matters for scheduling, and who they belong to."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from spotkube.model.resources import ResourceList
from spotkube.model.selectors import LabelSelector, Term, Toleration
from spotkube.model.volumes import AttachedVolume, ClaimKey, ClaimUse

Labels = tuple[tuple[str, str], ...]
_NO_VOLUMES = ResourceList()
ALL_NAMESPACES = frozenset({"*"})


@dataclass(frozen=True, slots=True)
class SpreadConstraint:
    """A topology spread constraint with whenUnsatisfiable DoNotSchedule; the soft ones are not planned for."""

    max_skew: int
    topology_key: str
    selector: LabelSelector | None
    min_domains: int = 1


@dataclass(frozen=True, slots=True)
class PodTerm:
    """A required pod anti-affinity term over pods of the namespaces that it names."""

    topology_key: str
    selector: LabelSelector | None
    namespaces: frozenset[str]

    def matches(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether a pod of that namespace with those labels is meant."""
        if self.selector is None or not (self.namespaces == ALL_NAMESPACES or namespace in self.namespaces):
            return False
        return self.selector.matches(labels)


@dataclass(frozen=True, slots=True)
class PodShape:
    """All that kube-scheduler checks of a pod, apart from its own labels: pods of one shape are interchangeable.

    `requests` counts the pod itself as one of "pods". `affinity_terms` are ORed; an empty tuple asks for nothing.
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
    anti_affinity: tuple[PodTerm, ...] = ()
    host_ports: tuple[tuple[str, int], ...] = ()
    scheduler_name: str = "default-scheduler"
    unsupported: tuple[str, ...] = ()
    volume_terms: tuple[tuple[Term, ...], ...] = ()
    attachments: ResourceList = _NO_VOLUMES
    shared_attachments: ResourceList = _NO_VOLUMES
    preferred: tuple[tuple[int, Term], ...] = ()
    priority: int = 0
    refused: str = ""


class PodPhase(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"


@dataclass(frozen=True, slots=True)
class Pod:
    """A live pod (neither Succeeded nor Failed). Times are seconds since the epoch.

    `node` is the Node it is bound to, `nominated` the one it is nominated onto. `workload` is "namespace/name" of the
    Workload that it belongs to, `owner` "Kind/name" of its controller, "" for a bare pod. `claims` are those of its
    volumes. Once these are looked up, `volumes` is what of them is attached to its node, `unbound` those that it shares
    with others and whose volume is still to be made, and `shape` has what they ask for.
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
    gates: tuple[str, ...] = ()
    phase: PodPhase = PodPhase.PENDING
    ready: bool = False
    unschedulable: bool = False
    daemon: bool = False
    mirror: bool = False
    deleting: bool = False
    do_not_disrupt: bool = False
    grace_seconds: int = 30
    created_at: float = 0.0
    claims: tuple[ClaimUse, ...] = ()
    volumes: tuple[AttachedVolume, ...] = ()
    unbound: tuple[ClaimKey, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


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
