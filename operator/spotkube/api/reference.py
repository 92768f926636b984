"""The API reference as Markdown: `python -m spotkube.api.reference [--check DIR | --write DIR]`."""

import json
import sys
from collections.abc import Iterator
from typing import Any, Final

from spotkube.api import KINDS
from spotkube.api.common import KubeObject
from spotkube.api.generated import GeneratedFiles, main
from spotkube.api.rules import VALIDATIONS
from spotkube.api.schema import Schema, structural_schema
from spotkube.model.labels import API_VERSION, CATEGORY

_INTRODUCTION: Final = f"""\
<!-- Generated from the models: `python -m spotkube.api.reference --write docs/reference`. -->
# API reference: {API_VERSION}

`kubectl get {CATEGORY} -A` lists all objects of these kinds, and `kubectl explain` prints the texts below.
Give kubectl the full names, such as `nodepools.spotkube.io`: Karpenter and Kueue have kinds of the same plurals.
Rules are enforced by the API server itself.
"""
_TABLE_HEAD: Final = "| field | type | default | meaning |\n|---|---|---|---|"
_BOUNDS: Final = (("minimum", "≥"), ("maximum", "≤"), ("maxLength", "length ≤"), ("maxItems", "entries ≤"))


def render_reference() -> dict[str, str]:
    """File name -> Markdown text of the reference, as it stands in docs/reference/."""
    return {"api.md": "\n".join([_INTRODUCTION, *map(_kind, KINDS)])}


def _kind(model: type[KubeObject]) -> str:
    resource, schema = model.resource, structural_schema(model)
    rows = [
        _row(*field)
        for part in ("spec", "status")
        for field in _fields(part, schema["properties"][part], part == "spec")
    ]
    facts = f"{resource.scope.lower()} scope · `{resource.full_name}` · short name `{resource.short_name}`"
    rules = "".join(f"\nRule: {rule['message']}.\n" for rule in schema.get(VALIDATIONS, []))
    return "\n".join([f"## {resource.kind}", "", facts, "", schema["description"], rules, _TABLE_HEAD, *rows, ""])


def _fields(path: str, schema: Schema, required: bool) -> Iterator[tuple[str, Schema, bool]]:
    """Every field below `path` with its schema and whether it must be given, parents first."""
    yield path, schema, required
    for name, field in schema.get("properties", {}).items():
        yield from _fields(f"{path}.{name}", field, name in schema.get("required", []))
    items = schema.get("items", {})
    for name, field in items.get("properties", {}).items():
        yield from _fields(f"{path}[].{name}", field, name in items.get("required", []))


def _row(path: str, schema: Schema, required: bool) -> str:
    messages = [rule["message"] for node in (schema, schema.get("items", {})) for rule in node.get(VALIDATIONS, [])]
    meaning = " ".join([schema.get("description", ""), *(f"*Rule: {message}.*" for message in messages)]).strip()
    default = f"`{json.dumps(schema['default'])}`" if "default" in schema else ("required" if required else "")
    return f"| `{path}` | {_type(schema)} | {default} | {meaning.replace('|', chr(92) + '|')} |"


def _type(schema: Schema) -> str:
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    bounds = [f"{sign} {schema[key]}" for key, sign in _BOUNDS if key in schema]
    return ", ".join([_base_type(schema), *bounds])


def _base_type(schema: dict[str, Any]) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "quantity" if "isQuantity" in str(schema[VALIDATIONS]) else "integer or string"
    if "items" in schema:
        return f"list of {_base_type(schema['items'])}"
    if "additionalProperties" in schema:
        return f"map to {_base_type(schema['additionalProperties'])}"
    return "time" if schema.get("format") == "date-time" else str(schema.get("type", "any"))


if __name__ == "__main__":
    sys.exit(main(GeneratedFiles("docs/reference", "the API reference", render_reference)))
