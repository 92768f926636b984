"""What may be done for a claim, and the facts by which that is decided."""

from dataclasses import dataclass
from enum import StrEnum

from spotkube.api.nodeclaim import Phase
from spotkube.controllers.claims.draining import PodAction
from spotkube.model.cluster import Node, Pool
from spotkube.model.notices import Notice
from spotkube.model.pods import Pod
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
    """Store the notice with its absolute deadline (seconds since the epoch), before anything is done about it."""

    notice: Notice
    deadline: float


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
    """Pods still have to leave; `actions` are those to be asked now, and may be none while budgets or graces run."""

    actions: tuple[PodAction, ...]
    message: str


@dataclass(frozen=True, slots=True)
class EndInstance:
    provider_id: str


@dataclass(frozen=True, slots=True)
class RemoveNode:
    node: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left of it: let the claim go."""


Step = Wait | Launch | Advance | Open | RecordNotice | GiveBack | Cordon | Drain | EndInstance | RemoveNode | Finish


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one claim. `instances_known` False: the cloud could not be asked, so nothing is concluded.

    `pods` are bound to its Node; `landing_since` is when the last pod of its plan was bound, None if all are.
    `overtaken`: a stale head wrote it after another had decided.
    `pool` None is a pool that is gone, unless `pool_unreadable`: it is there, but not as we can read it.
    """

    now: float
    pool: Pool | None
    node: Node | None
    instance: Instance | None
    instances_known: bool
    pods: tuple[Pod, ...]
    margin_seconds: float
    pool_unreadable: bool = False
    landing_since: float | None = None
    overtaken: bool = False

    @property
    def alive(self) -> bool:
        """Whether the instance exists or may exist."""
        return self.instance is not None and self.instance.state is not InstanceState.TERMINATED
