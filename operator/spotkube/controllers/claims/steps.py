"""What may be done for a claim, and the facts by which that is decided."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from spotkube.api.nodeclaim import Phase
from spotkube.controllers.claims.draining import PodAction
from spotkube.model.cluster import Node, Pool
from spotkube.model.notices import Notice
from spotkube.model.pods import Pod
from spotkube.model.termination import TerminationRule
from spotkube.model.volumes import NodeVolume
from spotkube.providers.port import Instance, InstanceState


class GiveBackReason(StrEnum):
    """Why a claim is deleted by us; one word each, for events and metrics."""

    NOTICE = "TerminationNotice"
    NODE_DELETED = "NodeDeleted"
    NODE_LOST = "NodeLost"
    INSTANCE_GONE = "InstanceGone"
    NOT_READY = "NotReadyInTime"
    NO_CAPACITY = "InsufficientCapacity"
    POOL_DELETED = "NodePoolDeleted"
    POOL_NOT_APPLIED = "NodePoolNotApplied"
    EMPTY = "Empty"
    REBALANCE = "RebalanceRecommendation"
    UNDERUTILIZED = "Underutilized"
    DRIFTED = "Drifted"
    EXPIRED = "Expired"
    UNHEALTHY = "Unhealthy"
    OVERTAKEN = "Overtaken"


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do now; `message` says for what."""

    message: str = ""


@dataclass(frozen=True, slots=True)
class Launch:
    """Ask the cloud for the instance."""


@dataclass(frozen=True, slots=True)
class Advance:
    """Record that the claim is in `phase` now."""

    phase: Phase
    provider_id: str | None = None
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Open:
    """Take our taint off the Node: the pods planned onto it have their places, now others may come too."""

    node: str


@dataclass(frozen=True, slots=True)
class RecordNotice:
    """Store the notice with its absolute deadline (seconds since the epoch): only closing the Node may go before."""

    notice: Notice
    deadline: float


@dataclass(frozen=True, slots=True)
class RecordWarning:
    """Store that the cloud recommends to leave the node."""

    notice: Notice
    deadline: float


@dataclass(frozen=True, slots=True)
class Avoid:
    """Close the Node to new pods, or open it again; those that are there stay."""

    node: str
    closed: bool = True


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Delete the claim, which drains it. `rest` keeps its offering from being bought again for a while."""

    reason: GiveBackReason
    message: str
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Cordon:
    """Taint the Node, cordon it and take it off load balancers, in one patch."""

    node: str


@dataclass(frozen=True, slots=True)
class Drain:
    """Pods still have to leave; `actions` are those to be asked now, and may be none while budgets or graces run.
    `message` is empty where all are on their way and nobody need know more."""

    actions: tuple[PodAction, ...]
    message: str


@dataclass(frozen=True, slots=True)
class RecordDrained:
    """Store that all pods have left, from when on their volumes are waited for."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Ask the API server itself which pods are on the Node: the cache may lag, and this is the last chance."""

    node: str


@dataclass(frozen=True, slots=True)
class EndInstance:
    provider_id: str


@dataclass(frozen=True, slots=True)
class RemoveNode:
    node: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left of it: let the claim go."""


Step = (
    Wait
    | Launch
    | Advance
    | Open
    | RecordNotice
    | RecordWarning
    | Avoid
    | GiveBack
    | Cordon
    | Drain
    | RecordDrained
    | LookAgain
    | EndInstance
    | RemoveNode
    | Finish
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one claim. `instances_known` False: the cloud could not be asked, so nothing is concluded.

    `pods` are bound to its Node; `joined_at` is when that was seen first; `landing_since` is when the last pod of its
    plan was bound, None if all are.
    `movable` are pods (their uids) that may be evicted without need, since there is room for them; None is all.
    `overtaken`: a stale head wrote it after another had decided.
    `pool` None is a pool that is gone, unless `pool_unreadable`: it is there, but not as we can read it.
    `balancer_seconds`, `rules` and `succeeded_later` are as in `Departure`; `attached` are the volumes on the Node,
    each with the claim that it is for. `looked_again`: `pods` come from the API server itself.
    """

    now: float
    pool: Pool | None
    node: Node | None
    instance: Instance | None
    instances_known: bool
    pods: tuple[Pod, ...]
    margin_seconds: float
    pool_unreadable: bool = False
    joined_at: float = -math.inf
    landing_since: float | None = None
    told: tuple[Notice, ...] = ()
    """What messages say of its instance."""
    balancer_seconds: float = 0.0
    rules: Mapping[str, TerminationRule] = field(default_factory=dict)
    succeeded_later: frozenset[str] = frozenset()
    attached: tuple[NodeVolume, ...] = ()
    looked_again: bool = False
    movable: frozenset[str] | None = None
    overtaken: bool = False

    @property
    def alive(self) -> bool:
        """Whether the instance exists or may exist."""
        return self.instance is not None and self.instance.state is not InstanceState.TERMINATED
