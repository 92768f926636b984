"""The entries of a neutral problem file: each is read, or left out with the reason why."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

AMOUNTS = ("cpu_milli", "memory_mib", "gpu")
MOST_USD_HOUR = 1e6
LEAST_USD_HOUR = 1e-6
# More would not be a plan that anybody can read: Kubernetes states a limit of 150,000 pods.
MOST_PODS = 1_000_000
# Fields of a group that are no requests.
_KNOWN = {"name", "count", *AMOUNTS, "arch", "capacity_type", "zone", "spread_zone_max_skew", "anti_affinity_host"}
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Offering:
    """One way to buy a node; `capacity` in the order of the problem's resources."""

    instance_type: str
    zone: str
    capacity_type: str
    arch: str
    price_usd_hour: float
    capacity: tuple[int, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.instance_type, self.zone, self.capacity_type)

    @property
    def price_micro_usd_hour(self) -> int:
        return max(1, round(self.price_usd_hour * 1e6))


@dataclass(frozen=True)
class Group:
    """Like pods; `demand` of one pod, in the order of an offering's capacity."""

    name: str
    count: int
    demand: tuple[int, ...]
    arch: str
    capacity_type: str
    zone: str
    skew: int
    anti_affinity: bool
    label: str


def read_all(
    entries: Sequence[Any], parse: Callable[[int, Any], Entry], left_out: list[str]
) -> list[tuple[int, Entry]]:
    """The entries that can be used, with their index; a sentence on each other one is added to `left_out`."""
    good = []
    for i, entry in enumerate(entries):
        try:
            good.append((i, parse(i, entry)))
        except ValueError as error:
            left_out.append(str(error))
    return good


def further_resources(groups: Sequence[Any]) -> tuple[str, ...]:
    """Other fields in which a group asks for an amount, sorted."""
    found = {
        name
        for entry in groups
        if isinstance(entry, dict)
        for name, value in entry.items()
        if name not in _KNOWN and isinstance(value, int | float) and not isinstance(value, bool) and value
    }
    return tuple(sorted(found))


def consistent_offerings(offerings: Sequence[tuple[int, Offering]], left_out: list[str]) -> list[Offering]:
    """Each offering once. Where two of one name contradict each other none can be trusted: all of them go."""
    first: dict[tuple[str, str, str], Offering] = {}
    wrong: set[tuple[str, str, str]] = set()
    for i, offering in offerings:
        other = first.setdefault(offering.key, offering)
        if other != offering and offering.key not in wrong:
            wrong.add(offering.key)
            what = "prices" if other.price_usd_hour != offering.price_usd_hour else "sizes"
            name = " ".join(offering.key)
            left_out.append(f"offerings[{i}]: {name!r} is there before with other {what}; give each offering once")
    return [offering for key, offering in first.items() if key not in wrong]


def distinct_groups(groups: Sequence[tuple[int, Group]], left_out: list[str]) -> list[tuple[int, Group]]:
    """Each name once: the first group keeps it."""
    seen: set[str] = set()
    kept = []
    for i, group in groups:
        if group.name in seen:
            left_out.append(f"groups[{i}].name: {group.name!r} has the same name as one before; give each its own")
        else:
            seen.add(group.name)
            kept.append((i, group))
    return kept


def parse_offering(index: int, entry: Any, further: Sequence[str] = ()) -> Offering:
    """Raises ValueError that names the field, the value and the remedy."""
    where = f"offerings[{index}]"
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: {entry!r} is no object; give instance_type, zone, price_usd_hour, ...")
    price = entry.get("price_usd_hour")
    if isinstance(price, bool) or not isinstance(price, int | float) or not LEAST_USD_HOUR <= price <= MOST_USD_HOUR:
        raise ValueError(
            f"{where}.price_usd_hour: {price!r}; give dollars an hour from {LEAST_USD_HOUR:.6f} to {MOST_USD_HOUR:,.0f}"
        )
    return Offering(
        instance_type=_text(where, entry, "instance_type"),
        zone=_text(where, entry, "zone"),
        capacity_type=_choice(where, entry, "capacity_type", ("spot", "on-demand")),
        arch=_text(where, entry, "arch"),
        price_usd_hour=float(price),
        capacity=tuple(_amount(where, entry, name) for name in (*AMOUNTS, *further, "pods")),
    )


def parse_group(index: int, entry: Any, further: Sequence[str] = ()) -> Group:
    """Raises ValueError that names the field, the value and the remedy."""
    where = f"groups[{index}]"
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: {entry!r} is no object; give name, count, cpu_milli, memory_mib, ...")
    name = _text(where, entry, "name")
    if not name:
        raise ValueError(f"{where}.name: '' is empty; give each group a name")
    demand = [_amount(where, entry, field) for field in (*AMOUNTS, *further)]
    skew = _amount(where, entry, "spread_zone_max_skew")
    zone = _text(where, entry, "zone")
    if zone and skew:
        raise ValueError(f"{where}: zone {zone!r} and spread_zone_max_skew {skew} exclude each other; give one of them")
    alone = entry.get("anti_affinity_host", False)
    if not isinstance(alone, bool):
        raise ValueError(f"{where}.anti_affinity_host: {alone!r}; give true or false")
    return Group(
        name=name,
        count=_amount(where, entry, "count", most=MOST_PODS),
        demand=(*demand, 1),
        arch=_text(where, entry, "arch"),
        capacity_type=_choice(where, entry, "capacity_type", ("", "spot", "on-demand")),
        zone=zone,
        skew=skew,
        anti_affinity=alone,
        label=_text(where, entry, "selector_label") or name,
    )


def _amount(where: str, entry: Mapping[str, Any], name: str, most: int = 2**53) -> int:
    value = entry.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most or value % 1:
        limit = "2**53" if most == 2**53 else f"{most:,}"
        raise ValueError(f"{where}.{name}: {value!r}; give a whole number from 0 to {limit}")
    return int(value)


def _text(where: str, entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"{where}.{name}: {value!r} is no text; give it in quotes")
    return value


def _choice(where: str, entry: Mapping[str, Any], name: str, choices: Sequence[str]) -> str:
    value = _text(where, entry, name)
    if value not in choices:
        raise ValueError(f"{where}.{name}: {value!r}; give one of {', '.join(repr(c) for c in choices)}")
    return value
