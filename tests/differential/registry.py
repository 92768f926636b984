"""The constraints that scenarios are made of, by name; `constraints` has them all once the parts are imported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from differential.draft import Draft
from differential.scenario import Scenario

Draw = Callable[[Draft], None]
Change = Callable[[Scenario], None]


@dataclass(frozen=True)
class Constraint:
    """`draw` adds the rule to a draft, so that it matters there. `misread` makes of a scenario what a planner that did
    not know the rule would see: a rule that is left out, or one that is taken too strictly."""

    name: str
    draw: Draw
    misread: Change

    def misread_in(self, scenario: Scenario) -> Scenario | None:
        """What such a planner would see; None where the scenario has no such rule."""
        other = scenario.changed(self.misread)
        return None if other == scenario else other


CONSTRAINTS: dict[str, Constraint] = {}


def constraint(name: str, misread: Change) -> Callable[[Draw], Draw]:
    """Registers a function that draws the named rule."""

    def register(draw: Draw) -> Draw:
        assert name not in CONSTRAINTS, name
        CONSTRAINTS[name] = Constraint(name, draw, misread)
        return draw

    return register
