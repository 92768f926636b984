"""Rules over zones are met by deciding beforehand how many pods of a group go into which zone.

An even split satisfies every skew that is allowed, so the search need not know about zones.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from spotkube.api.labels import ZONE
from spotkube.model.pods import Pod, PodTerm, SpreadConstraint
from spotkube.planner.groups import Group


@dataclass(frozen=True, slots=True)
class Split:
    """A group by zones, and how many of its pods no zone may take, with the reason."""

    groups: tuple[Group, ...]
    left_over: tuple[str, ...] = ()
    reason: str = ""


class ZoneLedger:
    """Where pods are, by zone: those that run, and those that earlier groups of the same plan were given."""

    def __init__(self, residents: Iterable[tuple[Pod, str]]) -> None:
        """`residents` are pods with the zone of their node."""
        self._placed = Counter((pod.namespace, pod.labels, zone) for pod, zone in residents)
        self._terms = Counter(
            (term, zone) for pod, zone in residents for term in pod.shape.anti_affinity if term.topology_key == ZONE
        )
        self.empty = not self._placed

    def matching(self, rule: SpreadConstraint | PodTerm, namespace: str) -> Counter[str]:
        """Pods that the rule of a pod in `namespace` counts, by zone."""
        counts: Counter[str] = Counter()
        for (where, labels, zone), number in self._placed.items():
            if _selects(rule, namespace, where, dict(labels)):
                counts[zone] += number
        return counts

    def refused(self, group: Group) -> frozenset[str]:
        """Zones that pods already there keep this group out of, by their own anti-affinity (it is symmetric)."""
        labels = dict(group.labels)
        return frozenset(zone for term, zone in self._terms if term.matches(group.shape.namespace, labels))

    def add(self, group: Group, zone: str, pods: int) -> None:
        self._placed[(group.shape.namespace, group.labels, zone)] += pods
        for term in group.shape.anti_affinity:
            if term.topology_key == ZONE and pods:
                self._terms[(term, zone)] += pods


def has_zone_rule(group: Group) -> bool:
    shape = group.shape
    return any(r.topology_key == ZONE for r in shape.spread) or any(t.topology_key == ZONE for t in shape.anti_affinity)


def split_by_zone(group: Group, zones: Sequence[str], ledger: ZoneLedger, *, alone: bool) -> Split:
    """Gives each pod of the group a zone of `zones` (those that its other rules allow), the least used first.

    Only where the group is `alone` in its family is anything sure of the number in each zone.
    """
    refused = ledger.refused(group)
    zones = [zone for zone in sorted(zones) if zone not in refused]
    rooms = {zone: _room(group, zone, ledger) for zone in zones}
    spreads = [rule for rule in group.shape.spread if rule.topology_key == ZONE]
    counts = [ledger.matching(rule, group.shape.namespace) for rule in spreads]
    given = dict.fromkeys(zones, 0)
    for _ in range(group.count):
        open_zones = [z for z in zones if given[z] < rooms[z] and _within_skew(z, zones, spreads, counts, given)]
        if not open_zones:
            break
        best = min(open_zones, key=lambda z: (max((c[z] for c in counts), default=0) + given[z], z))
        given[best] += 1
    parts, start = [], 0
    for zone, number in given.items():
        if number:
            sure = _sure(group, number, zones, spreads) if alone and ledger.empty else 0
            parts.append(replace(group, pods=group.pods[start : start + number], zone=zone, sure_count=sure))
            ledger.add(group, zone, number)
            start += number
    reason = f"its rules over zones leave no zone of {', '.join(zones) or 'any pool'} for more of these pods"
    return Split(tuple(parts), group.pods[start:], reason if start < group.count else "")


def _selects(rule: SpreadConstraint | PodTerm, own: str, namespace: str, labels: Mapping[str, str]) -> bool:
    if isinstance(rule, PodTerm):
        return rule.matches(namespace, labels)
    return rule.selector is not None and own == namespace and rule.selector.matches(labels)


def _room(group: Group, zone: str, ledger: ZoneLedger) -> int:
    """How many pods of the group its own anti-affinity over zones lets into the zone."""
    room = group.count
    for term in group.shape.anti_affinity:
        if term.topology_key == ZONE:
            if ledger.matching(term, group.shape.namespace)[zone]:
                return 0
            if term.matches(group.shape.namespace, dict(group.labels)):
                room = 1
    return room


def _within_skew(
    zone: str,
    zones: Sequence[str],
    spreads: Sequence[SpreadConstraint],
    counts: Sequence[Counter[str]],
    given: Mapping[str, int],
) -> bool:
    for rule, count in zip(spreads, counts, strict=True):
        least = 0 if len(zones) < rule.min_domains else min(count[z] + given[z] for z in zones)
        if count[zone] + given[zone] + 1 - least > rule.max_skew:
            return False
    return True


def _sure(group: Group, number: int, zones: Sequence[str], spreads: Sequence[SpreadConstraint]) -> int:
    """How many pods any split within the skew puts into one zone at least, when no pod runs yet."""
    if not spreads:
        return 0
    skew = min(rule.max_skew for rule in spreads)
    return min(number, max(0, math.ceil((group.count - (len(zones) - 1) * skew) / len(zones))))
