"""Rules between pods on one node: anti-affinity, hostname spread and host ports, as conflicts and caps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spotkube.model.labels import HOSTNAME, ZONE
from spotkube.model.pods import Labels, Pod, PodShape
from spotkube.planner.bins import Bin
from spotkube.planner.groups import Group
from spotkube.planner.problem import NO_LIMIT, BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class Neighbours:
    """`conflict` [G, G], `cap_member` [K, G], `cap_limit` [K], `bin_cap_left` [K, B] as in Problem; `bin_allowed` [G, B]."""

    conflict: BoolArray
    cap_member: BoolArray
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
    allowed = np.ones((len(groups), len(bins)), dtype=np.bool_)
    cap_left = np.full((len(caps), len(bins)), NO_LIMIT, dtype=np.int64)
    for b, bin_ in enumerate(bins):
        residents = _kinds_of(bin_.residents)
        # Most pods have no rules at all: only those with some are compared with everybody.
        ruled = [resident for resident in residents if _has_rules(resident)]
        for g, group in enumerate(groups):
            others = residents if _has_rules(group) else ruled
            allowed[g, b] = not any(_clash(group, resident) for resident in others)
        for k, limit in enumerate(cap_limit):
            carriers = [group for group, member in zip(groups, cap_member[k], strict=True) if member]
            cap_left[k, b] = max(0, int(limit) - _already(carriers, bin_.residents))
    return Neighbours(conflict, cap_member, cap_limit, cap_left, allowed)


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


def _kinds_of(pods: Sequence[Pod]) -> list["_Resident"]:
    return list({_Resident(pod.shape, pod.labels) for pod in pods})


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


def _already(carriers: Sequence[Group], residents: Sequence[Pod]) -> int:
    """The most pods there that a spread of one of the carriers counts; those about to end are passed over."""
    seen = [_Resident(pod.shape, pod.labels) for pod in residents if not pod.deleting]
    return max((sum(_counts(group, resident) for resident in seen) for group in carriers), default=0)
