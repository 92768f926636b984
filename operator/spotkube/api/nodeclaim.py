"""NodeClaim: one node, bought or to be bought, from the decision to its end."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from spotkube.api.common import Column, KubeObject, ObservedStatus, Resource, Taints
from spotkube.api.fields import Labels, LabelValue, Name, Quantities, Text, Time, clipped
from spotkube.api.rules import Rule, SpecModel, StatusModel

MAX_REPLACED = 16


class CapacityType(StrEnum):
    ON_DEMAND = "on-demand"
    SPOT = "spot"


class Phase(StrEnum):
    PENDING = "Pending"
    LAUNCHED = "Launched"
    REGISTERED = "Registered"
    READY = "Ready"
    DRAINING = "Draining"
    TERMINATED = "Terminated"


class NodeClaimSpec(SpecModel):
    """What was decided to buy. It can't change: the instance is bought once, exactly as written here."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self == oldSelf",
            "a NodeClaim is one purchase and can't change: delete the claim, and what its pods need is planned anew",
        ),
    )

    node_pool: Annotated[str, Field(min_length=1, max_length=63)]
    """The NodePool under whose rules and limits the node was bought."""
    instance_type: Annotated[str, Field(min_length=1, max_length=63)]
    """The instance type, such as m7g.large."""
    zone: Annotated[str, Field(min_length=1, max_length=63)]
    """The zone, such as us-east-1a."""
    capacity_type: CapacityType
    """on-demand or spot."""
    arch: LabelValue
    """The CPU architecture, amd64 or arm64."""
    price_usd_per_hour: Annotated[float, Field(gt=0)]
    """The price in dollars an hour at the moment of the decision."""
    allocatable: Quantities
    """What pods may request on the node, by resource: capacity less what the kubelet and the system keep."""
    labels: Labels = Field(default_factory=dict)
    """Labels that the node gets."""
    taints: Taints = ()
    """Taints that the node gets."""
    startup_taints: Taints = ()
    """Taints that the node has at first and that somebody else removes."""
    plan: Name | None = None
    """The CapacityPlan that decided it: kubectl get capacityplans.spotkube.io NAME tells more."""
    reason: Text = ""
    """Why it was bought, in words."""
    replaces: Annotated[tuple[Name, ...], Field(max_length=MAX_REPLACED)] = ()
    """NodeClaims whose nodes ran pods that it was bought for: those that were about to end, or to be emptied."""


class Notice(StatusModel):
    """Word from the cloud or from Kubernetes that the node's instance will end."""

    kind: Annotated[str, Field(min_length=1, max_length=63)]
    """What was announced, such as SpotInterruption, RebalanceRecommendation or ScheduledMaintenance."""
    source: Annotated[str, Field(max_length=253)]
    """Where the notice came from, such as the key of a taint or the provider's name."""
    deadline: Time
    """When the instance ends."""
    received_at: Time
    """When we learned of it."""
    id: Annotated[str, Field(max_length=253)]
    """Identity of the notice: one that comes twice is handled once."""


class NodeClaimStatus(ObservedStatus):
    """The claim's life. Written by SpotKube. Conditions: Launched, Registered, Ready, Draining."""

    phase: Phase | None = None
    """Pending: decided, not bought yet. Launched: the instance exists. Registered: its Node exists; left out where that
    soon takes pods. Ready: the Node takes pods. Draining: pods are being moved away. Terminated: the instance is
    gone."""
    phase_times: Annotated[dict[Phase, Time], Field(max_length=16)] = Field(default_factory=dict)
    """When the claim entered each phase."""
    provider_id: Annotated[str, Field(max_length=512)] | None = None
    """The instance's identity in the cloud, equal to the Node's spec.providerID."""
    node_name: Name | None = None
    """Name of the Node."""
    notice: Notice | None = None
    """A termination notice that the node has received."""
    warning: Notice | None = None
    """A recommendation to leave the node, which may be interrupted soon, or may not. What is done about it is up to
    its NodePool's spot.rebalance."""
    drained_at: Time | None = None
    """When all its pods had left, where volumes of theirs were still attached then."""
    message: Annotated[str, Field(max_length=4096), clipped(4096)] | None = None
    """What last went wrong or is being waited for, in words."""


class NodeClaim(KubeObject):
    """One node, bought or to be bought: the exact offering, its price, and its life from Pending to Terminated. Made
    by SpotKube. Deleting it drains the node and then ends the instance. Write `nodeclaims.spotkube.io` in commands:
    Karpenter has a kind of the same name."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "size(self.metadata.name) <= 63",
            "the name becomes a label value: choose one of at most 63 characters",
            lambda claim: len(claim.name) <= 63,
        ),
    )
    resource: ClassVar[Resource] = Resource(
        kind="NodeClaim",
        plural="nodeclaims",
        short_name="snc",
        namespaced=False,
        columns=(
            Column("Pool", ".spec.nodePool"),
            Column("Type", ".spec.instanceType"),
            Column("Zone", ".spec.zone"),
            Column("Capacity", ".spec.capacityType"),
            Column("$/h", ".spec.priceUSDPerHour", "number"),
            Column("Phase", ".status.phase"),
            Column("Node", ".status.nodeName"),
            Column("Reason", ".spec.reason", priority=1),
        ),
    )

    kind: Literal["NodeClaim"] = "NodeClaim"
    spec: NodeClaimSpec
    status: NodeClaimStatus = NodeClaimStatus()
