"""Which PersistentVolume serves a claim that is not bound yet, by the rules of Kubernetes 1.36."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from spotkube.model.pods import Labels
from spotkube.model.selectors import Term
from spotkube.model.volumes import ClaimKey, Volume, VolumeClaim

# Volumes that the same nodes reach, by the terms that say which.
_Places = dict[tuple[Term, ...], list[Volume]]


def serves(volume: Volume, claim: VolumeClaim, storage_class: str) -> bool:
    """Whether the volume may be bound to the claim, wherever it is."""
    if volume.deleting or (volume.claim is not None and volume.claim != claim.key):
        return False
    if volume.storage_bytes < claim.storage_bytes or volume.block != claim.block:
        return False
    if volume.attributes_class != claim.attributes_class:
        return False
    if volume.claim == claim.key:
        return True
    return (
        volume.available
        and volume.storage_class == storage_class
        and set(claim.access_modes) <= set(volume.access_modes)
        and (claim.selector is None or claim.selector.matches(dict(volume.labels)))
    )


def by_size(volumes: Iterable[Volume]) -> list[Volume]:
    return sorted(volumes, key=lambda volume: (volume.storage_bytes, volume.name))


@dataclass(frozen=True, slots=True)
class Wanting:
    """A claim that waits for a volume, what may serve it, and the node selector of the pod that uses it."""

    claim: VolumeClaim
    volumes: Sequence[Volume]
    node_selector: Labels = ()

    def reaches(self, terms: tuple[Term, ...]) -> bool:
        """Whether the pod's node selector leaves a node that meets one of the terms, as far as both name a label."""
        labels = dict(self.node_selector)
        named = [[requirement for requirement in term if requirement.key in labels] for term in terms]
        return not terms or any(all(one.matches(labels) for one in term) for term in named)


def share_out(waiting: Iterable[Wanting]) -> Mapping[ClaimKey, list[tuple[Term, ...]]]:
    """The places (by the terms of the volumes there) where each claim finds a volume, whatever the others take.

    Where a place has volumes enough for all that may come, it is open to all of them. Where it has not, its volumes
    are given away one by one, first to those with the least choice.
    """
    by_place: dict[tuple[Term, ...], list[tuple[Wanting, list[Volume]]]] = defaultdict(list)
    choices: dict[ClaimKey, int] = {}
    for one in sorted(waiting, key=lambda one: one.claim.key):
        places: _Places = defaultdict(list)
        for volume in one.volumes:
            if one.reaches(volume.terms):
                places[volume.terms].append(volume)
        choices[one.claim.key] = len(places)
        for terms, volumes in places.items():
            by_place[terms].append((one, volumes))
    found: dict[ClaimKey, list[tuple[Term, ...]]] = defaultdict(list)
    for terms, rivals in sorted(by_place.items(), key=lambda item: str(item[0])):
        if all(len(volumes) >= len(rivals) for _, volumes in rivals):
            winners = [one.claim.key for one, _ in rivals]
        else:
            winners = _one_by_one(sorted(rivals, key=lambda rival: _turn(rival, found, choices)))
        for key in winners:
            found[key].append(terms)
    return found


def _turn(
    rival: tuple[Wanting, list[Volume]], found: Mapping[ClaimKey, object], choices: Mapping[ClaimKey, int]
) -> tuple[bool, int, int, ClaimKey]:
    """Who is first: those that were promised nothing yet, then those with the least choice of places and volumes."""
    one, volumes = rival
    return one.claim.key in found, choices[one.claim.key], len(volumes), one.claim.key


def _one_by_one(rivals: Sequence[tuple[Wanting, list[Volume]]]) -> list[ClaimKey]:
    taken: set[str] = set()
    winners = []
    for one, volumes in rivals:
        free = [volume for volume in by_size(volumes) if volume.name not in taken]
        if free:
            taken.add(free[0].name)
            winners.append(one.claim.key)
    return winners
