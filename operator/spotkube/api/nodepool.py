"""NodePool: what may be bought, how much of it, and when it is given back."""

from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from spotkube.api.common import Column, KubeObject, ObservedStatus, Resource, Taints
from spotkube.api.disruption import Disruption
from spotkube.api.fields import (
    KEYS_ARE_LABEL_KEYS,
    Count,
    Fraction,
    Labels,
    PositiveDuration,
    Quantities,
    Time,
    UsdPerHour,
)
from spotkube.api.requirements import OWN_PREFIX, Requirement
from spotkube.api.rules import Rule, SpecModel, StatusModel
from spotkube.model import labels


class PoolMode(StrEnum):
    APPLY = "Apply"
    RECOMMEND = "Recommend"
    PAUSED = "Paused"


class Provider(StrEnum):
    LOCAL = "local"


class InterruptionBand(IntEnum):
    """Upper ends of the monthly interruption bands that the spot advisor publishes."""

    FIVE = 5
    TEN = 10
    FIFTEEN = 15
    TWENTY = 20
    ANY = 100


_DECIDED_LABELS: Final = (labels.HOSTNAME, *labels.WELL_KNOWN_OFFERING_LABELS)


class NodeMetadata(SpecModel):
    """Metadata of the pool's nodes."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"!has(self.labels) || self.labels.all(k, !k.startsWith('{OWN_PREFIX}'))",
            "labels in spotkube.io/ are set by SpotKube: write spec.template.spec.requirements to choose nodes by them",
            lambda metadata: not any(key.startswith(OWN_PREFIX) for key in metadata.labels),
        ),
        Rule(
            f"!has(self.labels) || self.labels.all(k, !(k in [{', '.join(map(repr, _DECIDED_LABELS))}]))",
            "hostname, instance type, zone, region, arch and os come from what is bought: write "
            "spec.template.spec.requirements instead",
            lambda metadata: not any(key in _DECIDED_LABELS for key in metadata.labels),
        ),
    )

    labels: Labels = Field(default_factory=dict)
    """Labels that each node gets beside those of what was bought; pods may select nodes by them."""
    annotations: Annotated[
        dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=100), KEYS_ARE_LABEL_KEYS
    ] = Field(default_factory=dict)
    """Annotations that each node gets."""


class NodeTemplateSpec(SpecModel):
    """Which nodes may be bought, and their taints."""

    requirements: Annotated[tuple[Requirement, ...], Field(max_length=100)] = ()
    """Requirements on the labels of what is bought; all must hold. Empty means the whole catalog."""
    taints: Taints = ()
    """Taints of the nodes; only pods that tolerate them are planned onto the pool."""
    startup_taints: Taints = ()
    """Taints that a node has at first and that somebody else removes, such as a network plugin; pods need not
    tolerate them."""


class NodeTemplate(SpecModel):
    """What each node of the pool looks like."""

    metadata: NodeMetadata = NodeMetadata()
    """Labels and annotations of the nodes."""
    spec: NodeTemplateSpec = NodeTemplateSpec()


class Limits(SpecModel):
    """What the pool may hold at most. Each limit that is set holds; a node with a termination notice no longer
    counts."""

    resources: Quantities = Field(default_factory=dict)
    """Largest sum of the nodes' allocatable by resource, such as cpu: 100 or nvidia.com/gpu: 8; not negative."""
    nodes: Count | None = None
    """Largest number of nodes."""
    usd_per_hour: UsdPerHour | None = None
    """Largest price of all nodes together, in dollars an hour."""


class Rebalance(StrEnum):
    IGNORE = "Ignore"
    AVOID = "Avoid"
    REPLACE = "Replace"


class SpotLimits(SpecModel):
    """Which spot offerings may be bought, and for whom."""

    max_interruption_percent: InterruptionBand = InterruptionBand.ANY
    """Spot offerings are bought only if at most so many percent of them are interrupted in a month, by the band that
    the cloud publishes: 5, 10, 15, 20, or 100 for any."""
    allow_unmanaged_pods: bool = False
    """Whether pods that belong to no Workload may be planned onto spot nodes. Only a Workload says what it bears, so
    they may not by default."""
    max_fraction_per_pool: Fraction | None = None
    """For Workloads that do not say it themselves: the largest share of a Workload's pods that may stand on this
    NodePool's spot nodes of one instance type in one zone, which the cloud often takes back together. From 0 to 1,
    rounded down, but one pod is always allowed."""
    rebalance: Rebalance = Rebalance.AVOID
    """What is done when the cloud recommends to leave a spot node. Ignore: nothing, until it is taken back. Avoid: it
    gets no new pods. Replace: it is replaced, too, where waiting would destroy more than moving does, that is where
    pods on it need longer to end than the two minutes that are left then."""


class NodePoolSpec(SpecModel):
    """What may be bought, how much of it, and when it is given back."""

    mode: PoolMode = PoolMode.RECOMMEND
    """Apply: plans are carried out. Recommend: plans are written as CapacityPlans and nothing is bought or given
    back. Paused: the pool is not planned for at all. Set Apply when you trust what you see."""
    provider: Provider = Provider.LOCAL
    """Where nodes come from. local is a fake cloud for trying things out, whose nodes run no containers."""
    weight: Annotated[int, Field(ge=0, le=100)] = 0
    """Of pools that sell the same offering, the one with the higher weight buys it wherever its price is not higher
    (perNodeCost counts) and its limits leave room. A weight never makes a plan dearer."""
    template: NodeTemplate = NodeTemplate()
    """What each node looks like."""
    limits: Limits = Limits()
    per_node_cost: Annotated[float, Field(ge=0, le=10_000)] = 0
    """Dollars an hour that each node costs besides its instance, whatever its size: licences, monitoring, addresses.
    It is part of the price of a node everywhere: in plans, claims, limits and status. It keeps plans from many tiny
    nodes."""
    spot: SpotLimits = SpotLimits()
    """Which spot offerings may be bought, and for whom."""
    ready_timeout: PositiveDuration = "5m"
    """A node that is not Ready so long after its claim was made is given back, and its offering rests for a while."""
    disruption: Disruption = Disruption()
    """When nodes are given back."""


class Failures(StatusModel):
    """Nodes that did not become Ready since the last one that did."""

    in_a_row: Count
    """How many. From three on nothing is bought for a time that doubles from a minute to an hour; then one is tried."""
    last_at: Time
    """When the last of them was given up."""

    @classmethod
    def of(cls, in_a_row: int, last_at: float) -> "Failures":
        """`last_at` is Unix time."""
        return cls(in_a_row=in_a_row, last_at=datetime.fromtimestamp(last_at, UTC))


class NodePoolStatus(ObservedStatus):
    """How the pool stands. Written by SpotKube. Conditions: Ready (it can be planned for), LimitReached (a limit
    kept something from being bought), Buying (False while too many nodes in a row did not become Ready),
    DisruptionAllowed (its budgets can be read; else no node is given back), RepairAllowed (False while so many nodes
    are not Ready at once that it is not they)."""

    nodes: Count | None = None
    """How many NodeClaims the pool has."""
    ready_nodes: Count | None = None
    """How many of them are Ready nodes."""
    usd_per_hour: UsdPerHour | None = None
    """Price of all of them together, in dollars an hour."""
    resources: Quantities = Field(default_factory=dict)
    """Sum of their allocatable by resource."""
    failures: Failures | None = None
    """There while the last nodes that were bought did not become Ready."""


class NodePool(KubeObject):
    """What may be bought: which nodes, how many, and for how many dollars an hour. It begins in mode Recommend, in
    which nothing is bought. Write `nodepools.spotkube.io` in commands: Karpenter has a kind of the same name."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "size(self.metadata.name) <= 50",
            "the name becomes a label value and part of node names: choose one of at most 50 characters",
            lambda pool: len(pool.name) <= 50,
        ),
    )
    resource: ClassVar[Resource] = Resource(
        kind="NodePool",
        plural="nodepools",
        short_name="snp",
        namespaced=False,
        columns=(
            Column("Mode", ".spec.mode"),
            Column("Nodes", ".status.nodes", "integer"),
            Column("Ready", ".status.readyNodes", "integer"),
            Column("$/h", ".status.usdPerHour", "number"),
            Column("Limit $/h", ".spec.limits.usdPerHour", "number"),
        ),
    )

    kind: Literal["NodePool"] = "NodePool"
    spec: NodePoolSpec
    status: NodePoolStatus = NodePoolStatus()
