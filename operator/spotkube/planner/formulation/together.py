"""Pods that share a claim whose volume is still to be made: the first of them binds it, to the zone that it is in, so
that the others must come there. The zone is chosen beforehand: the cheapest of those where all of them can be, beside
the pods that run."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from spotkube.model.labels import ZONE
from spotkube.model.pods import Labels, Pod
from spotkube.model.selectors import Operator, Requirement
from spotkube.model.volumes import ClaimKey
from spotkube.planner.formulation.bins import Bin
from spotkube.planner.formulation.groups import NO_NEED, OnDemandNeed
from spotkube.planner.formulation.kinds import Kinds, shape_mask
from spotkube.planner.formulation.labeltable import LabelTable
from spotkube.planner.formulation.volumes import reach_mask
from spotkube.planner.problem import BoolArray


def bring_together(
    pods: Sequence[Pod],
    kinds: Kinds,
    bins: Sequence[Bin],
    needs: Mapping[str, OnDemandNeed],
    residents: Sequence[tuple[Pod, Labels]],
) -> list[Pod]:
    """The pods to place, those that share such a claim bound to one zone. Where no zone takes all of them, the first
    one has the claim and the others are refused. `needs` as for `group_pods`, `residents` with the labels of their
    nodes."""
    sharing: dict[ClaimKey, list[str]] = defaultdict(list)
    for pod in sorted(pods, key=lambda pod: (pod.created_at, pod.uid)):
        for claim in pod.unbound:
            sharing[claim].append(pod.uid)
    if not sharing:
        return list(pods)
    table = LabelTable([b.labels for b in bins], [b.taints for b in bins])
    found = {pod.uid: pod for pod in pods}
    for claim, uids in sorted(sharing.items()):
        prices = [_zones(found[uid], _sold_to(found[uid], kinds, needs), kinds, bins, table) for uid in uids]
        common = set(prices[0]).intersection(*prices[1:])
        common = {zone for zone in common if all(_bears(found[uid], zone, residents) for uid in uids)} or common
        if common:
            zone = min(common, key=lambda zone: (sum(one[zone] for one in prices), zone))
            term = ((Requirement(ZONE, Operator.IN, (zone,)),),)
            for uid in uids:
                shape = found[uid].shape
                found[uid] = replace(found[uid], shape=replace(shape, volume_terms=(*shape.volume_terms, term)))
        else:
            for uid in uids[1:]:
                why = (
                    f"shares PersistentVolumeClaim {'/'.join(claim)}, which is not bound yet, with pods of other zones"
                )
                found[uid] = replace(found[uid], shape=replace(found[uid].shape, refused=why))
    return [found[pod.uid] for pod in pods]


def _sold_to(pod: Pod, kinds: Kinds, needs: Mapping[str, OnDemandNeed]) -> BoolArray:
    """[O] what may be bought for the pod by its spot rule."""
    if pod.workload is None:
        return kinds.unmanaged_allowed
    return ~kinds.spot if needs.get(pod.workload, NO_NEED).never_on_spot else np.ones(len(kinds), dtype=np.bool_)


def _bears(pod: Pod, zone: str, residents: Sequence[tuple[Pod, Labels]]) -> bool:
    """Whether the pod's required affinity and anti-affinity over zones would have it in the zone, with those that run.

    Where none is found that it wants to be with, it may come with it in the same plan.
    """
    there = [(other, dict(labels).get(ZONE) == zone) for other, labels in residents]
    friends = [here for other, here in there if all(term.means(other) for term in pod.shape.affinity)]
    if any(term.topology_key == ZONE for term in pod.shape.affinity) and friends and not any(friends):
        return False
    return not any(here and (_repels(pod, other) or _repels(other, pod)) for other, here in there)


def _repels(pod: Pod, other: Pod) -> bool:
    return any(term.topology_key == ZONE and term.means(other) for term in pod.shape.anti_affinity)


def _zones(pod: Pod, sold: BoolArray, kinds: Kinds, bins: Sequence[Bin], table: LabelTable) -> dict[str, int]:
    """Where the pod can be, its neighbours apart, and the price of the cheapest node there that fits."""
    shape = pod.shape
    sold = sold & shape_mask(kinds.table, shape) & reach_mask(kinds.table, shape)
    there = shape_mask(table, shape) & reach_mask(table, shape)
    prices: dict[str, int] = {}
    for o in np.flatnonzero(sold):
        offering = kinds.offerings[o]
        if shape.requests.fits(offering.allocatable):
            prices[offering.zone] = min(offering.price_micro_usd_hour, prices.get(offering.zone, 2**62))
    for b in np.flatnonzero(there):
        place = bins[int(b)]
        if place.zone and shape.requests.fits(place.free):
            prices[place.zone] = 0
    return prices
