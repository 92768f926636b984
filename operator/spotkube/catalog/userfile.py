"""A catalog of the user's own, read from and written to YAML or JSON. The format is in docs/reference/catalog.md.

Every mistake in a file is told at once, each with the entry, the field, the value and what to do about it.
"""

import json
import math
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from spotkube.catalog.allocatable import MIB
from spotkube.catalog.mistakes import mistakes
from spotkube.catalog.specs import InstanceSpec, Price, capacity, free_for_pods
from spotkube.model.offerings import ON_DEMAND, SPOT
from spotkube.model.resources import CPU, EPHEMERAL_STORAGE, MEMORY, PODS, ResourceList, parse_amount
from spotkube.model.volumes import ATTACHABLE

MICRO_USD = 1_000_000
MAX_USD_HOUR = 100_000
NATIVE_RESOURCES = (CPU, MEMORY, PODS, EPHEMERAL_STORAGE)
# The worst band: where a file doesn't say how often spot is taken back, no limit on interruptions lets it in unseen.
UNKNOWN_INTERRUPTION_PERCENT = 100

T = TypeVar("T")

PricedTypes = tuple[tuple[InstanceSpec, tuple[Price, ...]], ...]


class CatalogFileError(ValueError):
    """A catalog file that can't be used; the message has a line for each mistake."""


def _micro_usd(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a number; write dollars an hour, such as 0.0416")
    if not math.isfinite(value) or value <= 0:
        raise ValueError(
            "is not a price; give dollars an hour above zero, or remove the offering if it can't be bought"
        )
    if value > MAX_USD_HOUR:
        raise ValueError(f"is above {MAX_USD_HOUR} dollars an hour; give dollars, not cents or micro-dollars")
    if (micro_usd := round(value * MICRO_USD)) == 0:
        raise ValueError("is less than a millionth of a dollar an hour; give dollars an hour, such as 0.0416")
    return micro_usd


def _positive_amount(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("is no quantity; write it as in 500m, 2, 1.5Gi")
    amount = parse_amount(name, value)
    if amount == 0:
        raise ValueError("is zero; give what the type has")
    if name == MEMORY and amount < MIB:
        raise ValueError(f"is less than 1 MiB; add the unit, as in {value}Gi")
    return amount


def _amounts(value: Any) -> ResourceList:
    if not isinstance(value, dict):
        raise ValueError("is no map of resources; write it as in {cpu: 1930m, memory: 6Gi}")
    for name in value:
        if (
            "/" not in str(name)
            and name not in NATIVE_RESOURCES
            and not str(name).startswith(("hugepages-", ATTACHABLE))
        ):
            raise ValueError(
                f"{name} is no resource; use {', '.join(NATIVE_RESOURCES)} or a name such as example.com/fpga"
            )
    return ResourceList.from_quantities(value)


def _some(entries: tuple[T, ...]) -> tuple[T, ...]:
    if not entries:
        raise ValueError("is empty; give at least one entry")
    return entries


LabelValue = Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")]
Count = Annotated[int, Field(strict=True, ge=0, le=100_000)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, arbitrary_types_allowed=True)


class FileOffering(_Entry):
    """A price of a type: where, and whether as spot or on demand."""

    zone: LabelValue
    capacity_type: Literal["spot", "on-demand"]
    price_micro_usd_hour: Annotated[int, BeforeValidator(_micro_usd), Field(alias="priceUSDPerHour")]
    interruption_percent: Annotated[int, Field(strict=True, ge=0, le=100)] | None = None

    @model_validator(mode="after")
    def _on_demand_stays(self) -> Self:
        if self.capacity_type == ON_DEMAND and self.interruption_percent:
            raise ValueError("interruptionPercent is for spot; remove it, or make capacityType spot")
        return self

    def price(self) -> Price:
        unknown = UNKNOWN_INTERRUPTION_PERCENT if self.capacity_type == SPOT else 0
        percent = unknown if self.interruption_percent is None else self.interruption_percent
        return Price(self.zone, self.capacity_type, self.price_micro_usd_hour, percent)


class FileType(_Entry):
    """An instance type as advertised. `allocatable` replaces what the formulas say for the resources that it names."""

    instance_type: LabelValue
    arch: Literal["amd64", "arm64"]
    cpu_milli: Annotated[int, BeforeValidator(partial(_positive_amount, CPU)), Field(alias="cpu")]
    memory_bytes: Annotated[int, BeforeValidator(partial(_positive_amount, MEMORY)), Field(alias="memory")]
    pods: Annotated[int, Field(strict=True, ge=1, le=1000)]
    gpus: Count = 0
    gpu_name: LabelValue | None = None
    neuron_devices: Count = 0
    cpu_manufacturer: LabelValue | None = None
    allocatable: Annotated[ResourceList, BeforeValidator(_amounts)] = ResourceList()
    offerings: Annotated[tuple[FileOffering, ...], AfterValidator(_some)]

    @model_validator(mode="after")
    def _holds_pods(self) -> Self:
        if self.allocatable[CPU] > self.cpu_milli or self.allocatable[MEMORY] > self.memory_bytes:
            raise ValueError("allocatable is more than cpu or memory; lower it, or raise what the type has")
        spec = self.spec()
        free = free_for_pods(spec, capacity(spec))
        for name in (CPU, MEMORY):
            if free[name] == 0:
                raise ValueError(f"no {name} is left for pods after the kubelet's reservations; give more {name}")
        return self

    @model_validator(mode="after")
    def _one_price_each(self) -> Self:
        _refuse_twice("offering", (f"{one.capacity_type} in {one.zone}" for one in self.offerings))
        return self

    def spec(self) -> InstanceSpec:
        return InstanceSpec(
            name=self.instance_type,
            arch=self.arch,
            cpu_milli=self.cpu_milli,
            memory_mib=self.memory_bytes // MIB,
            pods=self.pods,
            gpus=self.gpus,
            gpu_name=self.gpu_name or "",
            neuron_devices=self.neuron_devices,
            cpu_manufacturer=self.cpu_manufacturer or "",
            own_allocatable=self.allocatable,
        )


class FileCatalog(_Entry):
    region: LabelValue
    types: Annotated[tuple[FileType, ...], AfterValidator(_some)]

    @model_validator(mode="after")
    def _one_entry_each(self) -> Self:
        _refuse_twice("instanceType", (one.instance_type for one in self.types))
        return self


def _field_names(model: type[_Entry]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


# By the length of a path in the file: region, types[0].arch, types[0].offerings[0].zone.
_FIELDS = {1: _field_names(FileCatalog), 3: _field_names(FileType), 5: _field_names(FileOffering)}


def read_user_file(path: Path) -> tuple[str, PricedTypes]:
    """The region and the types with their prices. Raises CatalogFileError."""
    raw = _parse(path)
    try:
        catalog = FileCatalog.model_validate(raw)
    except ValidationError as error:
        raise CatalogFileError(
            "\n".join(f"{path}: {line}" for line in mistakes(error.errors(include_url=False), raw, _FIELDS))
        ) from error
    return catalog.region, tuple((one.spec(), tuple(price.price() for price in one.offerings)) for one in catalog.types)


def to_file_format(region: str, types: Iterable[tuple[InstanceSpec, Iterable[Price]]]) -> dict[str, Any]:
    """What `read_user_file` reads back to the same types and prices, as plain values for a YAML or JSON writer."""
    return {"region": region, "types": [_type_entry(spec, prices) for spec, prices in types]}


def _type_entry(spec: InstanceSpec, prices: Iterable[Price]) -> dict[str, Any]:
    entry = {
        "instanceType": spec.name,
        "arch": spec.arch,
        "cpu": spec.cpu_milli / 1000 if spec.cpu_milli % 1000 else spec.cpu_milli // 1000,
        "memory": f"{spec.memory_mib}Mi",
        "pods": spec.pods,
        "gpus": spec.gpus,
        "gpuName": spec.gpu_name,
        "neuronDevices": spec.neuron_devices,
        "cpuManufacturer": spec.cpu_manufacturer,
        "allocatable": spec.own_allocatable.to_quantities(),
        "offerings": [_offering_entry(price) for price in prices],
    }
    return {key: value for key, value in entry.items() if value}


def _offering_entry(price: Price) -> dict[str, Any]:
    entry = {
        "zone": price.zone,
        "capacityType": price.capacity_type,
        "priceUSDPerHour": price.price_micro_usd_hour / MICRO_USD,
    }
    return entry | ({"interruptionPercent": price.interruption_percent} if price.capacity_type == SPOT else {})


def _parse(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        # YAML refuses the tabs that JSON allows.
        return json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader=yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogFileError(f"{path}: cannot be read ({error}); check the path of --catalog") from error
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        raise CatalogFileError(f"{path}: is neither YAML nor JSON: {' '.join(str(error).split())}") from error


def _refuse_twice(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} {name} is given twice; remove one of the two")
        seen.add(name)
