"""Which groups have to be split by zone: those with rules over zones, and those that such rules look at."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from spotkube.model.cluster import Snapshot
from spotkube.model.labels import ZONE
from spotkube.model.plan import Unplaceable
from spotkube.model.selectors import Operator, Requirement, matches_all
from spotkube.planner.groups import Group
from spotkube.planner.zones import ZoneLedger, Zones, counted_by, split_by_zone, spreads_over_zones, zone_rules


def split_groups(
    groups: Sequence[Group], zones_of: Callable[[Group], Zones], ledger: ZoneLedger
) -> tuple[list[Group], list[Unplaceable]]:
    """Splits by zone what has rules over zones, and what such rules look at; keeps the rest out of barred zones."""
    ruled = [group for group in groups if zone_rules(group)]
    counted = [group for group in groups if not zone_rules(group) and counted_by(group, ruled)]
    spreading = [group for group in ruled if spreads_over_zones(group)]
    members = Counter(group.family for group in groups)
    parts: dict[int, list[Group]] = {}
    refused: list[Unplaceable] = []
    for group in sorted((*ruled, *counted), key=lambda group: _turn(group, spreading)):
        zones = zones_of(group)
        if not zones.open:
            # It fits nowhere, whatever the zone: why is told better of the whole group.
            parts[id(group)] = [group]
            continue
        looked_at = [other for other in groups if other is not group and counted_by(other, [group])]
        split = split_by_zone(group, zones, ledger, alone=members[group.family] == 1 and not looked_at)
        parts[id(group)] = list(split.groups)
        if split.left_over:
            refused.append(Unplaceable(group.name, split.left_over, split.reason))
    done: list[Group] = []
    for group in groups:
        done += parts.get(id(group)) or (
            [] if id(group) in parts else [replace(group, barred_zones=ledger.refused(group))]
        )
    return done, refused


def _turn(group: Group, spreading: Sequence[Group]) -> tuple[int, int]:
    """Who is split first: what others' spreads count comes before them, the strictest spread last.

    So each spread holds even if its pods come last to the scheduler. What is only kept away from others yields to them.
    """
    spreads = spreads_over_zones(group)
    if spreads:
        return 2, -min(rule.max_skew for rule in spreads)
    if zone_rules(group):
        return 1, 0
    return (0 if counted_by(group, spreading) else 3), 0


def domains_there(snapshot: Snapshot, group: Group) -> set[str]:
    """Zones that spreads of the group count because a node is there, whether or not it takes the pods.

    Node selector and affinity narrow them, taints and sizes do not (the defaults of nodeAffinityPolicy and
    nodeTaintsPolicy).
    """
    shape, leaving = group.shape, {claim.node or claim.name for claim in snapshot.claims if claim.leaving}
    nodes = [{**dict(n.labels), "metadata.name": n.name} for n in snapshot.nodes if n.name not in leaving]
    wanted = [Requirement(key, Operator.IN, (value,)) for key, value in shape.node_selector]
    return {
        labels[ZONE]
        for labels in nodes
        if ZONE in labels
        and matches_all(wanted, labels)
        and (not shape.affinity_terms or any(matches_all(term, labels) for term in shape.affinity_terms))
    }
