"""What is judged: manifests and a catalog, as plain JSON, so that a failure can be kept and read."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spotkube.convert.documents import Document
from spotkube.model import labels as keys
from spotkube.model.offerings import SPOT, Offering
from spotkube.model.resources import ResourceList

Json = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """`offerings` are rows of the catalog; `focus` names the constraints that the scenario was drawn for."""

    objects: list[Json]
    offerings: list[Json]
    focus: list[str] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Json]:
        return [one for one in self.objects if one["kind"] == kind]

    def documents(self) -> list[Document]:
        return [Document(f"object {n}", one) for n, one in enumerate(copy.deepcopy(self.objects), start=1)]

    def catalog(self) -> list[Offering]:
        return [to_offering(row) for row in self.offerings]

    def changed(self, change: Callable[[Scenario], None]) -> Scenario:
        """A copy after the change, which works in place."""
        other = Scenario(copy.deepcopy(self.objects), copy.deepcopy(self.offerings), list(self.focus))
        change(other)
        return other

    def to_json(self) -> str:
        return json.dumps({"focus": self.focus, "offerings": self.offerings, "objects": self.objects}, indent=1)

    @classmethod
    def read(cls, path: Path) -> Scenario:
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(values["objects"], values["offerings"], values["focus"])


def to_offering(row: Json) -> Offering:
    """A row has type, zone, capacityType, price (micro-dollars), percent, arch and allocatable (quantities)."""
    labels = {
        keys.INSTANCE_TYPE: row["type"],
        keys.ZONE: row["zone"],
        keys.REGION: "region",
        keys.CAPACITY_TYPE: row["capacityType"],
        keys.ARCH: row["arch"],
        keys.OS: "linux",
        keys.INSTANCE_FAMILY: row["type"].split(".")[0],
        keys.INSTANCE_CPU: str(row["allocatable"]["cpu"]),
    }
    room = ResourceList.from_quantities(row["allocatable"])
    return Offering(
        instance_type=row["type"],
        zone=row["zone"],
        capacity_type=row["capacityType"],
        price_micro_usd_hour=row["price"],
        arch=row["arch"],
        capacity=room,
        allocatable=room,
        labels=tuple(sorted(labels.items())),
        interruption_percent=row["percent"] if row["capacityType"] == SPOT else 0,
    )


def pod_specs(scenario: Scenario, *, running: bool | None = None) -> Iterator[Json]:
    """The specs of the pods (with `running` only of those that run, or that wait) and of pod templates."""
    for one in scenario.objects:
        if one["kind"] == "Pod" and running in (None, "nodeName" in one["spec"]):
            yield one["spec"]
        elif one["kind"] in ("DaemonSet", "Workload") and running is None:
            source = one["spec"] if one["kind"] == "DaemonSet" else one["spec"]["deployment"]
            yield source["template"]["spec"]


def key_of(pod: Json) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
