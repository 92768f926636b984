"""What several kinds have: metadata, selectors, amounts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from spotkube.model.resources import parse_request


def _amounts(value: Any) -> Any:
    if isinstance(value, Mapping):
        for name, quantity in value.items():
            if not isinstance(quantity, str | int | float):
                raise ValueError(f"{name}: {quantity!r} is no quantity; write it as in 500m, 2, 1.5Gi")
            parse_request(str(name), quantity)
    return value


def _time(value: str) -> str:
    try:
        datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is no time; write it as in 2026-01-31T08:00:00Z") from error
    return value


class Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, alias_generator=to_camel)


Amounts = Annotated[dict[str, Any], BeforeValidator(_amounts)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Positive = Annotated[int, Field(ge=1)]
# 0 counts as none.
Port = Annotated[int, Field(ge=0, le=65535)]
Time = Annotated[str, AfterValidator(_time)]
Key = Annotated[str, Field(min_length=1)]
Texts = dict[str, str]
Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class OwnerReference(Part):
    kind: str
    name: str
    controller: bool | None = None


class Metadata(Part):
    name: Key
    namespace: str | None = None
    uid: str | None = None
    labels: Texts | None = None
    annotations: Texts | None = None
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    owner_references: list[OwnerReference] | None = None
    finalizers: list[str] | None = None


class Named(Part):
    """What every object has."""

    metadata: Metadata


class LabelRequirement(Part):
    key: Key
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] | None = None


class LabelSelector(Part):
    match_labels: Texts | None = None
    match_expressions: list[LabelRequirement] | None = None


class NodeRequirement(Part):
    key: Key
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: list[str] | None = None


class NodeTerm(Part):
    match_expressions: list[NodeRequirement] | None = None
    match_fields: list[NodeRequirement] | None = None


class NodeTerms(Part):
    node_selector_terms: list[NodeTerm]


class Toleration(Part):
    key: str | None = None
    operator: Literal["Equal", "Exists"] | None = None
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute", ""] | None = None


class Resources(Part):
    requests: Amounts | None = None
    limits: Amounts | None = None

    @model_validator(mode="after")
    def _requests_within_limits(self) -> Self:
        """The API server refuses such pods, so that they would never run on what is planned for them."""
        limits = self.limits or {}
        for name, asked in (self.requests or {}).items():
            if name in limits and parse_request(name, asked) > parse_request(name, limits[name]):
                raise ValueError(f"requests: {name}: {asked!r} is above its limit of {limits[name]!r}; lower it")
        return self


class Condition(Part):
    type: str
    status: str


class TemplateMetadata(Part):
    labels: Texts | None = None
    annotations: Texts | None = None
