"""What a chaos run did and saw: a table for people, JSON for machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from chaos.invariants import Verdict
from spotkube.reports.layout import columns


@dataclass
class Report:
    """Added up over all lives that were played; `violations` name the life and the way to see it again."""

    seed: int
    lives: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    cases: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def add(
        self, life: str, faults: Mapping[str, int], verdicts: Iterable[Verdict], failures: Iterable[str] = ()
    ) -> None:
        """`failures` are what kept a life from being told to its end."""
        self.lives += 1
        self.faults.update(faults)
        self.violations += [f"{life}: {failure}" for failure in failures]
        for verdict in verdicts:
            self.cases[verdict.name] += verdict.cases
            self.violations += [f"{life}: {verdict.name}: {each}" for each in verdict.violations]

    def to_json(self) -> str:
        found: dict[str, Any] = {
            "seed": self.seed,
            "lives": self.lives,
            "faults": dict(sorted(self.faults.items())),
            "cases": dict(sorted(self.cases.items())),
            "violations": self.violations,
        }
        return json.dumps(found, indent=2) + "\n"

    def to_table(self) -> RenderableType:
        faults = columns(("injected fault", "left"), ("times", "right"))
        for name, times in sorted(self.faults.items()):
            faults.add_row(name, str(times))
        cases = columns(("invariant", "left"), ("cases", "right"), ("violations", "right"))
        for name, number in sorted(self.cases.items()):
            broken = sum(f": {name}: " in each for each in self.violations)
            cases.add_row(name, str(number), str(broken))
        told = [Text(each, style="red") for each in self.violations]
        end = f"{self.lives} lives from seed {self.seed}, {len(self.violations)} violations"
        return Group(faults, "", cases, "", *told, end)
