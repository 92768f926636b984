"""What the claims of pods mean for where these may run: joined to their shapes before anything is planned.

By the rules of kube-scheduler 1.36 (its plugins VolumeBinding, VolumeZone, VolumeRestrictions and NodeVolumeLimits).
Capacities that drivers publish (CSIStorageCapacity) and attachments that no pod explains are not looked at.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from spotkube.convert.matching import Wanting, by_size, serves, share_out
from spotkube.convert.storage import driver_of
from spotkube.model.labels import PLACEMENT_GATE, REGION, ZONE
from spotkube.model.pods import Pod
from spotkube.model.selectors import Operator, Requirement, Term
from spotkube.model.volumes import (
    NO_PROVISIONER,
    READ_WRITE_ONCE_POD,
    AttachedVolume,
    ClaimKey,
    ClaimUse,
    Storage,
    StorageClass,
    Volume,
    VolumeClaim,
    attachments,
)

Terms = tuple[Term, ...]

# Labels of a PersistentVolume that stand for its node affinity, with their newer names.
_ZONE_LABELS = {
    ZONE: ZONE,
    REGION: REGION,
    "failure-domain.beta.kubernetes.io/zone": ZONE,
    "failure-domain.beta.kubernetes.io/region": REGION,
}
_ANY = StorageClass("", delayed=True)


class _RefusedError(Exception):
    """Why kube-scheduler would not take the pod anywhere, with the remedy."""


@dataclass(frozen=True, slots=True)
class _Found:
    """One claim of a pod: lists of ORed terms that all must hold, and what is attached to the node (None: nothing).

    `together`: it is shared, and its first pod decides on where its volume will be.
    """

    terms: tuple[Terms, ...] = ()
    attached: AttachedVolume | None = None
    together: ClaimKey | None = None


def with_volumes(pods: Sequence[Pod], storage: Storage) -> list[Pod]:
    """The pods with what their claims ask of nodes in their shapes: terms, attachments, or why they can't run at all.

    A volume that several pods use is in `Pod.volumes` of each, and in the shared attachments: it counts once a node.
    """
    if not any(pod.claims for pod in pods):
        return list(pods)
    resolver = _Resolver(pods, storage)
    found = [resolver.resolve(pod) if pod.claims else pod for pod in pods]
    users = Counter(volume for pod in found for volume in pod.volumes)
    return [_with_attachments(pod, users) if pod.volumes else pod for pod in found]


def _with_attachments(pod: Pod, users: Mapping[AttachedVolume, int]) -> Pod:
    own = Counter(driver for driver, handle in pod.volumes if users[driver, handle] == 1)
    shared = Counter(driver for driver, handle in pod.volumes if users[driver, handle] > 1)
    shape = replace(pod.shape, attachments=attachments(own), shared_attachments=attachments(shared))
    return replace(pod, shape=shape)


class _Resolver:
    def __init__(self, pods: Sequence[Pod], storage: Storage) -> None:
        self._storage = storage
        self._by_class: dict[str, list[Volume]] = {}
        for volume in by_size(storage.volumes.values()):
            self._by_class.setdefault(volume.storage_class, []).append(volume)
        self._holders: dict[ClaimKey, str] = {}
        self._users: Counter[ClaimKey] = Counter()
        for pod in sorted(pods, key=lambda pod: (pod.node is None, pod.created_at, pod.uid)):
            for use in pod.claims:
                self._users[pod.namespace, use.name] += 1
                # Nor does one hold it that others keep from being scheduled.
                if not (pod.node and pod.deleting) and not set(pod.gates) - {PLACEMENT_GATE}:
                    self._holders.setdefault((pod.namespace, use.name), pod.uid)
        self._names = {pod.uid: pod.key for pod in pods}
        self._settled = self._settle() if storage.settles else {}
        self._places = share_out(self._wanting(pods))

    def resolve(self, pod: Pod) -> Pod:
        try:
            found = [self._look_up(pod, use) for use in pod.claims]
        except _RefusedError as refused:
            return replace(pod, shape=replace(pod.shape, refused=str(refused)))
        terms = dict.fromkeys(terms for one in found for terms in one.terms)
        volumes = dict.fromkeys(one.attached for one in found if one.attached is not None)
        unbound = tuple(one.together for one in found if one.together is not None)
        shape = replace(pod.shape, volume_terms=tuple(terms))
        return replace(pod, shape=shape, volumes=tuple(volumes), unbound=unbound)

    def _look_up(self, pod: Pod, use: ClaimUse) -> _Found:
        claim = self._claim(pod, use)
        if claim.deleting:
            raise _RefusedError(f"{claim} is being deleted: create it anew, or use another one")
        if claim.lost:
            raise _RefusedError(f"{claim} has lost its PersistentVolume {claim.volume!r}: create it anew")
        if READ_WRITE_ONCE_POD in claim.access_modes and not use.ephemeral and pod.node is None:
            holder = self._holders.get(claim.key)
            if holder not in (None, pod.uid):
                raise _RefusedError(f"{claim} is {READ_WRITE_ONCE_POD} and used by pod {self._names[holder or '']}")
        storage_class = self._class_of(claim)
        volume = self._volume_of(claim)
        if volume is not None:
            return _Found(_reach_of(volume, use), (volume.driver, volume.handle) if volume.driver else None)
        if storage_class is None or not storage_class.delayed:
            named = f"its StorageClass {claim.storage_class!r}" if claim.storage_class else "having no StorageClass, it"
            raise _RefusedError(
                f"{claim} is not bound yet, and {named} does not wait for the pod: bind it first, or use a "
                "StorageClass with volumeBindingMode WaitForFirstConsumer"
            )
        return self._unbound(claim, storage_class)

    def _claim(self, pod: Pod, use: ClaimUse) -> VolumeClaim:
        claim = self._storage.claims.get((pod.namespace, use.name), use.template)
        if claim is None:
            raise _RefusedError(f"PersistentVolumeClaim {pod.namespace}/{use.name} does not exist: create it")
        if use.ephemeral and claim is not use.template and claim.owner != pod.uid:
            raise _RefusedError(
                f"{claim} was not made for the ephemeral volume of this pod: delete it, or rename the pod"
            )
        return claim

    def _class_of(self, claim: VolumeClaim) -> StorageClass | None:
        """None where there is none, which binds at once, if at all."""
        storage = self._storage
        known = storage.classes.get(claim.storage_class or "")
        if known is not None:
            return known
        to_come = storage.settles or claim.key not in storage.claims
        if to_come and claim.storage_class is None and storage.classes:
            return next((one for _, one in sorted(storage.classes.items()) if one.default), None)
        knows_classes = bool(storage.classes) or not storage.settles
        return None if knows_classes or claim.storage_class == "" else _ANY

    def _volume_of(self, claim: VolumeClaim) -> Volume | None:
        """The volume that the claim is bound to, or will be without waiting for the pod."""
        if claim.volume:
            volume = self._storage.volumes.get(claim.volume)
            if volume is None:
                raise _RefusedError(f"{claim} is bound to PersistentVolume {claim.volume!r}, which does not exist")
            return volume
        return self._settled.get(claim.key)

    def _settle(self) -> dict[ClaimKey, Volume]:
        """What claims will be bound to that do not wait for a pod, as soon as these manifests are applied."""
        free = {volume.name for volume in self._storage.volumes.values()}
        settled: dict[ClaimKey, Volume] = {}
        for claim in sorted(self._storage.claims.values(), key=lambda claim: claim.key):
            storage_class = self._class_of(claim)
            if claim.volume or (storage_class is not None and storage_class is not _ANY and storage_class.delayed):
                continue
            fitting = [volume for volume in self._candidates(claim) if volume.name in free]
            # One that is meant for this claim goes before the smallest.
            for volume in sorted(fitting, key=lambda volume: volume.claim is None)[:1]:
                settled[claim.key] = volume
                free.remove(volume.name)
        return settled

    def _candidates(self, claim: VolumeClaim) -> list[Volume]:
        name = claim.storage_class or ""
        return [volume for volume in self._by_class.get(name, ()) if serves(volume, claim, name)]

    def _unbound(self, claim: VolumeClaim, storage_class: StorageClass) -> _Found:
        """A claim that waits for its pod: any place where a volume waits for it, or where one can be made."""
        chosen = () if not claim.selected_node else (_on_node(claim.selected_node),)
        provisions = storage_class.provisioner not in ("", NO_PROVISIONER) or storage_class is _ANY
        if provisions:
            # A volume that is there already may be taken elsewhere too: leaving that out is the safe side.
            driver = driver_of(storage_class)
            reach = (storage_class.topologies,) if storage_class.topologies else ()
            attached = (driver, "/".join(claim.key)) if driver else None
            return _Found((*chosen, *reach), attached, self._together(claim, storage_class))
        places = self._places.get(claim.key, [])
        if not places or chosen:
            raise _RefusedError(
                f"{claim} finds no free PersistentVolume of StorageClass {storage_class.name!r} for it: make one"
            )
        if self._users[claim.key] > 1:
            # Its pods must agree, since the first one binds it.
            places = places[:1]
        terms = () if () in places else (tuple(dict.fromkeys(term for place in places for term in place)),)
        return _Found(terms)

    def _together(self, claim: VolumeClaim, storage_class: StorageClass) -> ClaimKey | None:
        """What is meant for many nodes, by a class that is not known, is taken to be reached from everywhere."""
        for_many = any(mode in ("ReadWriteMany", "ReadOnlyMany") for mode in claim.access_modes)
        alone = self._users[claim.key] < 2 or (storage_class is _ANY and for_many)
        return None if alone else claim.key

    def _wanting(self, pods: Sequence[Pod]) -> Iterator[Wanting]:
        seen: set[ClaimKey] = set()
        for pod in pods:
            for use in pod.claims:
                claim = self._storage.claims.get((pod.namespace, use.name), use.template)
                storage_class = self._class_of(claim) if claim is not None else None
                if claim is None or storage_class is None or claim.volume or claim.key in seen:
                    continue
                if storage_class.delayed and storage_class.provisioner in ("", NO_PROVISIONER):
                    seen.add(claim.key)
                    yield Wanting(claim, self._candidates(claim), pod.shape.node_selector)


def _on_node(name: str) -> Terms:
    return ((Requirement("metadata.name", Operator.IN, (name,)),),)


def _reach_of(volume: Volume, use: ClaimUse) -> tuple[Terms, ...]:
    """Where the volume can be used: by its node affinity, and by the labels that older volumes have instead."""
    affinity = (volume.terms,) if volume.terms else ()
    return affinity if use.ephemeral else (*affinity, *_labelled(volume))


def _labelled(volume: Volume) -> Iterable[Terms]:
    """A node without any such label is taken to be in every zone."""
    unlabelled = tuple(Requirement(key, Operator.DOES_NOT_EXIST) for key in _ZONE_LABELS)
    for key, value in volume.labels:
        if key in _ZONE_LABELS:
            # Several zones stand in one label with two underscores between them.
            values = tuple(sorted(value.split("__")))
            by_newer_name = (
                Requirement(key, Operator.DOES_NOT_EXIST),
                Requirement(_ZONE_LABELS[key], Operator.IN, values),
            )
            yield ((Requirement(key, Operator.IN, values),), by_newer_name, unlabelled)
