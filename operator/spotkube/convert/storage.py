"""PersistentVolumeClaims, PersistentVolumes, StorageClasses and CSINodes from their JSON form."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from spotkube.convert.selectors import NOWHERE, to_affinity_terms, to_label_selector
from spotkube.model.resources import parse_request
from spotkube.model.selectors import Operator, Requirement, Term
from spotkube.model.volumes import ClaimUse, NodeVolume, StorageClass, Volume, VolumeClaim

Json = Mapping[str, Any]

_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_DEFAULT_CLASS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
# Kinds of volumes that Kubernetes hands to a CSI driver, under the name of the kind and of the old provisioner.
_MIGRATED: Final = {
    "awsElasticBlockStore": "ebs.csi.aws.com",
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
    "gcePersistentDisk": "pd.csi.storage.gke.io",
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "azureDisk": "disk.csi.azure.com",
    "kubernetes.io/azure-disk": "disk.csi.azure.com",
    "azureFile": "file.csi.azure.com",
    "kubernetes.io/azure-file": "file.csi.azure.com",
    "cinder": "cinder.csi.openstack.org",
    "kubernetes.io/cinder": "cinder.csi.openstack.org",
    "vsphereVolume": "csi.vsphere.vmware.com",
    "kubernetes.io/vsphere-volume": "csi.vsphere.vmware.com",
}


def to_volume_claim(raw: Json) -> VolumeClaim:
    metadata, status = raw["metadata"], raw.get("status") or {}
    annotations = metadata.get("annotations") or {}
    owners = [owner["uid"] for owner in metadata.get("ownerReferences") or () if owner.get("controller")]
    return VolumeClaim(
        metadata.get("namespace") or "default",
        metadata["name"],
        volume=(raw.get("spec") or {}).get("volumeName") or "",
        selected_node=annotations.get(_SELECTED_NODE) or "",
        owner=str(next(iter(owners), "")),
        lost=status.get("phase") == "Lost",
        deleting=bool(metadata.get("deletionTimestamp")),
        **_asked(raw),
    )


def to_template(namespace: str, name: str, raw: Json) -> VolumeClaim:
    """The claim of this name that is made from a template."""
    return VolumeClaim(namespace, name, **_asked(raw))


def to_volume(raw: Json) -> Volume:
    metadata, spec = raw["metadata"], raw["spec"]
    labels = metadata.get("labels") or {}
    claim, csi = spec.get("claimRef"), spec.get("csi") or {}
    migrated = next((kind for kind in _MIGRATED if spec.get(kind)), "")
    driver = str(csi.get("driver") or _MIGRATED.get(migrated, ""))
    annotated = (metadata.get("annotations") or {}).get(_CLASS_ANNOTATION)
    return Volume(
        name=metadata["name"],
        storage_class=annotated or spec.get("storageClassName") or "",
        storage_bytes=_bytes(spec.get("capacity")),
        access_modes=tuple(spec.get("accessModes") or ()),
        block=spec.get("volumeMode") == "Block",
        labels=tuple(sorted(labels.items())),
        attributes_class=spec.get("volumeAttributesClassName") or "",
        terms=_terms(spec.get("nodeAffinity")),
        driver=driver,
        handle=str(csi.get("volumeHandle") or metadata["name"]) if driver else "",
        claim=(claim.get("namespace") or "", claim.get("name") or "") if claim else None,
        available=((raw.get("status") or {}).get("phase") or "Available") == "Available",
        deleting=bool(metadata.get("deletionTimestamp")),
    )


def to_attachment(raw: Json) -> NodeVolume | None:
    """A VolumeAttachment; None for a volume that is written in a pod itself, as no claim tells whose it is."""
    spec = raw["spec"]
    volume = (spec.get("source") or {}).get("persistentVolumeName")
    return NodeVolume(spec["nodeName"], volume) if volume else None


def attached_to_nodes(
    attachments: Iterable[NodeVolume], volumes: Iterable[Volume]
) -> dict[str, tuple[NodeVolume, ...]]:
    """By node, with the claims that the volumes are for."""
    attachments = list(attachments)
    if not attachments:
        return {}
    claims = {volume.name: volume.claim for volume in volumes}
    found: dict[str, list[NodeVolume]] = {}
    for one in attachments:
        found.setdefault(one.node, []).append(replace(one, claim=claims.get(one.volume)))
    return {node: tuple(theirs) for node, theirs in found.items()}


def to_storage_class(raw: Json) -> StorageClass:
    annotations = raw["metadata"].get("annotations") or {}
    return StorageClass(
        raw["metadata"]["name"],
        provisioner=raw.get("provisioner") or "",
        delayed=raw.get("volumeBindingMode") == "WaitForFirstConsumer",
        topologies=_topologies(raw.get("allowedTopologies") or ()),
        default=any(annotations.get(key) == "true" for key in _DEFAULT_CLASS),
    )


def to_volume_limits(raw: Json) -> tuple[str, tuple[tuple[str, int], ...]]:
    """The Node's name, and how many volumes of each CSI driver that names a limit it takes."""
    drivers = (raw.get("spec") or {}).get("drivers") or ()
    counts = {driver["name"]: (driver.get("allocatable") or {}).get("count") for driver in drivers}
    return raw["metadata"]["name"], tuple(sorted((name, int(n)) for name, n in counts.items() if n is not None))


def driver_of(storage_class: StorageClass) -> str:
    """The CSI driver that makes the volumes of the class."""
    return _MIGRATED.get(storage_class.provisioner, storage_class.provisioner)


def to_claim_uses(namespace: str, pod: str, spec: Json, templates: Iterable[Json] = ()) -> tuple[ClaimUse, ...]:
    """The claims that the pod of this name uses. `templates` are the volumeClaimTemplates of its StatefulSet."""
    own = {template["metadata"]["name"]: template for template in templates}
    uses = [_use(namespace, f"{name}-{pod}", template) for name, template in own.items()]
    for volume in spec.get("volumes") or ():
        if volume["name"] in own:
            continue
        if volume.get("persistentVolumeClaim"):
            uses.append(ClaimUse(volume["persistentVolumeClaim"]["claimName"]))
        elif volume.get("ephemeral"):
            template = volume["ephemeral"].get("volumeClaimTemplate") or {}
            uses.append(_use(namespace, f"{pod}-{volume['name']}", template, ephemeral=True))
    # One claim may stand behind several volumes of the pod.
    return tuple({use.name: use for use in uses}.values())


def _use(namespace: str, name: str, template: Json, *, ephemeral: bool = False) -> ClaimUse:
    return ClaimUse(name, to_template(namespace, name, template), ephemeral)


def _asked(raw: Json) -> dict[str, Any]:
    """What a claim, or the template of one, asks for."""
    spec = raw.get("spec") or {}
    annotated = ((raw.get("metadata") or {}).get("annotations") or {}).get(_CLASS_ANNOTATION)
    return {
        "storage_class": annotated if annotated is not None else spec.get("storageClassName"),
        "storage_bytes": _bytes((spec.get("resources") or {}).get("requests")),
        "access_modes": tuple(spec.get("accessModes") or ()),
        "block": spec.get("volumeMode") == "Block",
        "selector": to_label_selector(spec.get("selector")),
        "attributes_class": spec.get("volumeAttributesClassName") or "",
    }


def _bytes(amounts: Json | None) -> int:
    quantity = (amounts or {}).get("storage")
    return 0 if quantity is None else parse_request("storage", quantity)


def _terms(affinity: Json | None) -> tuple[Term, ...]:
    required = (affinity or {}).get("required")
    return to_affinity_terms({"requiredDuringSchedulingIgnoredDuringExecution": required}) if required else ()


def _topologies(terms: Iterable[Json]) -> tuple[Term, ...]:
    """A term without expressions matches nothing, as one in node affinity."""
    given = [term.get("matchLabelExpressions") or () for term in terms]
    read = [
        tuple(Requirement(one["key"], Operator.IN, tuple(one.get("values") or ())) for one in expressions)
        for expressions in given
        if expressions
    ]
    return (NOWHERE,) if given and not read else tuple(read)
