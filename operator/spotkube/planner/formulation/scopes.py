"""Which nodes a spread counts, as a value: two spreads of one scope count the same nodes.

It may also split a group, as a topology key does: into pods that are counted (COUNTED) and those that are not (None).
"""

from dataclasses import dataclass

from spotkube.model.pods import Labels, PodShape, SpreadConstraint
from spotkube.model.selectors import Term, Toleration
from spotkube.planner.formulation.labeltable import LabelTable
from spotkube.planner.problem import BoolArray

COUNTED = "counted"


@dataclass(frozen=True, slots=True)
class Scope:
    """Nodes that have the `keys` of all spreads of a pod, and which the policies of one of them let in."""

    keys: frozenset[str]
    node_selector: Labels = ()
    affinity_terms: tuple[Term, ...] = ()
    tolerations: tuple[Toleration, ...] | None = None

    def mask(self, table: LabelTable) -> BoolArray:
        """[rows] that are counted."""
        mask = table.any_of(self.affinity_terms)
        for key in self.keys:
            mask = mask & ~table.has(key, None)
        for key, value in self.node_selector:
            mask = mask & table.has(key, value)
        return mask if self.tolerations is None else mask & table.tolerated(self.tolerations)

    def has(self, table: LabelTable, value: str | None) -> BoolArray:
        """[rows] that are counted, or that are not."""
        mask = self.mask(table)
        return mask if value == COUNTED else ~mask


# What splits a group: a label of nodes, or the scope of a spread.
Key = str | Scope


def scope_of(shape: PodShape, rule: SpreadConstraint) -> Scope:
    """The scope of a spread of the shape."""
    return Scope(
        frozenset(spread.topology_key for spread in shape.spread),
        shape.node_selector if rule.honor_affinity else (),
        shape.affinity_terms if rule.honor_affinity else (),
        shape.tolerations if rule.honor_taints else None,
    )


def surely_counted(rows: BoolArray, counted: BoolArray) -> bool | None:
    """Whether pods somewhere on these rows are counted; None where that depends on the row."""
    inside = rows & counted
    if not inside.any():
        return False
    return None if (rows & ~counted).any() else True


def in_words(key: Key, value: str | None) -> str:
    """Where a group has to be that was split by the key."""
    if isinstance(key, Scope):
        return f"on nodes that {'' if value else 'do not '}count for others' spread"
    return f"where {key} is {value or 'missing'}"
