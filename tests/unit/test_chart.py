"""The chart's files that can be judged without Helm and without a cluster."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from spotkube.api.crds import render_crds
from spotkube.model import labels
from spotkube.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "helm" / "spotkube"


def load(name: str) -> dict[str, Any]:
    document = yaml.safe_load((CHART / name).read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize("directory", [ROOT / "crds", CHART / "crds"], ids=["crds", "chart"])
def test_the_crds_are_those_of_the_models(directory: Path) -> None:
    stored = {path.name: path.read_text(encoding="utf-8") for path in directory.iterdir()}

    assert stored == render_crds(), f"run `python -m spotkube.api.crds --write {directory.relative_to(ROOT)}`"


def test_the_chart_has_the_version_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = load("Chart.yaml")

    assert chart["version"] == chart["appVersion"] == project["version"]


def differences(schema: dict[str, Any], values: Any, path: str = "values") -> list[str]:
    """Values without a schema and schemas without a value, in the parts that refuse unknown names."""
    if schema.get("additionalProperties") is not False or not isinstance(values, dict):
        return []
    known = schema["properties"]
    found = [f"{path}.{name} has no schema" for name in values.keys() - known.keys()]
    for name in known.keys() & values.keys():
        found += differences(known[name], values[name], f"{path}.{name}")
    return found


def test_every_default_has_a_schema_and_every_top_level_name_a_default() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = load("values.yaml")

    assert differences(schema, values) == []
    assert schema["properties"].keys() - values.keys() == {"global"}, "helm itself adds `global`"


SET_BY_THE_CHART = {"kubeconfig", "context", "namespace", "health_port", "catalog_file"}


def plain(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """What pydantic says of a setting, without titles, defaults and null (write nothing instead)."""
    if "anyOf" in schema:
        schema = schema | plain(schema["anyOf"][0], definitions)
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]] | schema
    return {key: value for key, value in schema.items() if key not in {"title", "default", "anyOf", "$ref", "format"}}


def test_the_schema_of_config_is_that_of_the_settings() -> None:
    """What the chart decides itself can't be given twice."""
    model = Settings.model_json_schema()
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))["properties"]["config"]
    expected = {name: plain(setting, model.get("$defs", {})) for name, setting in model["properties"].items()}

    assert schema["additionalProperties"] is False
    assert expected.keys() >= SET_BY_THE_CHART
    assert schema["properties"] == {name: expected[name] for name in expected.keys() - SET_BY_THE_CHART}


POLICIES = {path.stem: path.read_text(encoding="utf-8") for path in (CHART / "templates").glob("*policy.yaml")}
NAMES_OF_OURS = {value for value in vars(labels).values() if isinstance(value, str)}


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_the_policies_speak_of_names_that_the_operator_knows(policy: str) -> None:
    spoken = set(re.findall(r"(?<![\w.])spotkube\.io/[\w-]+", POLICIES[policy]))

    assert spoken
    assert spoken <= NAMES_OF_OURS


def test_people_may_set_what_the_model_says_that_they_set() -> None:
    found = re.search(r"name: setByUsers\n +expression: (.*?)- name:", POLICIES["ownpolicy"], re.DOTALL)
    assert found is not None

    assert set(re.findall(r"'([^']*)'", found[1])) == set(labels.SET_BY_USERS)
