"""A rule is stated once and holds twice: in CEL for the API server, in Python for manifests that never meet one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

VALIDATIONS = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """`cel` is evaluated by the API server, `holds` by pydantic; a message ends in the remedy.

    Rules that compare with the object's previous state (`oldSelf`) have no `holds`. In `Annotated[T, Rule(...)]` it
    guards a scalar, in `ApiModel.rules` a whole object."""

    cel: str
    message: str
    holds: Callable[[Any], bool] | None = None

    def as_schema(self) -> dict[str, str]:
        return {"rule": self.cel, "message": self.message}

    def check(self, value: Any) -> Any:
        """Returns `value`; raises ValueError with the message when the rule does not hold."""
        if self.holds is not None and not self.holds(value):
            raise ValueError(self.message)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        json = dict(handler(schema))
        return json | {VALIDATIONS: [*json.get(VALIDATIONS, []), self.as_schema()]}


@dataclass(frozen=True, slots=True)
class Keyed:
    """Marks a list as a map by `keys` (JSON names of fields): the API server merges by them and refuses
    duplicates."""

    keys: tuple[str, ...]

    def check(self, items: tuple[BaseModel, ...]) -> tuple[BaseModel, ...]:
        seen = set()
        for item in items:
            dumped = item.model_dump(mode="json", by_alias=True)
            key = tuple(dumped[name] for name in self.keys)
            if key in seen:
                named = ", ".join(f"{name} {value!r}" for name, value in zip(self.keys, key, strict=True))
                raise ValueError(f"{named} stands twice in this list: keep one entry of it")
            seen.add(key)
        return items

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": list(self.keys),
        }


def json_name(name: str) -> str:
    """The field's name in YAML, by Kubernetes' convention for acronyms: `price_usd_per_hour` -> `priceUSDPerHour`."""
    camel = to_camel(name).replace("Usd", "USD")
    return camel.removesuffix("Id") + "ID" if camel.endswith("Id") else camel


class ApiModel(BaseModel):
    """Base of everything in an object. Frozen; lists are tuples; the docstring under a field is what `kubectl
    explain` prints."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=json_name,
        populate_by_name=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        for rule in self.rules:
            rule.check(self)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        json = handler(schema)
        if cls.rules:
            handler.resolve_ref_schema(json)[VALIDATIONS] = [rule.as_schema() for rule in cls.rules]
        return json


class SpecModel(ApiModel):
    """Part of a spec: a field that we don't know is an error, since it is most likely a misspelt one."""

    model_config = ConfigDict(extra="forbid")


class StatusModel(ApiModel):
    """Part of a status: unknown fields come from a newer version of us and are ignored. The schema gives no defaults
    here."""

    model_config = ConfigDict(extra="ignore")
