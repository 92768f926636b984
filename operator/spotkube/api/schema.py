"""Turns a model into a structural schema, the dialect of JSON Schema that a CustomResourceDefinition takes.

An optional field is left out of `required` and is not nullable, so that in CEL `has(self.field)` always means a
value: the API server puts the default in place of an explicit null, or refuses the null where there is no
default."""

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import DEFAULT_REF_TEMPLATE, GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from spotkube.api.rules import VALIDATIONS, StatusModel

Schema = dict[str, Any]

_REF_PREFIX: Final = DEFAULT_REF_TEMPLATE.removesuffix("{model}")
# Not allowed in a structural schema, or said by the API server itself.
_DROPPED: Final = ("title", "propertyNames", "$defs", "const")
_FORMATS: Final = {"integer": "int64", "number": "double"}


class StructuralSchema(GenerateJsonSchema):
    """pydantic's generator, with references inlined and everything written as Kubernetes wants it."""

    def generate(self, schema: CoreSchema, mode: JsonSchemaMode = "validation") -> JsonSchemaValue:
        generated = super().generate(schema, mode)
        return _structural(generated, generated.get("$defs", {}))

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Leaves out defaults that say "nothing"; for an object `{}` is enough, since its fields' own defaults fill
        it."""
        default = schema.get("default")
        if isinstance(default, BaseModel) and not isinstance(default, StatusModel):
            return self.generate_inner(schema["schema"]) | {"default": {}}
        if default is None or isinstance(default, StatusModel) or default in ("", ()):
            return self.generate_inner(schema["schema"])
        if isinstance(default, tuple) and all(isinstance(item, BaseModel) for item in default):
            items = [item.model_dump(mode="json", by_alias=True, exclude_none=True) for item in default]
            return self.generate_inner(schema["schema"]) | {"default": items}
        return super().default_schema(schema)

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        json = super().model_schema(schema)
        if issubclass(schema["cls"], StatusModel):
            for field in json.get("properties", {}).values():
                field.pop("default", None)
        return json


def structural_schema(model: type[BaseModel]) -> Schema:
    """The structural schema of `model`, ready for `openAPIV3Schema`."""
    return model.model_json_schema(by_alias=True, schema_generator=StructuralSchema)


def _structural(node: Schema, defs: Schema) -> Schema:
    node = _inlined(_one_of_optional(_inlined(node, defs)), defs)
    # additionalProperties next to properties is not allowed; the API server prunes or refuses unknown fields anyway.
    if node.get("additionalProperties") in (False, True):
        node.pop("additionalProperties")
    for key in _DROPPED:
        node.pop(key, None)
    for bound in ("Minimum", "Maximum"):
        if (limit := node.pop(f"exclusive{bound}", None)) is not None:
            node |= {bound.lower(): limit, f"exclusive{bound}": True}
    if (format_ := _FORMATS.get(node.get("type", ""))) is not None:
        node.setdefault("format", format_)
    if "description" in node:
        node["description"] = " ".join(node["description"].split())
    if "properties" in node:
        node["properties"] = {name: _structural(field, defs) for name, field in node["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in node:
            node[key] = _structural(node[key], defs)
    return node


def _inlined(node: Schema, defs: Schema) -> Schema:
    """`node` with its reference resolved; what stands beside the reference wins, and rules of both hold."""
    if "$ref" not in node:
        return dict(node)
    beside = {key: value for key, value in node.items() if key != "$ref"}
    target = _inlined(defs[node["$ref"].removeprefix(_REF_PREFIX)], defs)
    rules = [*target.get(VALIDATIONS, []), *beside.get(VALIDATIONS, [])]
    return target | beside | ({VALIDATIONS: rules} if rules else {})


def _one_of_optional(node: Schema) -> Schema:
    """`anyOf: [X, null]`, which pydantic writes for `X | None`, becomes X."""
    branches: list[Schema] = [branch for branch in node.get("anyOf", []) if branch != {"type": "null"}]
    if len(branches) != 1:
        return node
    beside = {key: value for key, value in node.items() if key != "anyOf"}
    return branches[0] | beside
