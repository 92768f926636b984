"""`spotkube catalog`: search the offerings. A table for people; YAML and JSON as `--catalog FILE` reads them."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console, JustifyMethod
from rich.table import Table

from spotkube.catalog.catalog import Catalog, load_catalog
from spotkube.catalog.specs import InstanceSpec, Price, free_for_pods
from spotkube.catalog.specs import capacity as capacity_of
from spotkube.catalog.userfile import to_file_format
from spotkube.model.resources import CPU, MEMORY

DEFAULT_TABLE_ROWS = 20
GIB = 1024**3
PIPE_WIDTH = 160
# What AWS publishes ends with "over 20 %".
WORST_KNOWN_BAND = 20
MICRO_USD = 1_000_000


class Arch(StrEnum):
    AMD64 = "amd64"
    ARM64 = "arm64"


class CapacityType(StrEnum):
    SPOT = "spot"
    ON_DEMAND = "on-demand"


class SortBy(StrEnum):
    PRICE = "price"
    CPU = "cpu"
    MEMORY = "memory"


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


@dataclass(frozen=True, slots=True)
class Match:
    """A type at one price, in all the zones that have it at that price."""

    spec: InstanceSpec
    prices: tuple[Price, ...]

    @property
    def price(self) -> Price:
        return self.prices[0]


_ORDER: dict[SortBy, Callable[[Match], Any]] = {
    SortBy.PRICE: lambda match: match.price.price_micro_usd_hour,
    SortBy.CPU: attrgetter("spec.cpu_milli"),
    SortBy.MEMORY: attrgetter("spec.memory_mib"),
}


def catalog(
    *,
    arch: Annotated[Arch | None, typer.Option(help="Only this processor architecture.")] = None,
    family: Annotated[list[str] | None, typer.Option(help="Only this family, such as m7g; may be repeated.")] = None,
    min_cpu: Annotated[float, typer.Option(min=0, help="At least this many vCPUs.")] = 0,
    capacity_type: Annotated[CapacityType | None, typer.Option(help="Only spot, or only on-demand.")] = None,
    zone: Annotated[list[str] | None, typer.Option(help="Only this zone; may be repeated.")] = None,
    sort: Annotated[SortBy, typer.Option(help="Lowest first; the price decides between equals.")] = SortBy.PRICE,
    limit: Annotated[
        int | None, typer.Option(min=0, help="At most this many rows, 0 for all. [default: 20 in a table, else all]")
    ] = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="json and yaml can be read back by --catalog.")
    ] = Output.TABLE,
    catalog_file: Annotated[
        Path | None, typer.Option("--catalog", help="A catalog of your own instead of the shipped.")
    ] = None,
) -> None:
    """Search the offerings that nodes are bought from: instance type, zone, spot or on-demand, price and risk."""
    try:
        offered = load_catalog(catalog_file)
        if family:
            offered = offered.only_families(family)
        _require_zones(offered, zone or [])
    except ValueError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    found = search(offered, arch=arch, min_cpu=min_cpu, capacity_type=capacity_type, zones=zone or (), sort=sort)
    rows = limit if limit is not None else DEFAULT_TABLE_ROWS if output is Output.TABLE else 0
    shown = found[:rows] if rows else found
    match output:
        case Output.TABLE:
            print_table(Console(), shown, offered.zones, len(found) - len(shown))
        case Output.JSON:
            typer.echo(json.dumps(_file_format(offered, shown), indent=2))
        case Output.YAML:
            typer.echo(_to_yaml(_file_format(offered, shown)), nl=False)


def search(
    offered: Catalog,
    *,
    arch: str | None = None,
    min_cpu: float = 0,
    capacity_type: str | None = None,
    zones: Iterable[str] = (),
    sort: SortBy = SortBy.PRICE,
) -> list[Match]:
    """The types and prices that meet every condition given, in the order asked for."""
    wanted_zones = set(zones)
    matches = [
        Match(spec, same)
        for spec, prices in offered.types
        if arch in (None, spec.arch) and spec.cpu_milli >= min_cpu * 1000
        for same in _alike(
            price
            for price in prices
            if capacity_type in (None, price.capacity_type) and (not wanted_zones or price.zone in wanted_zones)
        )
    ]
    order = _ORDER[sort]
    return sorted(matches, key=lambda match: (order(match), match.price.price_micro_usd_hour, match.spec.name))


def _alike(prices: Iterable[Price]) -> Iterable[tuple[Price, ...]]:
    """Prices that differ in nothing but the zone, together."""
    kind = attrgetter("capacity_type", "price_micro_usd_hour", "interruption_percent")
    for _, same in groupby(sorted(prices, key=kind), key=kind):
        yield tuple(same)


def print_table(console: Console, matches: list[Match], all_zones: tuple[str, ...], left_out: int) -> None:
    """One row a match. What goes into a pipe is not cut to the width of a screen."""
    if not matches:
        console.print("No offering meets all of these conditions.")
        return
    if not console.is_terminal:
        console.width = max(console.width, PIPE_WIDTH)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    rows = [_cells(match, all_zones) for match in matches]
    # Most searches have no GPUs in them, and a column without a value would only take room.
    shown = [index for index in range(len(_COLUMNS)) if any(row[index] for row in rows)]
    for heading, justify in (_COLUMNS[index] for index in shown):
        table.add_column(heading, justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(*(row[index] for index in shown))
    console.print(table)
    if left_out:
        console.print(f"... and {left_out} more; --limit 0 shows all", highlight=False)


_COLUMNS: tuple[tuple[str, JustifyMethod], ...] = (
    ("TYPE", "left"),
    ("ARCH", "left"),
    ("VCPU", "right"),
    ("GIB", "right"),
    ("FOR\nPODS:\nVCPU", "right"),
    ("GIB", "right"),
    ("PODS", "right"),
    ("GPUS", "left"),
    ("CAPACITY", "left"),
    ("USD/H", "right"),
    ("LOST A\nMONTH", "right"),
    ("ZONES", "left"),
)


def _cells(match: Match, all_zones: tuple[str, ...]) -> tuple[str, ...]:
    spec, price = match.spec, match.price
    free = free_for_pods(spec, capacity_of(spec))
    zones = tuple(sorted(one.zone for one in match.prices))
    return (
        spec.name,
        spec.arch,
        f"{spec.cpu_milli / 1000:g}",
        f"{spec.memory_mib / 1024:g}",
        f"{free[CPU] / 1000:.2f}",
        f"{free[MEMORY] / GIB:.1f}",
        str(spec.pods),
        f"{spec.gpus} {spec.gpu_name}".strip() if spec.gpus else "",
        price.capacity_type,
        f"{price.price_micro_usd_hour / MICRO_USD:.4f}",
        _interruption(price),
        "all" if zones == all_zones else " ".join(zones),
    )


def _interruption(price: Price) -> str:
    if price.capacity_type == CapacityType.ON_DEMAND:
        return ""
    if price.interruption_percent > WORST_KNOWN_BAND:
        return f"> {WORST_KNOWN_BAND} %"
    return f"<={price.interruption_percent} %"


def _file_format(offered: Catalog, matches: list[Match]) -> dict[str, Any]:
    """The matches of a type put together again, in the order in which the types come first."""
    prices: dict[InstanceSpec, list[Price]] = {}
    for match in matches:
        prices.setdefault(match.spec, []).extend(match.prices)
    return to_file_format(offered.region, prices.items())


def _to_yaml(content: dict[str, Any]) -> str:
    """A line an offering."""
    return yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, default_flow_style=None, width=200)


def _require_zones(offered: Catalog, zones: Iterable[str]) -> None:
    for zone in zones:
        if zone not in offered.zones:
            raise ValueError(f"zone: {zone!r} is not in the catalog; it has {', '.join(offered.zones)}")
