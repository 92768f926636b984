"""Rules between pods on one node: anti-affinity, hostname spread and host ports, as conflicts and caps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spotkube.model.labels import HOSTNAME, ZONE
from spotkube.model.pods import Labels, PodShape
from spotkube.model.resources import ResourceList
from spotkube.planner.bins import Bin
from spotkube.planner.groups import Group, project, selected_keys
from spotkube.planner.problem import NO_LIMIT, BoolArray, IntArray

_NOTHING = ResourceList()


@dataclass(frozen=True, eq=False)
class Neighbours:
    """`conflict`, `cap_use`, `cap_limit`, `bin_cap_left` as in Problem; `bin_allowed` [G, B]."""

    conflict: BoolArray
    cap_use: IntArray
    cap_limit: IntArray
    bin_cap_left: IntArray
    bin_allowed: BoolArray


def make_neighbours(groups: Sequence[Group], bins: Sequence[Bin]) -> Neighbours:
    conflict = np.zeros((len(groups), len(groups)), dtype=np.bool_)
    caps: dict[tuple[bool, ...], int] = {}
    for i, group in enumerate(groups):
        if _has_rules(group):
            for j, other in enumerate(groups):
                if j != i and _clash(group, other):
                    conflict[i, j] = conflict[j, i] = True
        if _clash(group, group):
            _add_cap(caps, [j == i for j in range(len(groups))], 1)
        for rule in group.shape.spread:
            if rule.topology_key == HOSTNAME and rule.selector is not None:
                members = [_counts(group, g) or j == i for j, g in enumerate(groups)]
                _add_cap(caps, members, rule.max_skew)
    cap_member = np.array(list(caps), dtype=np.bool_).reshape(len(caps), len(groups))
    cap_limit = np.array(list(caps.values()), dtype=np.int64)
    residents, present, counted = _residents(groups, bins)
    clash = np.array([[_clash(group, one) for one in residents] for group in groups], dtype=np.bool_)
    counts = np.array([[_counts(group, one) for one in residents] for group in groups], dtype=np.bool_)
    shape = len(groups), len(residents)
    already = counts.reshape(shape).astype(np.int64) @ counted
    cap_left = np.full((len(caps), len(bins)), NO_LIMIT, dtype=np.int64)
    for k, limit in enumerate(cap_limit):
        # Of the pods there, as many as a spread of one of the members counts.
        cap_left[k] = np.maximum(limit - already[cap_member[k]].max(axis=0, initial=0), 0)
    allowed = ~(clash.reshape(shape) @ present)
    return Neighbours(conflict, cap_member.astype(np.int64), cap_limit, cap_left, allowed)


def unsupported_rules(group: Group) -> list[str]:
    """Rules over zones and hosts that this planner can't split a group by."""
    problems = list(group.shape.unsupported)
    for rule in group.shape.spread:
        if rule.selector is None or not rule.selector.matches(dict(group.labels)):
            problems.append(f"a topology spread over {rule.topology_key} whose selector does not match the pod itself")
    for term in group.shape.anti_affinity:
        if term.topology_key not in (HOSTNAME, ZONE):
            problems.append(f"anti-affinity over {term.topology_key}")
    return problems


def _residents(groups: Sequence[Group], bins: Sequence[Bin]) -> tuple[list["_Resident"], BoolArray, IntArray]:
    """The kinds of pods that stand there, as far as rules look at them; [kinds, B] where, and how many.

    Pods that are about to end are not among the counted: spreads pass over them.
    """
    selectors = [rule.selector for group in groups for rule in group.shape.spread]
    selectors += [term.selector for group in groups for term in group.shape.anti_affinity]
    keys = selected_keys(pod for b in bins for pod in b.residents)
    keys |= {key for selector in selectors if selector is not None for key in selector.keys}
    index: dict[_Resident, int] = {}
    places: list[tuple[int, int, bool]] = []
    for b, bin_ in enumerate(bins):
        for pod in bin_.residents:
            ruled = PodShape(
                pod.namespace, _NOTHING, anti_affinity=pod.shape.anti_affinity, host_ports=pod.shape.host_ports
            )
            kind = index.setdefault(_Resident(ruled, project(pod.labels, keys)), len(index))
            places.append((kind, b, pod.deleting))
    present = np.zeros((len(index), len(bins)), dtype=np.bool_)
    counted = np.zeros((len(index), len(bins)), dtype=np.int64)
    for kind, b, ending in places:
        present[kind, b] = True
        counted[kind, b] += not ending
    return list(index), present, counted


@dataclass(frozen=True, slots=True)
class _Resident:
    shape: PodShape
    labels: Labels


def _has_rules(one: "Group | _Resident") -> bool:
    return bool(one.shape.host_ports or one.shape.anti_affinity)


def _clash(one: "Group | _Resident", other: "Group | _Resident") -> bool:
    """Whether a pod of the one and a pod of the other may not share a node."""
    if one.shape.host_ports and set(one.shape.host_ports) & set(other.shape.host_ports):
        return True
    return _repels(one, other) or _repels(other, one)


def _repels(one: "Group | _Resident", other: "Group | _Resident") -> bool:
    return any(
        term.topology_key == HOSTNAME and term.matches(other.shape.namespace, dict(other.labels))
        for term in one.shape.anti_affinity
    )


def _counts(group: Group, other: "Group | _Resident") -> bool:
    """Whether a hostname spread of the group counts the other's pods."""
    return group.shape.namespace == other.shape.namespace and any(
        rule.topology_key == HOSTNAME and rule.selector is not None and rule.selector.matches(dict(other.labels))
        for rule in group.shape.spread
    )


def _add_cap(caps: dict[tuple[bool, ...], int], members: list[bool], limit: int) -> None:
    key = tuple(members)
    caps[key] = min(limit, caps.get(key, limit))
