"""Rules over zones are met by deciding beforehand how many pods of a group go into which zone.

An even split satisfies every skew that is allowed, so the search need not know about zones.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from spotkube.model.labels import ZONE
from spotkube.model.pods import Pod, PodTerm, SpreadConstraint
from spotkube.planner.groups import Group

ZoneRule = SpreadConstraint | PodTerm
# The part of a group that one zone gets: family, capacity type, zone.
Part = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class Split:
    """A group by zones, and how many of its pods no zone may take, with the reason."""

    groups: tuple[Group, ...]
    left_over: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Zones:
    """For one group: `open` have what takes its pods; `domains` count in its spreads, whether or not they take pods."""

    open: frozenset[str]
    domains: frozenset[str]


class ZoneLedger:
    """Where pods are, by zone: those that run, and those that earlier groups of the same plan were given."""

    def __init__(self, residents: Iterable[tuple[Pod, str]], most: Mapping[Part, int]) -> None:
        """`residents` are pods with the zone of their node; `most` is how many pods found room, where it was tried."""
        self._most = most
        zoned = [(pod, zone) for pod, zone in residents if zone]
        # Spreads pass over pods that are about to end, anti-affinity does not.
        self._placed = Counter((pod.namespace, pod.labels, zone) for pod, zone in zoned if not pod.deleting)
        self._ending = Counter((pod.namespace, pod.labels, zone) for pod, zone in zoned if pod.deleting)
        self._terms = Counter(
            (term, zone) for pod, zone in zoned for term in pod.shape.anti_affinity if term.topology_key == ZONE
        )

    def matching(self, rule: ZoneRule, namespace: str) -> Counter[str]:
        """Pods that the rule of a pod in `namespace` counts, by zone."""
        counts: Counter[str] = Counter()
        pods = self._placed + self._ending if isinstance(rule, PodTerm) else self._placed
        for (where, labels, zone), number in pods.items():
            if _selects(rule, namespace, where, dict(labels)):
                counts[zone] += number
        return counts

    def refused(self, group: Group) -> frozenset[str]:
        """Zones that pods already there keep this group out of, by their own anti-affinity (it is symmetric)."""
        labels = dict(group.labels)
        return frozenset(zone for term, zone in self._terms if term.matches(group.shape.namespace, labels))

    def most(self, group: Group, zone: str) -> int:
        return self._most.get(part_of(group, zone), group.count)

    def add(self, group: Group, zone: str, pods: int) -> None:
        self._placed[(group.shape.namespace, group.labels, zone)] += pods
        for term in group.shape.anti_affinity:
            if term.topology_key == ZONE and pods:
                self._terms[(term, zone)] += pods


def zone_rules(group: Group) -> list[ZoneRule]:
    rules: list[ZoneRule] = [*group.shape.spread, *group.shape.anti_affinity]
    return [rule for rule in rules if rule.topology_key == ZONE]


def part_of(group: Group, zone: str) -> Part:
    return group.family, group.capacity_type, zone


def spreads_over_zones(group: Group) -> list[SpreadConstraint]:
    return [rule for rule in group.shape.spread if rule.topology_key == ZONE]


def counted_by(group: Group, others: Iterable[Group]) -> bool:
    """Whether a rule over zones of one of the others looks at the group's pods: then their zones must be known too."""
    labels, namespace = dict(group.labels), group.shape.namespace
    return any(
        _selects(rule, other.shape.namespace, namespace, labels)
        for other in others
        if other is not group
        for rule in zone_rules(other)
    )


def split_by_zone(group: Group, zones: Zones, ledger: ZoneLedger, *, alone: bool) -> Split:
    """Gives each pod of the group a zone, the least used of those that its rules allow first.

    Only where the group is `alone` in its family and in what its spreads count is anything sure of the number in each.
    """
    refused = ledger.refused(group)
    names = sorted(zones.open - refused)
    rooms = {zone: min(_room(group, zone, ledger), ledger.most(group, zone)) for zone in names}
    spreads = spreads_over_zones(group)
    counts = [ledger.matching(rule, group.shape.namespace) for rule in spreads]
    given = dict.fromkeys(sorted(zones.domains | zones.open), 0)
    for _ in range(group.count):
        allowed = [z for z in names if given[z] < rooms[z] and _within_skew(z, spreads, counts, given)]
        if not allowed:
            break
        best = min(allowed, key=lambda z: (max((c[z] for c in counts), default=0) + given[z], z))
        given[best] += 1
    total = sum(given.values())
    sure = _sure(total, len(names), spreads) if alone and not any(counts) else 0
    parts, start = [], 0
    for zone, number in given.items():
        if number:
            pods = group.pods[start : start + number]
            parts.append(replace(group, pods=pods, zone=zone, sure_count=min(number, sure)))
            ledger.add(group, zone, number)
            start += number
    full = [zone for zone in names if ledger.most(group, zone) < group.count]
    return Split(tuple(parts), group.pods[start:], _why(names, refused, full) if start < group.count else "")


def _why(names: Sequence[str], refused: frozenset[str], full: Sequence[str]) -> str:
    if full:
        where = ", ".join(full)
        return f"nodes and limits of NodePools leave no room in {where}, and then rules over zones allow no more"
    if names:
        return f"its rules over zones let no more of these pods into {', '.join(names)}"
    return (
        f"anti-affinity over zones keeps these pods out of {', '.join(sorted(refused))}, and nothing else is for sale"
    )


def _selects(rule: ZoneRule, own: str, namespace: str, labels: Mapping[str, str]) -> bool:
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
    zone: str, spreads: Sequence[SpreadConstraint], counts: Sequence[Counter[str]], given: Mapping[str, int]
) -> bool:
    for rule, count in zip(spreads, counts, strict=True):
        least = 0 if len(given) < rule.min_domains else min(count[z] + number for z, number in given.items())
        if count[zone] + given[zone] + 1 - least > rule.max_skew:
            return False
    return True


def _sure(pods: int, zones: int, spreads: Sequence[SpreadConstraint]) -> int:
    """How many pods any split within the skew puts into each zone at least, when none runs yet."""
    if not spreads or not zones:
        return 0
    skew = min(rule.max_skew for rule in spreads)
    return max(0, math.ceil((pods - (zones - 1) * skew) / zones))
