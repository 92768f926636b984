"""How many pods of one group go into which domain (zone, capacity type, any topology key), as its rules allow.

An even split satisfies every skew that is allowed, so the search need not know about domains. A domain is one value for
each key that matters to the group.
"""

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spotkube.planner.formulation.groups import Group
from spotkube.planner.formulation.ledger import Ledger, Skew, part_of
from spotkube.planner.formulation.places import NODE_KEYS, Places, Value
from spotkube.planner.formulation.scopes import Key, Scope
from spotkube.planner.problem import BoolArray

Cell = tuple[Value, ...]
# What it would roughly take to hold a group on these rows: pods without room, micro-dollars an hour.
Estimate = Callable[[Group, BoolArray], tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Open:
    """What is open to a group there, and `rank`: the lower, the rather it goes there."""

    rows: BoolArray
    rank: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Split:
    """A group by domains, and how many of its pods none may take, with the reason.

    `whole` says that every domain which is open to the group got some: then the parts allow all that the group does.
    `vague` are scopes of spreads that held back those left over, and for which it was not known who is counted.
    """

    groups: tuple[Group, ...]
    left_over: tuple[str, ...] = ()
    reason: str = ""
    whole: bool = True
    vague: frozenset[Scope] = frozenset()


def cells_of(places: Places, keys: Sequence[Key], rows: BoolArray) -> dict[Cell, BoolArray]:
    """The domains among the rows, each with its own rows."""
    codes = np.column_stack([places.values(key)[1] for key in keys])
    found = {}
    for combination in np.unique(codes[rows], axis=0):
        values = tuple(places.values(key)[0][code] for key, code in zip(keys, combination, strict=True))
        found[values] = rows & (codes == combination).all(axis=1)
    return found


def split_group(
    group: Group,
    keys: Sequence[Key],
    cells: Mapping[Cell, Open],
    ledger: Ledger,
    *,
    together: frozenset[str],
    alone: bool,
) -> Split:
    """Gives each unit of the group a domain, the least used of those that rules allow first, the cheaper on ties.

    Args:
        group: what to split.
        keys: the topology keys that matter, in the order of the values in each cell.
        cells: what is open to it.
        ledger: learns of each pod.
        together: keys over which all pods have to have one value.
        alone: nothing but the group itself is counted by its rules, so that something is sure of its split.
    """
    skews = ledger.skews_on(group)
    own = [skew for skew in skews if skew.is_of(group)]
    fresh = not any(skew.most for skew in own)
    counts = {cell: [skew.counts(open_.rows) for skew in skews] for cell, open_ in cells.items()}
    given = _give(group, keys, _one_place(keys, cells, together), ledger, skews, counts)
    total = sum(given.values())
    sure = _sure(total, len(cells), own) if alone and fresh and len(keys) == 1 else 0
    parts, start = [], 0
    for cell in sorted(given, key=lambda cell: [(value is None, value or "") for value in cell]):
        number = given[cell]
        pods = group.pods[start : start + number * group.bundle]
        where = tuple(zip(keys, cell, strict=True))
        part = replace(group, pods=pods, where=where, sure_count=min(number, sure))
        parts.append(part)
        ledger.place(part, cells[cell].rows)
        start += number * group.bundle
    left = group.pods[start:]
    vague = {skew.scope for i, skew in enumerate(skews) if skew.vague or any(c[i] is None for c in counts.values())}
    why = _why(group, keys, cells, ledger) if left else ""
    return Split(tuple(parts), left, why, len(given) == len(cells), frozenset(vague if left else ()))


def _one_place(keys: Sequence[Key], cells: Mapping[Cell, Open], together: frozenset[str]) -> Mapping[Cell, Open]:
    """Only cells that agree in the keys of `together`: those with the most room, then the cheapest."""
    if not together or not cells:
        return cells
    common: dict[Cell, list[Cell]] = {}
    for cell in cells:
        shared = tuple(value for key, value in zip(keys, cell, strict=True) if key in together)
        common.setdefault(shared, []).append(cell)
    best = min(
        common.values(), key=lambda members: (min(cells[c].rank for c in members), str(sorted(map(str, members))))
    )
    return {cell: cells[cell] for cell in best}


def _give(
    group: Group,
    keys: Sequence[Key],
    cells: Mapping[Cell, Open],
    ledger: Ledger,
    skews: Sequence[Skew],
    counts: Mapping[Cell, Sequence[bool | None]],
) -> dict[Cell, int]:
    alone = _keys_to_itself(group, ledger)
    at = {key: index for index, key in enumerate(keys)}
    order = sorted(cells, key=lambda cell: (cells[cell].rank, [(value is None, value or "") for value in cell]))
    rank = {cell: i for i, cell in enumerate(order)}
    # The spreads that may count the group there, each with the value of its key, and whether they surely do.
    told = {
        cell: [
            (skew, cell[at[skew.key]], counted)
            for skew, counted in zip(skews, counts[cell], strict=True)
            if counted is not False
        ]
        for cell in cells
    }
    most = {cell: _most(group, keys, cell, ledger) for cell in cells}
    given: dict[Cell, int] = {}
    taken: set[tuple[str, Value]] = set()

    def load(cell: Cell) -> tuple[int, int]:
        return max((skew.most[value] for skew, value, _ in told[cell]), default=0), rank[cell]

    def allowed(cell: Cell) -> bool:
        if any((key, cell[at[key]]) in taken for key in alone):
            return False
        return all(
            skew.allows(value, group.bundle) for skew, value, _ in told[cell] if skew.is_of(group) or value in skew.held
        )

    heap = [(load(cell), cell) for cell in cells if most[cell] > 0]
    heap.sort(key=lambda entry: entry[0])
    waiting: list[Cell] = []
    left = ledger.most.get(part_of(group), group.count)
    while left and heap:
        known, cell = heapq.heappop(heap)
        current = load(cell)
        if current != known:
            heapq.heappush(heap, (current, cell))
        elif not allowed(cell):
            waiting.append(cell)
        else:
            left -= 1
            given[cell] = given.get(cell, 0) + 1
            for skew, value, counted in told[cell]:
                skew.add(value, group.bundle, counted=counted)
                if skew.is_of(group):
                    skew.held.add(value)
            taken |= {(key, cell[at[key]]) for key in alone if cell[at[key]] is not None}
            again = [*waiting, cell] if given[cell] < most[cell] else waiting
            for other in again:
                heapq.heappush(heap, (load(other), other))
            waiting = []
    return given


def _keys_to_itself(group: Group, ledger: Ledger) -> list[str]:
    """Keys over which the group's pods keep away from each other."""
    return [
        term.topology_key
        for term in group.shape.anti_affinity
        if term.topology_key not in NODE_KEYS
        and group.subject in ledger.subjects.selected(term.namespaces, term.selector)
    ]


def _most(group: Group, keys: Sequence[Key], cell: Cell, ledger: Ledger) -> int:
    part = replace(group, where=tuple(zip(keys, cell, strict=True)))
    return ledger.most.get(part_of(part), group.count)


def _why(group: Group, keys: Sequence[Key], cells: Mapping[Cell, Open], ledger: Ledger) -> str:
    over = " and ".join(key for key in keys if not isinstance(key, Scope))
    if part_of(group) in ledger.most:
        return f"limits of NodePools leave no room for more of these pods, as its rules over {over} spread them"
    full = {_words(keys, cell) for cell in cells if _most(group, keys, cell, ledger) < group.count}
    if full:
        where = ", ".join(sorted(full))
        return f"nodes and limits of NodePools leave no room in {where}, and then rules over {over} allow no more"
    there = ", ".join(sorted({_words(keys, cell) for cell in cells}))
    return f"its rules over {over} let no more of these pods into {there}"


def _words(keys: Sequence[Key], cell: Cell) -> str:
    values = (value for key, value in zip(keys, cell, strict=True) if not isinstance(key, Scope))
    return "/".join(value if value is not None else "nodes without it" for value in values)


def _sure(pods: int, domains: int, own: Sequence[Skew]) -> int:
    """How many pods any split within the skew puts into each domain at least, when none runs yet."""
    if not own or not domains:
        return 0
    skew = min(skew.rule.max_skew for skew in own)
    return max(0, math.ceil((pods - (domains - 1) * skew) / domains))
