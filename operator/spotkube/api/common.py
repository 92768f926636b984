"""What all five kinds share: metadata, conditions, taints, and the base of an object with its place in the API."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field

from spotkube.api.fields import LabelKey, LabelValue, Time, clipped
from spotkube.api.rules import ApiModel, Keyed, SpecModel, StatusModel
from spotkube.model.labels import GROUP


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; with priority 1 it shows in `-o wide` only."""

    name: str
    path: str
    type: Literal["string", "integer", "number", "date", "boolean"] = "string"
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind's place in the API. `columns` has no Age: every kind gets it as its last one."""

    kind: str
    plural: str
    short_name: str
    namespaced: bool
    columns: tuple[Column, ...]

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def full_name(self) -> str:
        """What to give to kubectl: the plurals alone are Karpenter's and Kueue's as well."""
        return f"{self.plural}.{GROUP}"

    @property
    def scope(self) -> str:
        return "Namespaced" if self.namespaced else "Cluster"


class OwnerReference(ApiModel):
    """A metav1.OwnerReference."""

    model_config = ConfigDict(extra="ignore")
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(ApiModel):
    """A metav1.ObjectMeta, as far as we use it."""

    model_config = ConfigDict(extra="ignore")
    name: str = ""
    namespace: str | None = None
    generate_name: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    finalizers: tuple[str, ...] | None = None
    owner_references: tuple[OwnerReference, ...] | None = None


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(StatusModel):
    """One aspect of the object's state, as metav1.Condition."""

    type: Annotated[str, Field(min_length=1, max_length=316)]
    """Name of the condition, in CamelCase."""
    status: ConditionStatus
    """True, False or Unknown."""
    observed_generation: int | None = None
    """The metadata.generation that the condition was set upon; older than the object's means out of date."""
    last_transition_time: Time
    """When the status last changed from one value to another."""
    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """Why the condition has this status: one word in CamelCase, for programs."""
    message: Annotated[str, Field(max_length=32768), clipped(32768)] = ""
    """Why the condition has this status, for people; may be empty."""


Conditions = Annotated[tuple[Condition, ...], Field(max_length=16), Keyed(("type",))]


def with_condition(conditions: tuple[Condition, ...], new: Condition) -> tuple[Condition, ...]:
    """`conditions` with `new` in its type's place; while the status stays the same, so does its time."""
    old = find_condition(conditions, new.type)
    if old is None:
        return (*conditions, new)
    if old.status == new.status:
        new = new.model_copy(update={"last_transition_time": old.last_transition_time})
    return tuple(new if condition.type == new.type else condition for condition in conditions)


def find_condition(conditions: tuple[Condition, ...], type_: str) -> Condition | None:
    return next((condition for condition in conditions if condition.type == type_), None)


class TaintEffect(StrEnum):
    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Taint(SpecModel):
    """A taint as on a Node: only pods that tolerate it may run there."""

    key: LabelKey
    """Key of the taint, such as example.com/gpu."""
    value: LabelValue = ""
    """Value of the taint; may be empty."""
    effect: TaintEffect
    """What happens to pods that do not tolerate it: NoSchedule, PreferNoSchedule or NoExecute."""


Taints = Annotated[tuple[Taint, ...], Field(max_length=50)]


class ObservedStatus(StatusModel):
    """What each kind's status begins with."""

    observed_generation: int | None = None
    """The metadata.generation that this status speaks of; lower than the object's means that a change is not seen
    yet."""
    conditions: Conditions = ()
    """The object's state in standard conditions; kubectl wait --for=condition=… works on them."""


class KubeObject(ApiModel):
    """Base of the five kinds. Subclasses set `resource` and declare `kind`, `spec` and `status`."""

    model_config = ConfigDict(extra="forbid")
    resource: ClassVar[Resource]

    api_version: Literal["spotkube.io/v1alpha1"] = "spotkube.io/v1alpha1"
    metadata: ObjectMeta = ObjectMeta()

    @property
    def name(self) -> str:
        return self.metadata.name

    @classmethod
    def from_dict(cls, body: Any) -> Self:
        """Parses an object as the API server or a manifest gives it; raises pydantic.ValidationError."""
        return cls.model_validate(body)

    def to_dict(self) -> dict[str, Any]:
        """The object in JSON types with the API's field names, without what is unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
