"""Which groups have to be split by zone: those with rules over zones, and those that such rules look at."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from spotkube.model.cluster import Snapshot
from spotkube.model.labels import ZONE
from spotkube.model.plan import Unplaceable
from spotkube.model.selectors import Operator, Requirement, matches_all
from spotkube.planner.groups import Group
from spotkube.planner.zones import ZoneLedger, Zones, counted_by, split_by_zone, zone_rules


def split_groups(
    groups: Sequence[Group], zones_of: Callable[[Group], Zones], ledger: ZoneLedger
) -> tuple[list[Group], list[Unplaceable]]:
    """Splits by zone what has rules over zones, and what such rules look at; keeps the rest out of barred zones."""
    ruled = [group for group in groups if zone_rules(group)]
    counted = [group for group in groups if not zone_rules(group) and counted_by(group, ruled)]
    members = Counter(group.family for group in groups)
    parts: dict[int, list[Group]] = {}
    refused: list[Unplaceable] = []
    for group in (*ruled, *counted):
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
