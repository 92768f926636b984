"""crds/ and docs/reference/api.md are what the models say, and every field explains itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from spotkube.api import KINDS
from spotkube.api.crds import render_crds
from spotkube.api.generated import GeneratedFiles, main
from spotkube.api.reference import render_reference
from spotkube.api.schema import structural_schema

REPOSITORY = Path(__file__).parents[2]
CRDS = {name: yaml.safe_load(text) for name, text in render_crds().items()}
# Kueue, Karpenter, Kubernetes itself and others that often stand in the same cluster.
TAKEN_SHORT_NAMES = {
    "cq",
    "lq",
    "wl",
    "rf",
    "ac",
    "np",
    "no",
    "po",
    "pc",
    "pdb",
    "sts",
    "cr",
    "crd",
    "pg",
    "q",
    "vcjob",
}


@pytest.mark.parametrize(("directory", "render"), [("crds", render_crds), ("docs/reference", render_reference)])
def test_files_in_the_repository_are_up_to_date(directory: str, render: Any) -> None:
    assert GeneratedFiles(directory, "", render).stale(REPOSITORY / directory) == []


def test_no_crd_is_left_over() -> None:
    assert {path.name for path in (REPOSITORY / "crds").glob("*.yaml")} == set(CRDS)


def test_check_names_the_stale_file_and_write_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = GeneratedFiles("crds", "the CRDs", lambda: {"a.yaml": "a: 1\n", "b.yaml": "b: 1\n"})
    assert main(files, ["--write", str(tmp_path)]) == 0
    assert main(files, ["--check", str(tmp_path)]) == 0
    (tmp_path / "b.yaml").write_text("b: 2\n")

    assert main(files, ["--check", str(tmp_path)]) == 1
    assert "out of date: b.yaml; run this command again with --write" in capsys.readouterr().out


def test_crds_are_printed_as_one_stream_of_documents(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(GeneratedFiles("crds", "the CRDs", render_crds), []) == 0

    assert list(yaml.safe_load_all(capsys.readouterr().out)) == list(CRDS.values())


def _nodes(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema node with its path; a property is no node that could be mistaken for a keyword."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from _nodes(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from _nodes(schema[key], f"{path}[]")


def _fields(model: Any) -> dict[str, dict[str, Any]]:
    properties = structural_schema(model)["properties"]
    return {path: node for part in ("spec", "status") for path, node in _nodes(properties[part], part)}


@pytest.mark.parametrize("model", KINDS, ids=lambda model: model.resource.kind)
class TestSchema:
    def test_every_field_teaches(self, model: Any) -> None:
        mute = [
            path for path, node in _fields(model).items() if not path.endswith("[]") and not node.get("description")
        ]

        assert mute == []

    def test_schema_is_structural(self, model: Any) -> None:
        foreign = {"$ref", "$defs", "title", "const", "propertyNames", "allOf", "oneOf", "nullable", "prefixItems"}
        for path, node in _fields(model).items():
            assert not foreign & set(node), path
            assert "type" in node or node.get("x-kubernetes-int-or-string"), path
            assert not {"properties", "additionalProperties"} <= set(node), path

    def test_everything_in_a_spec_is_bounded(self, model: Any) -> None:
        """CEL rules are priced by the largest input; without bounds the API server refuses the CRD."""
        for path, node in _fields(model).items():
            assert node.get("type") != "array" or "maxItems" in node, path
            assert "additionalProperties" not in node or "maxProperties" in node, path
            is_text = node.get("type") == "string" and "enum" not in node and node.get("format") != "date-time"
            assert not is_text or "maxLength" in node, path

    def test_status_has_no_defaults(self, model: Any) -> None:
        """The API server must not say what the operator has not."""
        assert [path for path, node in _fields(model).items() if path.startswith("status") and "default" in node] == []

    def test_columns_lead_to_fields(self, model: Any) -> None:
        fields = _fields(model)
        for column in model.resource.columns:
            path = column.path.removeprefix(".").split("[?")[0]
            assert path in fields, column
            assert column.type == fields[path].get("type") or path.endswith("conditions"), column

    def test_short_name_is_free(self, model: Any) -> None:
        assert model.resource.short_name not in TAKEN_SHORT_NAMES
