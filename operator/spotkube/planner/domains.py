"""How many pods of one group go into which domain (zone, capacity type, any topology key), as its rules allow.

An even split satisfies every skew that is allowed, so the search need not know about domains. A domain is one value for
each key that matters to the group.
"""

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spotkube.planner.groups import Group
from spotkube.planner.ledger import Domain, Ledger, Skew, part_of
from spotkube.planner.places import NODE_KEYS, Places, Value
from spotkube.planner.problem import BoolArray

Cell = tuple[Value, ...]
# What it would roughly take to hold a group on these rows: pods without room, micro-dollars an hour.
Estimate = Callable[[Group, BoolArray], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Split:
    """A group by domains, and how many of its pods none may take, with the reason.

    `whole` says that every domain which is open to the group got some: then the parts allow all that the group does.
    """

    groups: tuple[Group, ...]
    left_over: tuple[str, ...] = ()
    reason: str = ""
    whole: bool = True


def cells_of(places: Places, keys: Sequence[str], rows: BoolArray) -> dict[Cell, BoolArray]:
    """The domains among the rows, each with its own rows."""
    codes = np.column_stack([places.values(key)[1] for key in keys])
    found = {}
    for combination in np.unique(codes[rows], axis=0):
        values = tuple(places.values(key)[0][code] for key, code in zip(keys, combination, strict=True))
        found[values] = rows & (codes == combination).all(axis=1)
    return found


def split_group(
    group: Group,
    keys: Sequence[str],
    cells: Mapping[Cell, tuple[int, int]],
    ledger: Ledger,
    *,
    together: frozenset[str],
    alone: bool,
) -> Split:
    """Gives each unit of the group a domain, the least used of those that rules allow first, the cheaper on ties.

    Args:
        group: what to split.
        keys: the topology keys that matter, in the order of the values in each cell.
        cells: what is open to it, with an estimate of what is missing there and what it costs.
        ledger: learns of each pod.
        together: keys over which all pods have to have one value.
        alone: nothing but the group itself is counted by its rules, so that something is sure of its split.
    """
    skews = ledger.skews_on(group)
    own = [skew for skew in skews if skew.rule in group.shape.spread]
    fresh = not any(skew.most for skew in own)
    given = _give(group, keys, _one_place(keys, cells, together), ledger, skews, own)
    total = sum(given.values())
    sure = _sure(total, len(cells), own) if alone and fresh and len(keys) == 1 else 0
    parts, start = [], 0
    for cell in sorted(given, key=lambda cell: [(value is None, value or "") for value in cell]):
        number = given[cell]
        pods = group.pods[start : start + number * group.bundle]
        where = tuple(zip(keys, cell, strict=True))
        part = replace(group, pods=pods, where=where, sure_count=min(number, sure))
        parts.append(part)
        ledger.place(part)
        start += number * group.bundle
    left = group.pods[start:]
    return Split(tuple(parts), left, _why(group, keys, cells, ledger) if left else "", len(given) == len(cells))


def _one_place(
    keys: Sequence[str], cells: Mapping[Cell, tuple[int, int]], together: frozenset[str]
) -> Mapping[Cell, tuple[int, int]]:
    """Only cells that agree in the keys of `together`: those with the most room, then the cheapest."""
    if not together or not cells:
        return cells
    common: dict[Cell, list[Cell]] = {}
    for cell in cells:
        shared = tuple(value for key, value in zip(keys, cell, strict=True) if key in together)
        common.setdefault(shared, []).append(cell)
    best = min(common.values(), key=lambda members: (min(cells[c] for c in members), str(sorted(map(str, members)))))
    return {cell: cells[cell] for cell in best}


def _give(
    group: Group,
    keys: Sequence[str],
    cells: Mapping[Cell, tuple[int, int]],
    ledger: Ledger,
    skews: Sequence[Skew],
    own: Sequence[Skew],
) -> dict[Cell, int]:
    alone = _keys_to_itself(group, ledger)
    at = {key: index for index, key in enumerate(keys)}
    rank = {
        cell: i for i, cell in enumerate(sorted(cells, key=lambda c: (cells[c], [(v is None, v or "") for v in c])))
    }
    most = {cell: _most(group, keys, cell, ledger) for cell in cells}
    given: dict[Cell, int] = {}
    taken: set[Domain] = set()

    def load(cell: Cell) -> tuple[int, int]:
        return max((skew.most[cell[at[skew.key]]] for skew in skews), default=0), rank[cell]

    def allowed(cell: Cell) -> bool:
        if any((key, cell[at[key]]) in taken for key in alone):
            return False
        return all(
            skew.allows(cell[at[skew.key]], group.bundle)
            for skew in skews
            if skew in own or cell[at[skew.key]] in skew.held
        )

    heap = [(load(cell), cell) for cell in cells if most[cell] > 0]
    heap.sort(key=lambda entry: entry[0])
    waiting: list[Cell] = []
    left = group.count
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
            for skew in skews:
                skew.tell(group, cell[at[skew.key]], group.bundle)
                if skew in own:
                    skew.held.add(cell[at[skew.key]])
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


def _most(group: Group, keys: Sequence[str], cell: Cell, ledger: Ledger) -> int:
    part = replace(group, where=tuple(zip(keys, cell, strict=True)))
    return ledger.most.get(part_of(part), group.count)


def _why(group: Group, keys: Sequence[str], cells: Mapping[Cell, tuple[int, int]], ledger: Ledger) -> str:
    over = " and ".join(keys)
    full = [_words(cell) for cell in cells if _most(group, keys, cell, ledger) < group.count]
    if full:
        where = ", ".join(sorted(full))
        return f"nodes and limits of NodePools leave no room in {where}, and then rules over {over} allow no more"
    return f"its rules over {over} let no more of these pods into {', '.join(sorted(map(_words, cells)))}"


def _words(cell: Cell) -> str:
    return "/".join(value if value is not None else "nodes without it" for value in cell)


def _sure(pods: int, domains: int, own: Sequence[Skew]) -> int:
    """How many pods any split within the skew puts into each domain at least, when none runs yet."""
    if not own or not domains:
        return 0
    skew = min(skew.rule.max_skew for skew in own)
    return max(0, math.ceil((pods - (domains - 1) * skew) / domains))
