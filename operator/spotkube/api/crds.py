"""The CustomResourceDefinitions, made from the models: `python -m spotkube.api.crds [--check DIR | --write DIR]`."""

import sys
from typing import Any, Final

import yaml

from spotkube.api import KINDS
from spotkube.api.common import Column, KubeObject
from spotkube.api.generated import GeneratedFiles, main
from spotkube.api.schema import Schema, structural_schema
from spotkube.model.labels import CATEGORY, GROUP, VERSION

_HEADER: Final = (
    "# Generated from the models in operator/spotkube/api by `python -m spotkube.api.crds --write crds`. Do not edit.\n"
)
_AGE: Final = Column("Age", ".metadata.creationTimestamp", "date")
_TYPE_META: Final[Schema] = {
    "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}."},
    "kind": {"type": "string", "description": "The kind of this object."},
    "metadata": {"type": "object"},
}


class _PlainDumper(yaml.SafeDumper):
    """Writes each value out where it stands, without YAML anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def crd(model: type[KubeObject]) -> dict[str, Any]:
    """The CustomResourceDefinition of `model` as plain data."""
    resource = model.resource
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": resource.full_name},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.singular,
                "shortNames": [resource.short_name],
                "categories": [CATEGORY],
            },
            "scope": resource.scope,
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in (*resource.columns, _AGE)],
                    "schema": {"openAPIV3Schema": _root_schema(model)},
                }
            ],
        },
    }


def render_crds() -> dict[str, str]:
    """File name -> YAML text of every CustomResourceDefinition, as they stand in crds/."""
    return {f"{GROUP}_{model.resource.plural}.yaml": _HEADER + _yaml(crd(model)) for model in KINDS}


def _root_schema(model: type[KubeObject]) -> Schema:
    schema = structural_schema(model)
    return schema | {"required": ["spec"], "properties": schema["properties"] | _TYPE_META}


def _column(column: Column) -> dict[str, Any]:
    priority = {"priority": column.priority} if column.priority else {}
    return {"name": column.name, "jsonPath": column.path, "type": column.type} | priority


def _yaml(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_PlainDumper, width=120, allow_unicode=True)


if __name__ == "__main__":
    sys.exit(main(GeneratedFiles("crds", "the CustomResourceDefinitions", render_crds)))
