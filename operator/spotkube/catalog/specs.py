"""An instance type as the cloud advertises it, and the offerings that it makes together with its prices."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from spotkube.catalog.allocatable import ROOT_VOLUME_BYTES, allocatable, memory_capacity
from spotkube.model.offerings import Offering
from spotkube.model.resources import CPU, EPHEMERAL_STORAGE, MEMORY, PODS, ResourceList

NVIDIA_GPU = "nvidia.com/gpu"
NEURON_DEVICE = "aws.amazon.com/neuron"

AMD64 = "amd64"
ARM64 = "arm64"

# m5.large, c7i-flex.xlarge, u-6tb1.56xlarge, p6-b200.48xlarge: category letters, then the generation.
_AWS_FAMILY = re.compile(r"^(?P<category>[a-z]+)(?:-\d+tb)?(?P<generation>\d+)")


_NOTHING = ResourceList()


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """`memory_mib` is as advertised; `gpu_name` and `cpu_manufacturer` are empty where there is none or none is known.

    `own_allocatable` replaces what the EKS formulas say for the resources that it names.
    """

    name: str
    arch: str
    cpu_milli: int
    memory_mib: int
    pods: int
    gpus: int = 0
    gpu_name: str = ""
    neuron_devices: int = 0
    cpu_manufacturer: str = ""
    own_allocatable: ResourceList = _NOTHING

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]

    @property
    def size(self) -> str:
        return self.name.partition(".")[2]


@dataclass(frozen=True, slots=True)
class Price:
    """What one node of a type costs in one zone; `interruption_percent` as in Offering."""

    zone: str
    capacity_type: str
    price_micro_usd_hour: int
    interruption_percent: int = 0


def capacity(spec: InstanceSpec) -> ResourceList:
    """What a node of this type reports: cpu in millicores, memory and ephemeral storage in bytes."""
    by_formula = ResourceList(
        {
            CPU: spec.cpu_milli,
            MEMORY: memory_capacity(spec.memory_mib, spec.arch),
            PODS: spec.pods,
            EPHEMERAL_STORAGE: ROOT_VOLUME_BYTES,
            NVIDIA_GPU: spec.gpus,
            NEURON_DEVICE: spec.neuron_devices,
        }
    )
    return by_formula.maximum(spec.own_allocatable)


def free_for_pods(spec: InstanceSpec, whole: ResourceList) -> ResourceList:
    """What pods and daemonsets may ask for on a node of this type and capacity."""
    return ResourceList({**allocatable(whole), **spec.own_allocatable})


def offerings_of(spec: InstanceSpec, region: str, prices: Iterable[Price]) -> Iterator[Offering]:
    """One offering a price. They share their amounts, since a catalog has thousands of them."""
    whole = capacity(spec)
    free = free_for_pods(spec, whole)
    of_the_type = _type_labels(spec)
    for price in prices:
        labels = of_the_type | {
            "topology.kubernetes.io/region": region,
            "topology.kubernetes.io/zone": price.zone,
            "spotkube.io/capacity-type": price.capacity_type,
        }
        yield Offering(
            instance_type=spec.name,
            zone=price.zone,
            capacity_type=price.capacity_type,
            price_micro_usd_hour=price.price_micro_usd_hour,
            arch=spec.arch,
            capacity=whole,
            allocatable=free,
            labels=tuple(sorted(labels.items())),
            interruption_percent=price.interruption_percent,
        )


def _type_labels(spec: InstanceSpec) -> dict[str, str]:
    """A label whose value isn't known is left out, so that `Exists` says what it seems to say."""
    parts = _AWS_FAMILY.match(spec.family)
    labels = {
        "kubernetes.io/arch": spec.arch,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": spec.name,
        "spotkube.io/instance-family": spec.family,
        "spotkube.io/instance-category": parts["category"] if parts else "",
        "spotkube.io/instance-generation": parts["generation"] if parts else "",
        "spotkube.io/instance-size": spec.size,
        "spotkube.io/instance-cpu": str(spec.cpu_milli // 1000),
        "spotkube.io/instance-memory": str(spec.memory_mib),
        "spotkube.io/instance-cpu-manufacturer": spec.cpu_manufacturer,
        "spotkube.io/instance-gpu-count": str(spec.gpus) if spec.gpus else "",
        "spotkube.io/instance-gpu-name": spec.gpu_name if spec.gpus else "",
    }
    return {key: value for key, value in labels.items() if value}
