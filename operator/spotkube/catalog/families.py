"""The shipped facts: families of AWS instance types, written so that a person can hold them against AWS's own pages.

A family states what its sizes have in common and each size what is its own; where prices and memory grow with the
vCPUs, the family gives the amount for one vCPU and a size only what differs from it. `hack/make_catalog.py` writes the
file by these same rules.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import yaml

from spotkube.catalog.allocatable import max_pods
from spotkube.catalog.specs import InstanceSpec, Price
from spotkube.model.offerings import ON_DEMAND, SPOT

SHIPPED = Path(__file__).parent / "data" / "aws-us-east-1.yaml"

MICRO_USD = 1_000_000
_SMALL_SIZES = {"medium": 1, "large": 2, "xlarge": 4}
_FIVE_DECIMALS = Decimal("0.00001")

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ShippedType:
    """A type with its on-demand price, and the spot price and interruption band where they are known (else None)."""

    spec: InstanceSpec
    on_demand_micro_usd_hour: int
    spot_micro_usd_hour: int | None
    interruption_percent: int | None

    def prices(self, zones: list[str]) -> Iterator[Price]:
        """The same price in each zone: the public sources know only the region's."""
        for zone in zones:
            yield Price(zone, ON_DEMAND, self.on_demand_micro_usd_hour)
            if self.spot_micro_usd_hour is not None and self.interruption_percent is not None:
                yield Price(zone, SPOT, self.spot_micro_usd_hour, self.interruption_percent)


def read_families(path: Path = SHIPPED) -> tuple[str, list[str], list[ShippedType]]:
    """The region, its zones, and all types in the order of the file."""
    facts = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    types = [
        _shipped_type(f"{family}.{size}", common, own)
        for family, common in facts["families"].items()
        for size, own in common["sizes"].items()
    ]
    return facts["region"], facts["zones"], types


def usual_vcpus(size: str) -> int | None:
    """The vCPUs that a size has in nearly all families, such as 4 N in an Nxlarge; None where there is no such rule."""
    if size in _SMALL_SIZES:
        return _SMALL_SIZES[size]
    multiple = size.removesuffix("xlarge")
    return 4 * int(multiple) if multiple != size and multiple.isdigit() else None


def linear_price(usd_per_vcpu: str | float, vcpu: int) -> Decimal:
    """Dollars an hour, rounded as AWS lists them."""
    return (Decimal(str(usd_per_vcpu)) * vcpu).quantize(_FIVE_DECIMALS, ROUND_HALF_UP)


def spot_price(on_demand_micro_usd_hour: int, savings_percent: int) -> int:
    """Micro-dollars an hour, rounded up; the Spot Advisor gives whole percents of the on-demand price."""
    return -(-on_demand_micro_usd_hour * (100 - savings_percent) // 100)


def _shipped_type(name: str, family: Facts, size: Facts) -> ShippedType:
    vcpu = size.get("vcpu") or usual_vcpus(name.partition(".")[2])
    assert vcpu is not None, f"{name}: a size of this name must state its vcpu"
    enis, _, addresses = size["eni"].partition("x")
    memory_gib = size["memory_gib"] if "memory_gib" in size else family["memory_gib_per_vcpu"] * vcpu
    usd_hour = Decimal(str(size["usd_hour"])) if "usd_hour" in size else linear_price(family["usd_hour_per_vcpu"], vcpu)
    on_demand = int(usd_hour * MICRO_USD)
    savings = size.get("spot_savings")
    spec = InstanceSpec(
        name=name,
        arch=family["arch"],
        cpu_milli=vcpu * 1000,
        memory_mib=round(memory_gib * 1024),
        pods=max_pods(int(enis), int(addresses), vcpu),
        gpus=size.get("gpus", 0),
        gpu_name=family.get("gpu", ""),
        neuron_devices=size.get("neuron_devices", 0),
        cpu_manufacturer=family["cpu"],
    )
    return ShippedType(
        spec, on_demand, None if savings is None else spot_price(on_demand, savings), size.get("interruption")
    )
