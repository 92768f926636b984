"""The JSON that client and server exchange, and that the store keeps: checked on the way in, frozen values inside."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from spotkube.model.offerings import ON_DEMAND, SPOT, Offering, OfferingKey
from spotkube.model.resources import ResourceList
from spotkube.model.selectors import Taint, TaintEffect
from spotkube.providers.port import Instance, InstanceOrder, InstanceState

MAX_NOTICE_SECONDS = 24 * 3600.0


def format_key(key: OfferingKey) -> str:
    return "/".join(key)


def parse_key(text: str) -> OfferingKey:
    """Reads `TYPE/ZONE/CAPACITY`. Raises ValueError."""
    parts = text.split("/")
    if len(parts) != 3 or not all(parts) or parts[2] not in (SPOT, ON_DEMAND):
        raise ValueError(f"{text!r} is no offering; write TYPE/ZONE/{SPOT} or TYPE/ZONE/{ON_DEMAND}")
    return OfferingKey(*parts)


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaintMessage(Message):
    key: str = Field(min_length=1)
    effect: TaintEffect
    value: str = ""


class OrderMessage(Message):
    """An InstanceOrder. Resources are Kubernetes quantities, the offering is `TYPE/ZONE/CAPACITY`."""

    token: str = Field(min_length=1, max_length=256)
    # A Node's name: a DNS subdomain.
    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)
    offering: str
    labels: dict[str, str] = {}
    taints: tuple[TaintMessage, ...] = ()
    capacity: dict[str, str]
    allocatable: dict[str, str]
    tags: dict[str, str] = {}

    @field_validator("offering")
    @classmethod
    def _is_a_key(cls, value: str) -> str:
        return format_key(parse_key(value))

    @field_validator("capacity", "allocatable")
    @classmethod
    def _are_quantities(cls, value: dict[str, str]) -> dict[str, str]:
        return ResourceList.from_quantities(value).to_quantities()

    @classmethod
    def of(cls, order: InstanceOrder) -> "OrderMessage":
        return cls(
            token=order.token,
            name=order.name,
            offering=format_key(order.offering),
            labels=dict(order.labels),
            taints=tuple(TaintMessage(key=t.key, effect=t.effect, value=t.value) for t in order.taints),
            capacity=order.capacity.to_quantities(),
            allocatable=order.allocatable.to_quantities(),
            tags=dict(order.tags),
        )

    def order(self) -> InstanceOrder:
        return InstanceOrder(
            token=self.token,
            name=self.name,
            offering=parse_key(self.offering),
            labels=tuple(self.labels.items()),
            taints=tuple(Taint(taint.key, taint.effect, taint.value) for taint in self.taints),
            capacity=ResourceList.from_quantities(self.capacity),
            allocatable=ResourceList.from_quantities(self.allocatable),
            tags=tuple(self.tags.items()),
        )


class InstanceMessage(Message):
    """An Instance. Times are seconds since the epoch."""

    provider_id: str
    token: str
    name: str
    offering: str
    state: InstanceState
    launched_at: float
    tags: dict[str, str]
    termination_deadline: float | None

    @classmethod
    def of(cls, instance: Instance) -> "InstanceMessage":
        return cls(
            provider_id=instance.provider_id,
            token=instance.token,
            name=instance.name,
            offering=format_key(instance.offering),
            state=instance.state,
            launched_at=instance.launched_at,
            tags=dict(instance.tags),
            termination_deadline=instance.termination_deadline,
        )

    def instance(self) -> Instance:
        return Instance(
            provider_id=self.provider_id,
            token=self.token,
            name=self.name,
            offering=parse_key(self.offering),
            state=self.state,
            launched_at=self.launched_at,
            tags=tuple(self.tags.items()),
            termination_deadline=self.termination_deadline,
        )


class InstancesMessage(Message):
    instances: tuple[InstanceMessage, ...]


class InterruptMessage(Message):
    """The notice before a spot instance is taken back; EC2 gives 120 seconds."""

    notice_seconds: float = Field(default=120.0, ge=0, le=MAX_NOTICE_SECONDS)


class CapacityMessage(Message):
    """How many instances of an offering may be alive at once. None lifts a limit; `default` is for all that have none.

    A field that is absent changes nothing.
    """

    default: int | None = Field(default=None, ge=0)
    limits: dict[str, int | None] = {}

    @field_validator("limits")
    @classmethod
    def _name_offerings(cls, value: dict[str, int | None]) -> dict[str, int | None]:
        for text, limit in value.items():
            parse_key(text)
            if limit is not None and limit < 0:
                raise ValueError(f"{text}: {limit} is negative; give zero or more, or null for no limit")
        return value


class FaultsMessage(Message):
    """Faults to inject from now on; they replace those set before, and do not survive a restart.

    `drop_answers`: so many orders and deletions are carried out, but their caller gets no answer.
    `never_register`: so many new instances never become a Node. `die_early`: so many end as soon as they are bought.
    `insufficient`: these offerings are sold out. `price_times`: all prices are told so many times as high.
    """

    drop_answers: int = Field(default=0, ge=0)
    never_register: int = Field(default=0, ge=0)
    die_early: int = Field(default=0, ge=0)
    insufficient: tuple[str, ...] = ()
    price_times: float = Field(default=1.0, gt=0, le=1000)

    @field_validator("insufficient")
    @classmethod
    def _name_offerings(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(format_key(parse_key(text)) for text in value)


class OfferingMessage(Message):
    """An Offering. Amounts are whole numbers in the model's units: cpu in millicores, memory in bytes."""

    instance_type: str
    zone: str
    capacity_type: str
    price_micro_usd_hour: int
    arch: str
    capacity: dict[str, int]
    allocatable: dict[str, int]
    labels: dict[str, str]
    interruption_percent: int


_OFFERINGS = TypeAdapter(tuple[OfferingMessage, ...])


def dump_offerings(offerings: tuple[Offering, ...], price_times: float = 1.0) -> bytes:
    """With prices so many times as high."""
    return _OFFERINGS.dump_json(
        tuple(
            OfferingMessage(
                instance_type=each.instance_type,
                zone=each.zone,
                capacity_type=each.capacity_type,
                price_micro_usd_hour=max(1, round(each.price_micro_usd_hour * price_times)),
                arch=each.arch,
                capacity=dict(each.capacity),
                allocatable=dict(each.allocatable),
                labels=dict(each.labels),
                interruption_percent=each.interruption_percent,
            )
            for each in offerings
        )
    )


def load_offerings(body: bytes) -> tuple[Offering, ...]:
    """Raises pydantic.ValidationError, a ValueError."""

    def offering(message: OfferingMessage) -> Offering:
        fields: dict[str, Any] = {name: getattr(message, name) for name in OfferingMessage.model_fields}
        fields |= {
            "capacity": ResourceList(message.capacity),
            "allocatable": ResourceList(message.allocatable),
            "labels": tuple(message.labels.items()),
        }
        return Offering(**fields)

    return tuple(map(offering, _OFFERINGS.validate_json(body)))
