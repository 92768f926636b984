"""The neutral problem format: one JSON file of offerings and groups, the same for every solver that is compared."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spotkube.planner.problem import NO_LIMIT, Problem, Solution

RESOURCES = ("cpu_milli", "memory_mib", "gpu", "pods")


@dataclass(frozen=True)
class Names:
    """What the problem's axes were called: (instance type, zone, capacity type) of each kind, group of each group."""

    kinds: tuple[tuple[str, str, str], ...]
    groups: tuple[str, ...]


def read_neutral(path: Path) -> tuple[Problem, Names]:
    """Reads a file. Amounts stay in its units (millicores, MiB); prices become whole micro-dollars, the nearest.

    A group with zone spread becomes one group for each zone, with counts as even as they can be. Raises ValueError that
    names the field, the value and the remedy; OSError when the file can't be read.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON ({error}); give a neutral problem file") from error
    if (
        not isinstance(data, dict)
        or not isinstance(data.get("offerings"), list)
        or not isinstance(data.get("groups"), list)
    ):
        raise ValueError(f'{path}: give one object with the lists "offerings" and "groups"')
    return to_problem(data["offerings"], data["groups"])


def to_problem(offerings: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]]) -> tuple[Problem, Names]:
    """The problem of an empty cluster; see read_neutral."""
    kinds = [_Offering.parse(i, entry) for i, entry in enumerate(offerings)]
    zones = sorted({kind.zone for kind in kinds})
    parts = [part for i, entry in enumerate(groups) for part in _parts(i, _Group.parse(i, entry), zones)]
    names = [part.group.name for part in parts]
    families = {name: f for f, name in enumerate(dict.fromkeys(names))}
    if len(families) != len(groups) - sum(1 for entry in groups if entry.get("count") == 0):
        raise ValueError("groups: two have the same name; give each its own")
    labels = {p.group.label: None for p in parts if p.group.anti_affinity}
    member = [[p.group.anti_affinity and p.group.label == label for p in parts] for label in labels]
    n_groups, n_kinds = len(parts), len(kinds)
    problem = Problem(
        resources=RESOURCES,
        group_names=tuple(f"{p.group.name}@{p.zone}" if p.spread else p.group.name for p in parts),
        demand=np.array([p.group.demand for p in parts], np.int64).reshape(n_groups, 4),
        count=np.array([p.count for p in parts], np.int64),
        family=np.array([families[name] for name in names], np.int64),
        sure_count=np.array([p.sure for p in parts], np.int64),
        capacity=np.array([k.capacity for k in kinds], np.int64).reshape(n_kinds, 4),
        limit_use=np.array([k.capacity for k in kinds], np.int64).reshape(n_kinds, 4),
        price=np.array([k.price for k in kinds], np.int64),
        interruption_percent=np.array([10 if k.capacity_type == "spot" else 0 for k in kinds], np.int64),
        pool=np.zeros(n_kinds, np.int64),
        compatible=np.array([[p.allows(k) for k in kinds] for p in parts], np.bool_).reshape(n_groups, n_kinds),
        bins=np.zeros((0, 4), np.int64),
        bin_compatible=np.zeros((n_groups, 0), np.bool_),
        conflict=np.zeros((n_groups, n_groups), np.bool_),
        cap_member=np.array(member, np.bool_).reshape(len(labels), n_groups),
        cap_limit=np.ones(len(labels), np.int64),
        bin_cap_left=np.zeros((len(labels), 0), np.int64),
        pool_left=np.full((1, 6), NO_LIMIT, np.int64),
    )
    return problem, Names(tuple((k.instance_type, k.zone, k.capacity_type) for k in kinds), tuple(names))


def plan_document(solution: Solution, names: Names) -> dict[str, Any]:
    """The plan as the independent checker reads it."""
    nodes = []
    for kind, pods in zip(solution.node_kind, solution.node_pods, strict=True):
        instance_type, zone, capacity_type = names.kinds[int(kind)]
        held: dict[str, int] = {}
        for g in np.flatnonzero(pods):
            held[names.groups[g]] = held.get(names.groups[g], 0) + int(pods[g])
        nodes.append({"instance_type": instance_type, "zone": zone, "capacity_type": capacity_type, "pods": held})
    return {"nodes": nodes}


@dataclass(frozen=True)
class _Offering:
    instance_type: str
    zone: str
    capacity_type: str
    arch: str
    price: int
    capacity: tuple[int, int, int, int]

    @classmethod
    def parse(cls, index: int, entry: Mapping[str, Any]) -> "_Offering":
        where = f"offerings[{index}]"
        if not isinstance(entry, dict):
            raise ValueError(f"{where}: {entry!r} is no object; give instance_type, zone, price_usd_hour, ...")
        price = entry.get("price_usd_hour")
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 < price < 1e9:
            raise ValueError(
                f"{where}.price_usd_hour: {price!r}; give dollars an hour above zero, or leave the offering out"
            )
        amounts = [_amount(where, entry, name) for name in ("cpu_milli", "memory_mib", "gpu", "pods")]
        return cls(
            instance_type=_text(where, entry, "instance_type"),
            zone=_text(where, entry, "zone"),
            capacity_type=_choice(where, entry, "capacity_type", ("spot", "on-demand")),
            arch=_text(where, entry, "arch"),
            price=max(1, round(price * 1e6)),
            capacity=(amounts[0], amounts[1], amounts[2], amounts[3]),
        )


@dataclass(frozen=True)
class _Group:
    name: str
    count: int
    demand: tuple[int, int, int, int]
    arch: str
    capacity_type: str
    zone: str
    skew: int
    anti_affinity: bool
    label: str

    @classmethod
    def parse(cls, index: int, entry: Mapping[str, Any]) -> "_Group":
        where = f"groups[{index}]"
        if not isinstance(entry, dict):
            raise ValueError(f"{where}: {entry!r} is no object; give name, count, cpu_milli, memory_mib, ...")
        name = _text(where, entry, "name")
        if not name:
            raise ValueError(f"{where}.name: '' is empty; give each group a name")
        demand = [_amount(where, entry, field) for field in ("cpu_milli", "memory_mib", "gpu")]
        return cls(
            name=name,
            count=_amount(where, entry, "count"),
            demand=(demand[0], demand[1], demand[2], 1),
            arch=_text(where, entry, "arch"),
            capacity_type=_choice(where, entry, "capacity_type", ("", "spot", "on-demand")),
            zone=_text(where, entry, "zone"),
            skew=_amount(where, entry, "spread_zone_max_skew"),
            anti_affinity=bool(entry.get("anti_affinity_host", False)),
            label=_text(where, entry, "selector_label") or name,
        )


@dataclass(frozen=True)
class _Part:
    """A group, or what one zone gets of a group that is spread."""

    group: _Group
    count: int
    sure: int
    zone: str
    spread: bool

    def allows(self, kind: _Offering) -> bool:
        return (
            self.group.arch in ("", kind.arch)
            and self.group.capacity_type in ("", kind.capacity_type)
            and self.zone in ("", kind.zone)
        )


def _parts(index: int, group: _Group, zones: Sequence[str]) -> list[_Part]:
    if group.count == 0:
        return []
    if group.skew == 0 or not zones:
        return [_Part(group, group.count, group.count, group.zone, spread=False)]
    if group.zone and len(zones) > 1:
        raise ValueError(
            f"groups[{index}]: zone {group.zone!r} and spread_zone_max_skew {group.skew} exclude each other; drop one"
        )
    each, more = divmod(group.count, len(zones))
    sure = max(0, -(-(group.count - (len(zones) - 1) * group.skew) // len(zones)))
    return [_Part(group, each + (i < more), sure, zone, spread=True) for i, zone in enumerate(zones)]


def _amount(where: str, entry: Mapping[str, Any], name: str) -> int:
    value = entry.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2**53 or value % 1:
        raise ValueError(f"{where}.{name}: {value!r}; give a whole number from 0 to 2**53")
    return int(value)


def _text(where: str, entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"{where}.{name}: {value!r} is no text; write it in quotes")
    return value


def _choice(where: str, entry: Mapping[str, Any], name: str, choices: Sequence[str]) -> str:
    value = _text(where, entry, name)
    if value not in choices:
        raise ValueError(f"{where}.{name}: {value!r}; give one of {', '.join(repr(c) for c in choices)}")
    return value
