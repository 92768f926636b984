"""Volumes and their claims."""

from typing import Literal

from spotkube.convert.schemas.parts import (
    Amounts,
    Key,
    LabelSelector,
    Metadata,
    Named,
    NodeTerms,
    Part,
    Resources,
    TemplateMetadata,
)


class ClaimSpec(Part):
    storage_class_name: str | None = None
    volume_name: str | None = None
    volume_mode: Literal["Filesystem", "Block"] | None = None
    access_modes: list[str] | None = None
    resources: Resources | None = None
    selector: LabelSelector | None = None
    volume_attributes_class_name: str | None = None


class ClaimTemplate(Part):
    metadata: TemplateMetadata | None = None
    spec: ClaimSpec


class NamedClaimTemplate(Part):
    metadata: Metadata
    spec: ClaimSpec


class ClaimStatus(Part):
    phase: str | None = None


class PersistentVolumeClaim(Named):
    spec: ClaimSpec
    status: ClaimStatus | None = None


class VolumeAffinity(Part):
    required: NodeTerms | None = None


class ClaimOfVolume(Part):
    namespace: str | None = None
    name: str | None = None


class Csi(Part):
    driver: Key
    volume_handle: str | None = None


class VolumeSpec(Part):
    capacity: Amounts | None = None
    storage_class_name: str | None = None
    volume_mode: Literal["Filesystem", "Block"] | None = None
    access_modes: list[str] | None = None
    node_affinity: VolumeAffinity | None = None
    claim_ref: ClaimOfVolume | None = None
    csi: Csi | None = None
    volume_attributes_class_name: str | None = None


class PersistentVolume(Named):
    spec: VolumeSpec
    status: ClaimStatus | None = None


class TopologyExpression(Part):
    key: Key
    values: list[str] | None = None


class Topology(Part):
    match_label_expressions: list[TopologyExpression] | None = None


class StorageClass(Named):
    provisioner: str | None = None
    volume_binding_mode: Literal["Immediate", "WaitForFirstConsumer"] | None = None
    allowed_topologies: list[Topology] | None = None
