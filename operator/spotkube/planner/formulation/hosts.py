"""Spreads that are not as strict as they look, since it is known which nodes they will count.

As a rule nodes may still be bought, any of which could stay empty: so a spread over hosts is a cap on each node, and
every domain that is for sale counts. But on a single node, or within a single domain, every spread holds; and over
several nodes that are there, of which no more can be bought, a spread over hosts is one over domains that are known.
"""

from collections.abc import Callable, Sequence

import numpy as np

from spotkube.model.pods import SpreadConstraint
from spotkube.planner.formulation.groups import Group
from spotkube.planner.formulation.ledger import Ledger, counts_any
from spotkube.planner.formulation.places import NODE_KEYS
from spotkube.planner.formulation.scopes import scope_of
from spotkube.planner.problem import BoolArray

Usable = Callable[[Group], BoolArray]


def loosen(
    groups: Sequence[Group], ledger: Ledger, usable: Usable, only_one: Callable[[Group, BoolArray], bool]
) -> None:
    """Tells the ledger which spreads always hold, and which of those over hosts are over nodes that are known.

    Args:
        groups: all groups to place.
        ledger: where pods are.
        usable: rows that take one pod of a group.
        only_one: whether limits let no second node of these kinds stand beside one that takes a pod of the group.
    """
    kinds = ledger.places.kinds
    for group in groups:
        for rule in filter(counts_any, group.shape.spread):
            counted = ledger.places.counted(scope_of(group.shape, rule))
            sold, there = counted[:kinds], int(counted[kinds:].sum())
            alone = not sold.any() if there == 1 else not there and only_one(group, sold)
            if rule.min_domains == 1 and (alone or _one_domain(rule, ledger, counted)):
                ledger.idle.add((group.shape, rule))
            elif (
                rule.topology_key in NODE_KEYS
                and not sold.any()
                and there >= rule.min_domains
                and _too_many(group, rule, groups, ledger, counted, usable)
            ):
                ledger.fixed.add((group.shape, rule))


def _one_domain(rule: SpreadConstraint, ledger: Ledger, counted: BoolArray) -> bool:
    """Whether it counts nodes of one domain alone, whatever is bought: nothing is there to be uneven towards."""
    return rule.topology_key not in NODE_KEYS and len(ledger.places.values_among(rule.topology_key, counted)) == 1


def _too_many(
    group: Group, rule: SpreadConstraint, groups: Sequence[Group], ledger: Ledger, counted: BoolArray, usable: Usable
) -> bool:
    """Whether there are more pods than a cap lets onto these nodes, all of them for nodes that are there."""
    subjects = ledger.subjects.selected(frozenset({group.shape.namespace}), rule.selector)
    meant = [other for other in groups if other.subject in subjects]
    rows = np.flatnonzero(counted)
    standing = [sum(ledger.standing[subject][int(row)] for subject in subjects) for row in rows]
    room = sum(min(standing) + rule.max_skew - there for there in standing)
    return sum(len(other.pods) for other in meant) > room and not any(
        usable(other)[: ledger.places.kinds].any() for other in meant
    )
