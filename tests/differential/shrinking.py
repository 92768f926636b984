"""Makes a failing scenario smaller, as long as it still fails: objects first, then what stands in them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from differential.demands import complaints
from differential.judge import Judge, JudgeError
from differential.scenario import Scenario
from spotkube.convert.documents import ManifestError

# Without these a manifest means something else, or nothing.
_KEPT = (
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "containers",
    "name",
    "image",
    "allocatable",
    "pods",
    "status",
    "template",
)


def shrunk(scenario: Scenario, judge: Judge) -> Scenario:
    """The smallest scenario that leaving out one thing after the other leads to, with a complaint of the same sort."""
    sorts = _sorts(scenario, judge)
    found = bool(sorts)
    while found:
        found = False
        for smaller in _smaller(scenario):
            if sorts & _sorts(smaller, judge):
                scenario, found = smaller, True
                break
    return scenario


def _sorts(scenario: Scenario, judge: Judge) -> set[str]:
    """The complaints without the names in them: which plugin refuses, or that a pod is called impossible."""
    try:
        found = complaints(scenario, judge)
    except (ManifestError, JudgeError, LookupError):
        return set()  # no longer a scenario
    return {"called impossible" if "called impossible" in one else one.rpartition(": ")[2] for one in found}


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    for rows in ("objects", "offerings"):
        for index in range(len(getattr(scenario, rows))):
            yield scenario.changed(lambda other, rows=rows, index=index: getattr(other, rows).pop(index))  # type: ignore[misc]
    for index, one in enumerate(scenario.objects):
        for path in _removable(one, ()):
            yield scenario.changed(lambda other, index=index, path=path: _remove(other.objects[index], path))  # type: ignore[misc]


def _removable(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if key not in _KEPT:
            yield (*path, key)
        yield from _removable(inner, (*path, key))


def _remove(value: Any, path: tuple[Any, ...]) -> None:
    for key in path[:-1]:
        value = value[key]
    with contextlib.suppress(LookupError):
        del value[path[-1]]
