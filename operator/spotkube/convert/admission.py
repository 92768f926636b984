"""What the API server adds to a pod when it is made: the priority of its PriorityClass, what its RuntimeClass brings.

Pods of a cluster have been through that; pod templates and manifests have not.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from spotkube.convert.documents import Document

Json = Mapping[str, Any]

# These exist in every cluster.
_BUILT_IN: Final = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


class Admission:
    """`missing` names the classes that pods asked for and that are not among those given."""

    def __init__(self, priority_classes: Iterable[Document], runtime_classes: Iterable[Document]) -> None:
        classes = [document.content for document in priority_classes]
        named: dict[str, int] = {one["metadata"]["name"]: int(one["value"]) for one in classes}
        self._priorities = {**_BUILT_IN, **named}
        # Of several the lowest counts.
        self._default = min((int(one["value"]) for one in classes if one.get("globalDefault")), default=0)
        self._runtimes = {document.name: document.content for document in runtime_classes}
        self.missing: set[str] = set()

    def admit(self, spec: Json) -> Json:
        """The spec of a pod with what it gets at admission; what is there already stays."""
        added: dict[str, Any] = {}
        if spec.get("priority") is None:
            added["priority"] = self._priority(spec.get("priorityClassName"))
        return {**spec, **added, **self._runtime(spec)}

    def _priority(self, name: str | None) -> int:
        if not name:
            return self._default
        if name not in self._priorities:
            self.missing.add(f"PriorityClass {name}")
        return self._priorities.get(name, self._default)

    def _runtime(self, spec: Json) -> dict[str, Any]:
        name = spec.get("runtimeClassName")
        if not name or spec.get("overhead"):
            return {}
        if name not in self._runtimes:
            self.missing.add(f"RuntimeClass {name}")
            return {}
        runtime = self._runtimes[name]
        scheduling = runtime.get("scheduling") or {}
        return {
            "overhead": (runtime.get("overhead") or {}).get("podFixed"),
            "nodeSelector": {**(spec.get("nodeSelector") or {}), **(scheduling.get("nodeSelector") or {})},
            "tolerations": [*(spec.get("tolerations") or ()), *(scheduling.get("tolerations") or ())],
        }
