"""The cloud port: the few calls that SpotKube needs of any cloud, and what each of them promises.

Every call may be repeated: the operator can be killed, or an answer can be lost, between any two of them.

Errors, each saying what to do:

    ProviderError                 the request is wrong: repeating it unchanged changes nothing
    ├── InsufficientCapacity      the cloud has none of this offering now: rest it and order another one
    └── ProviderUnavailable       no answer, or the cloud is in trouble: the call may or may not have been
                                  carried out, so repeat it with the same token
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from spotkube.model.offerings import Offering, OfferingKey
from spotkube.model.pods import Labels
from spotkube.model.resources import ResourceList
from spotkube.model.selectors import Taint

Tags = tuple[tuple[str, str], ...]


class ProviderError(Exception):
    """The cloud refused a request; the message names the field, its value and the remedy."""


class InsufficientCapacity(ProviderError):  # noqa: N818 - the name clouds give it
    """The cloud has no more of `offering`. Let it rest for a while and order another one."""

    def __init__(self, offering: OfferingKey) -> None:
        super().__init__(f"no capacity left for {offering}; let it rest and order another offering")
        self.offering = offering


class ProviderUnavailable(ProviderError):  # noqa: N818 - reads as the state it tells of
    """The cloud did not answer, or answered that it can't now. Repeat the call, with the same token for an order."""


class InstanceState(StrEnum):
    """PENDING boots, RUNNING may not have a Node yet (or ever), TERMINATING was told to end and may still run."""

    PENDING = "pending"
    RUNNING = "running"
    TERMINATING = "terminating"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class InstanceOrder:
    """One machine to buy. `token` is the claim's UID, the idempotency key; `name` is the claim's and the Node's.

    The Node registers itself with these labels and taints; `capacity` and `allocatable` are those of the offering.
    """

    token: str
    name: str
    offering: OfferingKey
    labels: Labels
    taints: tuple[Taint, ...]
    capacity: ResourceList
    allocatable: ResourceList
    tags: Tags = ()


@dataclass(frozen=True, slots=True)
class Instance:
    """One machine as the cloud knows it. Times are seconds since the epoch.

    `provider_id` equals the Node's spec.providerID. `termination_deadline` is when the cloud takes it back, None
    without a notice.
    """

    provider_id: str
    token: str
    name: str
    offering: OfferingKey
    state: InstanceState
    launched_at: float
    tags: Tags = ()
    termination_deadline: float | None = None


class CloudProvider(Protocol):
    """What every cloud implements. All calls raise ProviderUnavailable when there is no usable answer."""

    async def create(self, order: InstanceOrder) -> Instance:
        """Buys one machine for `order.token`, or returns the one that was bought for it before, in whatever state.

        A token whose instance is terminated gets that terminated instance: never a second purchase.
        Raises InsufficientCapacity, and ProviderError when the order can't be met by any repetition.
        """

    async def delete(self, provider_id: str) -> None:
        """Begins to terminate an instance. One that is unknown or already gone is no error."""

    async def get(self, provider_id: str) -> Instance | None:
        """The instance, also when terminated; None when the cloud doesn't know it (any more)."""

    async def list(self) -> tuple[Instance, ...]:
        """All instances that the cloud still knows, terminated ones for as long as it remembers them."""

    async def offerings(self) -> tuple[Offering, ...]:
        """Everything that may be ordered, with the price of now. The same object for as long as nothing changed."""

    async def close(self) -> None:
        """Lets go of connections. The provider must not be used afterwards."""
