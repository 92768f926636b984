"""Reasons in words why a pod finds no place."""

from collections.abc import Sequence

import numpy as np

from spotkube.model.resources import CPU, MEMORY, ResourceList
from spotkube.planner.formulation.choice import narrow_pools, with_choice
from spotkube.planner.formulation.groups import Group
from spotkube.planner.formulation.kinds import Kinds, domain_mask, topology_mask
from spotkube.planner.formulation.scopes import in_words
from spotkube.planner.formulation.volumes import reach_mask
from spotkube.planner.problem import IntArray


def why_nothing_fits(
    group: Group, demand: ResourceList, kinds: Kinds, capacity: IntArray, resources: Sequence[str]
) -> str:
    """Which rule leaves out how many offerings for pods of this demand, the first that is broken counting for each."""
    if not len(kinds):
        return "no NodePool may buy anything: create one, or loosen its requirements and its mode"
    table, shape = kinds.table, group.shape
    left = np.ones(len(kinds), dtype=np.bool_)
    reasons: list[str] = []

    def exclude(mask: np.ndarray[tuple[int], np.dtype[np.bool_]], why: str) -> None:
        nonlocal left
        gone = int((left & ~mask).sum())
        if gone:
            reasons.append(f"{gone} {why}")
        left = left & mask

    for key, value in shape.node_selector:
        exclude(np.array([v == value for v in table.column(key)], dtype=np.bool_), f"lack the label {key}={value}")
    terms = " or ".join("; ".join(map(str, term)) for term in shape.affinity_terms)
    exclude(table.any_of(shape.affinity_terms), f"break the node affinity ({terms})")
    exclude(table.tolerated(shape.tolerations), "have a taint that is not tolerated")
    if group.capacity_type:
        exclude(~kinds.spot, "are spot, which its Workload's spot rule excludes")
    if not group.managed:
        exclude(
            kinds.unmanaged_allowed, "are spot, which is for pods of Workloads (NodePool spec.spot.allowUnmanagedPods)"
        )
    exclude(
        topology_mask(table, shape), f"lack a label that its rules are over ({', '.join(sorted(shape.topology_keys))})"
    )
    exclude(domain_mask(table, group), f"are kept from it by rules between pods ({_domains(group)})")
    exclude(reach_mask(table, shape), "do not reach its volumes")
    for r, name in enumerate(resources):
        asked = demand[name]
        exclude(capacity[:, r] >= asked, _too_small(name, asked, int(capacity[:, r].max(initial=0))))
    exclude(with_choice(kinds, left), f"leave less choice than minValues asks for ({narrow_pools(kinds, left)})")
    return f"none of {len(kinds)} offerings fits: {', '.join(reasons)}"


def why_left_over(group: Group, limits_bind: Sequence[str], *, quota: str, placed: Sequence[Group]) -> str:
    """Why pods that some offering would hold were not placed: the pools' limits, or rules between pods.

    `quota` says in words which limit counts the Workload's pods; `placed` are those of which any have room.
    """
    if limits_bind:
        first = _first(group, placed)
        return f"the limits of {', '.join(limits_bind)} leave no room{first}: raise them, or free what they hold"
    if quota:
        return f"{quota} (maxFractionPerPool), and nothing else is left for sale: raise it, or let more be bought"
    return f"no combination was found that holds all of {group.name}: nodes that exist have no room left for these pods"


def _first(group: Group, placed: Sequence[Group]) -> str:
    """Who went first."""
    priority = group.shape.priority
    if any(other.shape.priority > priority for other in placed):
        return f"; pods of a priority above {priority} go first"
    if group.batch and any(other.shape.priority == priority and not other.batch for other in placed):
        return "; pods that are no Job's go first"
    return ""


def _domains(group: Group) -> str:
    """Where rules between pods let the group go, or what they bar to it."""
    if group.where:
        return ", ".join(f"it has to be {in_words(key, value)}" for key, value in group.where)
    barred: dict[str, list[str]] = {}
    for key, value in sorted(group.barred, key=str):
        barred.setdefault(key, []).append(value or "missing")
    return ", ".join(f"{key} may not be {' or '.join(values)}" for key, values in barred.items())


def _too_small(name: str, asked: int, largest: int) -> str:
    if largest == 0:
        return f"have no {name}"
    unit = "are too small in" if name in (CPU, MEMORY) else "have too few"
    return f"{unit} {name} (asked {_quantity(name, asked)}, at most {_quantity(name, largest)})"


def _quantity(name: str, amount: int) -> str:
    return ResourceList({name: amount}).to_quantities().get(name, "0")
