"""PersistentVolumeClaims, PersistentVolumes and StorageClasses, as far as they decide where a pod may run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from spotkube.model.resources import ResourceList
from spotkube.model.selectors import LabelSelector, Term

READ_WRITE_ONCE_POD = "ReadWriteOncePod"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
ATTACHABLE = "attachable-volumes-csi-"
"""With a CSI driver's name: the resource of which each volume of the driver takes one of its node."""
UNLIMITED = 2**20
"""Volumes that a node takes whose driver names no limit."""

ClaimKey = tuple[str, str]
"""Namespace and name."""
AttachedVolume = tuple[str, str]
"""CSI driver, and what tells the volume from others of that driver."""


@dataclass(frozen=True, slots=True)
class VolumeClaim:
    """A PersistentVolumeClaim. `storage_class` is None where none is named, so that the default one is meant.

    `selected_node` is the node for which its volume is being made, `owner` the uid of what controls it.
    """

    namespace: str
    name: str
    storage_class: str | None = None
    volume: str = ""
    storage_bytes: int = 0
    access_modes: tuple[str, ...] = ()
    block: bool = False
    selector: LabelSelector | None = None
    attributes_class: str = ""
    selected_node: str = ""
    owner: str = ""
    lost: bool = False
    deleting: bool = False

    @property
    def key(self) -> ClaimKey:
        return self.namespace, self.name

    def __str__(self) -> str:
        return f"PersistentVolumeClaim {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Volume:
    """A PersistentVolume. `terms` are ORed and say which nodes reach it, empty means all; `claim` is whom it is for.

    `driver` is its CSI driver, "" for what no node counts, and `handle` its name there.
    """

    name: str
    storage_class: str = ""
    storage_bytes: int = 0
    access_modes: tuple[str, ...] = ()
    block: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    attributes_class: str = ""
    terms: tuple[Term, ...] = ()
    driver: str = ""
    handle: str = ""
    claim: ClaimKey | None = None
    available: bool = True
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class StorageClass:
    """`delayed` is volumeBindingMode WaitForFirstConsumer; `topologies` are ORed and say where volumes can be made."""

    name: str
    provisioner: str = ""
    delayed: bool = False
    topologies: tuple[Term, ...] = ()
    default: bool = False


@dataclass(frozen=True, slots=True)
class NodeVolume:
    """A PersistentVolume that is attached to a node or being so; `claim` is whom it is for, None where that is not
    known."""

    node: str
    volume: str
    claim: ClaimKey | None = None


@dataclass(frozen=True, slots=True)
class ClaimUse:
    """That a pod uses the claim of this name in its namespace; `template` is what it is made from if it isn't there.

    An `ephemeral` one is made for the pod alone, and must be the pod's own.
    """

    name: str
    template: VolumeClaim | None = None
    ephemeral: bool = False


@dataclass(frozen=True, slots=True)
class Storage:
    """All claims, volumes and classes. What `settles` is not yet carried out: manifests that nobody has applied.

    Then claims still find the volumes that are there for them, and where no class is given at all, any is taken to
    exist and to make volumes wherever the pod is.
    """

    claims: Mapping[ClaimKey, VolumeClaim] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    classes: Mapping[str, StorageClass] = field(default_factory=dict)
    settles: bool = False


def attachments(drivers: Mapping[str, int]) -> ResourceList:
    """Numbers of volumes by driver, as amounts of resources."""
    return ResourceList({f"{ATTACHABLE}{driver}": number for driver, number in drivers.items()})
