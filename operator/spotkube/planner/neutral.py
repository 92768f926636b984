"""The neutral problem format: one JSON file of offerings and groups, the same for every solver that is compared."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spotkube.planner.formulation.rates import prior_rate
from spotkube.planner.formulation.risk import NOBODYS_RESTART_SECONDS, SECONDS_AN_HOUR, room_prices
from spotkube.planner.neutral_entries import (
    AMOUNTS,
    Group,
    Offering,
    consistent_offerings,
    distinct_groups,
    further_resources,
    parse_group,
    parse_offering,
    read_all,
)
from spotkube.planner.problem import NO_LIMIT, Problem, Risk, Solution

# What all spot is taken for.
ANY_BAND_PERCENT = 10


@dataclass(frozen=True)
class Names:
    """What the problem's axes were called, what the prices were before rounding, and what was left out.

    Attributes:
        kinds: (instance type, zone, capacity type) of each kind.
        groups: the group of each group; those that are spread are there once for each zone.
        price_usd_hour: of each kind.
        offerings_left_out, groups_left_out: a sentence on each entry that can't be used: field, value and remedy.
    """

    kinds: tuple[tuple[str, str, str], ...]
    groups: tuple[str, ...]
    price_usd_hour: tuple[float, ...]
    offerings_left_out: tuple[str, ...] = ()
    groups_left_out: tuple[str, ...] = ()

    def cost_usd_hour(self, solution: Solution) -> float:
        """Of the nodes to buy, in the prices of the file."""
        return float(np.array(self.price_usd_hour)[solution.node_kind].sum())

    def bound_usd_hour(self, problem: Problem, bound_micro_usd_hour: int) -> float:
        """What the bound proves in the prices of the file, of which rounding may have raised some."""
        ratios = np.array(self.price_usd_hour) * 1e6 / problem.price
        return bound_micro_usd_hour / 1e6 * min(1.0, float(ratios.min(initial=1.0)) + 1e-12)


def read_neutral(path: Path) -> tuple[Problem, Names]:
    """Reads a file. Amounts stay in its units (millicores, MiB); prices become whole micro-dollars, the nearest.

    A group with zone spread becomes one group for each zone, with counts as even as they can be. Entries that can't be
    used are left out, and the names say why. Raises ValueError when the file as a whole is none; OSError when it can't
    be read.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
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
    bad_offerings: list[str] = []
    bad_groups: list[str] = []
    further = further_resources(groups)
    readable = read_all(offerings, partial(parse_offering, further=further), bad_offerings)
    kinds = consistent_offerings(readable, bad_offerings)
    zones = sorted({kind.zone for kind in kinds})
    wanted = distinct_groups(read_all(groups, partial(parse_group, further=further), bad_groups), bad_groups)
    parts = [part for _, group in wanted for part in _parts(group, zones)]
    names = [part.group.name for part in parts]
    families = {name: f for f, name in enumerate(dict.fromkeys(names))}
    labels = {p.group.label: None for p in parts if p.group.anti_affinity}
    member = [[p.group.anti_affinity and p.group.label == label for p in parts] for label in labels]
    resources = (*AMOUNTS, *further, "pods")
    n_groups, n_kinds, n_resources = len(parts), len(kinds), len(resources)
    problem = Problem(
        resources=resources,
        group_names=tuple(f"{p.group.name}@{p.zone}" if p.spread else p.group.name for p in parts),
        demand=np.array([p.group.demand for p in parts], np.int64).reshape(n_groups, n_resources),
        count=np.array([p.count for p in parts], np.int64),
        family=np.array([families[name] for name in names], np.int64),
        sure_count=np.array([p.sure for p in parts], np.int64),
        capacity=np.array([k.capacity for k in kinds], np.int64).reshape(n_kinds, n_resources),
        limit_use=np.zeros((n_kinds, n_resources), np.int64),  # there are no limits
        price=np.array([k.price_micro_usd_hour for k in kinds], np.int64),
        pool=np.zeros(n_kinds, np.int64),
        compatible=np.array([[p.allows(k) for k in kinds] for p in parts], np.bool_).reshape(n_groups, n_kinds),
        bins=np.zeros((0, n_resources), np.int64),
        bin_compatible=np.zeros((n_groups, 0), np.bool_),
        conflict=np.zeros((n_groups, n_groups), np.bool_),
        cap_use=np.array(member, np.int64).reshape(len(labels), n_groups),
        cap_limit=np.ones(len(labels), np.int64),
        bin_cap_left=np.zeros((len(labels), 0), np.int64),
        pool_left=np.full((1, n_resources + 2), NO_LIMIT, np.int64),
    )
    return replace(problem, risk=_risk(problem, kinds)), Names(
        kinds=tuple(kind.key for kind in kinds),
        groups=tuple(names),
        price_usd_hour=tuple(kind.price_usd_hour for kind in kinds),
        offerings_left_out=tuple(bad_offerings),
        groups_left_out=tuple(bad_groups),
    )


def _risk(problem: Problem, kinds: Sequence[Offering]) -> Risk:
    """The format says nothing of interruptions: all spot is taken to be in one band, all pods to be nobody's."""
    spot = np.array([kind.capacity_type == "spot" for kind in kinds], np.bool_)
    pools = {
        pool: d
        for d, pool in enumerate(sorted({(k.instance_type, k.zone) for k in kinds if k.capacity_type == "spot"}))
    }
    numbers = [pools[k.instance_type, k.zone] if k.capacity_type == "spot" else -1 for k in kinds]
    return Risk(
        rate=np.full(len(pools), prior_rate(ANY_BAND_PERCENT)),
        spot_pool=np.array(numbers, np.int64),
        bin_pool=np.zeros(0, np.int64),
        there=np.zeros(len(pools), np.int64),
        there_cost=0.0,
        restart=room_prices(problem, problem.demand, ~spot) * NOBODYS_RESTART_SECONDS / SECONDS_AN_HOUR,
        heads=np.ones(problem.groups, np.int64),
    )


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


def why_unplaced(problem: Problem, solution: Solution) -> Iterator[str]:
    """A sentence on each group with pods that found no place."""
    for g in np.flatnonzero(solution.unplaced):
        yield f"{problem.group_names[g]}: {solution.unplaced[g]} pods are unplaced: {_why(problem, int(g))}"


def _why(problem: Problem, g: int) -> str:
    if not problem.kinds:
        return "there are no offerings that can be used"
    open_to = problem.capacity[problem.compatible[g]]
    if not len(open_to):
        return "no offering has their arch, zone and capacity type"
    demand = problem.demand[g]
    if (demand <= open_to).all(axis=1).any():
        return "no combination was found that holds them"
    for r, name in enumerate(problem.resources):
        if demand[r] > open_to[:, r].max():
            return (
                f"they ask {demand[r]} of {name} each, and no offering open to them has more than {open_to[:, r].max()}"
            )
    return "no single offering open to them has enough of all that they ask"


@dataclass(frozen=True)
class _Part:
    """A group, or what one zone gets of a group that is spread."""

    group: Group
    count: int
    sure: int
    zone: str
    spread: bool

    def allows(self, kind: Offering) -> bool:
        return (
            self.group.arch in ("", kind.arch)
            and self.group.capacity_type in ("", kind.capacity_type)
            and self.zone in ("", kind.zone)
        )


def _parts(group: Group, zones: Sequence[str]) -> list[_Part]:
    if group.count == 0:
        return []
    if group.skew == 0 or not zones:
        return [_Part(group, group.count, group.count, group.zone, spread=False)]
    each, more = divmod(group.count, len(zones))
    sure = max(0, -(-(group.count - (len(zones) - 1) * group.skew) // len(zones)))
    return [_Part(group, each + (i < more), sure, zone, spread=True) for i, zone in enumerate(zones)]
