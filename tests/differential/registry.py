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

# Constraints that the planner does not plan for yet, with the reason. A scenario has none of them.
NOT_YET: dict[str, str] = {
    "spread-capacity-type": "spreads are planned over hostname and zone alone",
    "spread-pool-label": "spreads are planned over hostname and zone alone",
    "spread-node-affinity-policy": "Ignore is not planned for",
    "spread-node-taints-policy": "Honor is not known",
    "spread-of-others": "a spread that does not count the pod itself is not planned for",
    "pod-affinity-zone": "required pod affinity is not planned for",
    "pod-affinity-hostname": "required pod affinity is not planned for",
    "pod-affinity-self": "required pod affinity is not planned for",
    "pod-anti-affinity-other-key": "anti-affinity is planned over hostname and zone alone",
    "pod-term-namespace-selector-that-differs": "a namespaceSelector counts for all namespaces",
    "pod-term-mismatch-label-keys": "mismatchLabelKeys is not known",
    "host-port-ip": "hostIP is not known",
}


def constraint(name: str, misread: Change) -> Callable[[Draw], Draw]:
    """Registers a function that draws the named rule."""

    def register(draw: Draw) -> Draw:
        assert name not in CONSTRAINTS, name
        CONSTRAINTS[name] = Constraint(name, draw, misread)
        return draw

    return register
