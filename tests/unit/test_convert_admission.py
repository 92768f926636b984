"""What the API server gives to pods when they are made, for templates and manifests that have not been through it."""

from __future__ import annotations

from typing import Any

import pytest

from spotkube.convert.admission import Admission
from spotkube.convert.documents import Document
from spotkube.convert.pods import to_shape
from spotkube.model.selectors import Taint, TaintEffect

MI = 1024**2


def document(name: str, **content: Any) -> Document:
    return Document("a file", {"kind": "Some", "metadata": {"name": name}, **content})


HIGH = document("high", value=1000)
USUAL = document("usual", value=10, globalDefault=True)
KATA = document(
    "kata",
    overhead={"podFixed": {"cpu": "250m", "memory": "120Mi"}},
    scheduling={"nodeSelector": {"kata": "yes"}, "tolerations": [{"key": "kata", "operator": "Exists"}]},
)


def admit(*classes: Document, **spec: Any) -> Any:
    container = {"name": "main", "resources": {"requests": {"cpu": "1"}}}
    priorities = [one for one in classes if "value" in one.content]
    runtimes = [one for one in classes if "value" not in one.content]
    return Admission(priorities, runtimes).admit({"containers": [container], **spec})


@pytest.mark.parametrize(
    ("spec", "priority"),
    [
        ({"priorityClassName": "high"}, 1000),
        ({}, 10),
        ({"priorityClassName": "high", "priority": 7}, 7),
        ({"priorityClassName": "system-node-critical"}, 2_000_001_000),
        ({"priorityClassName": "unknown"}, 10),
    ],
)
def test_the_priority_of_the_class(spec: dict[str, Any], priority: int) -> None:
    assert to_shape("shop", {}, admit(HIGH, USUAL, **spec)).priority == priority


def test_without_classes_it_is_zero() -> None:
    assert to_shape("shop", {}, admit()).priority == 0


def test_a_runtime_class_brings_overhead_selector_and_tolerations() -> None:
    own = {"key": "gpu", "operator": "Exists"}
    shape = to_shape("shop", {}, admit(KATA, runtimeClassName="kata", nodeSelector={"a": "b"}, tolerations=[own]))
    assert (shape.requests["cpu"], shape.requests["memory"]) == (1250, 120 * MI)
    assert shape.node_selector == (("a", "b"), ("kata", "yes"))
    for key in ("gpu", "kata"):
        assert any(t.tolerates(Taint(key, TaintEffect.NO_SCHEDULE)) for t in shape.tolerations)


def test_a_pod_that_has_been_through_it_stays_as_it_is() -> None:
    shape = to_shape("shop", {}, admit(KATA, runtimeClassName="kata", overhead={"cpu": "1"}))
    assert (shape.requests["cpu"], shape.node_selector) == (2000, ())


def test_classes_that_are_not_there_are_told() -> None:
    admission = Admission([], [])
    spec = {"containers": [{"name": "main"}], "priorityClassName": "high", "runtimeClassName": "kata"}
    admission.admit(spec)
    assert admission.missing == {"PriorityClass high", "RuntimeClass kata"}
