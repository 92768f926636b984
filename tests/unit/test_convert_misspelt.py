"""Misspelt fields of manifests are told with the field that is meant, and what is right is left alone."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

from spotkube.convert.documents import Mistakes, read_documents
from spotkube.convert.misspelt import note_misspelt

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def misspelt(text: str) -> list[str]:
    mistakes = Mistakes()
    note_misspelt(read_documents(["-"], StringIO(text), mistakes), mistakes)
    return mistakes.lines


def deployment(**pod: object) -> str:
    spec = {"containers": [{"name": "main", "image": "cart:1"}], **pod}
    return str(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "cart"},
            "spec": {"template": {"spec": spec}},
        }
    )


def test_the_field_that_is_meant_is_named() -> None:
    (line,) = misspelt(deployment(nodeselector={"disk": "ssd"}))
    assert line == (
        "standard input, document 1 (Deployment cart): spec.template.spec.nodeselector: there is no such field; "
        "did you mean nodeSelector?"
    )


def test_a_field_in_a_wrong_place_is_found_in_lists_too() -> None:
    (line,) = misspelt(deployment(containers=[{"name": "main"}, {"name": "side", "requests": {"cpu": "1"}}]))
    assert "spec.template.spec.containers[1].requests: there is no such field" in line


@pytest.mark.parametrize(
    "pod",
    [
        {"nodeSelector": {"anyLabel/at.all": "x"}, "overhead": {"example.com/chip": 1}},
        {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "v"}}]},
        {"containers": "of another shape"},
    ],
)
def test_maps_of_the_users_own_keys_and_other_shapes_are_left_alone(pod: dict[str, object]) -> None:
    assert misspelt(deployment(**pod)) == []


def test_the_template_of_a_workload_is_looked_at() -> None:
    text = """
apiVersion: spotkube.io/v1alpha1
kind: Workload
metadata: {name: cart}
spec:
  queueName: team-a
  deployment: {replicas: 2, template: {spec: {tolerance: [], containers: [{name: main}]}}}
"""
    (line,) = misspelt(text)
    assert "spec.deployment.template.spec.tolerance: there is no such field; did you mean tolerations?" in line


def test_kinds_of_others_with_the_same_name_are_not_judged() -> None:
    assert misspelt("{apiVersion: example.com/v1, kind: Job, metadata: {name: a}, spec: {mine: 1}}") == []


def test_the_examples_have_none() -> None:
    mistakes = Mistakes()
    note_misspelt(read_documents([str(EXAMPLES)], StringIO(), mistakes), mistakes)
    assert mistakes.lines == []
