"""Rules between pods on one node: anti-affinity, spread over nodes, affinity and host ports, as conflicts and caps."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from spotkube.model.pods import HostPort, PodTerm, SpreadConstraint
from spotkube.planner.formulation.groups import Group
from spotkube.planner.formulation.ledger import Ledger, counts_itself
from spotkube.planner.formulation.places import NODE_KEYS
from spotkube.planner.formulation.scopes import scope_of
from spotkube.planner.formulation.subjects import Subject
from spotkube.planner.problem import NO_LIMIT, BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class Neighbours:
    """`conflict`, `cap_use`, `cap_limit`, `bin_cap_left` as in Problem; `bin_allowed` [G, B].

    `narrowed` says that a rule was met by a stricter one, so that a bound of these is none of the rule.
    """

    conflict: BoolArray
    cap_use: IntArray
    cap_limit: IntArray
    bin_cap_left: IntArray
    bin_allowed: BoolArray
    narrowed: bool


@dataclass(eq=False)
class _Cap:
    """At most `limit` pods of the members on a node, of the `counted` that stand there already as many less."""

    limit: int
    members: tuple[int, ...]
    counted: frozenset[Subject] = field(default=frozenset())


def make_neighbours(groups: Sequence[Group], ledger: Ledger) -> Neighbours:
    return _Maker(groups, ledger).make()


class _Maker:
    def __init__(self, groups: Sequence[Group], ledger: Ledger) -> None:
        self._groups, self._ledger, self._places = groups, ledger, ledger.places
        self._of: dict[Subject, list[int]] = defaultdict(list)
        for g, group in enumerate(groups):
            self._of[group.subject].append(g)
        self._conflict = np.zeros((len(groups), len(groups)), dtype=np.bool_)
        self._allowed = np.ones((len(groups), self._places.bins), dtype=np.bool_)
        self._caps: dict[tuple[tuple[int, ...], frozenset[Subject]], _Cap] = {}
        self._narrowed = False

    def make(self) -> Neighbours:
        for g, group in enumerate(self._groups):
            for term in group.shape.anti_affinity:
                if term.topology_key in NODE_KEYS:
                    self._repel(g, term)
            for rule in self._ledger.node_spreads(group):
                self._spread(g, rule)
        self._residents_repel()
        self._ports()
        caps = list(self._caps.values())
        use = np.zeros((len(caps), len(self._groups)), dtype=np.int64)
        left = np.full((len(caps), self._places.bins), NO_LIMIT, dtype=np.int64)
        for k, cap in enumerate(caps):
            use[k, list(cap.members)] = [self._groups[g].bundle for g in cap.members]
            left[k] = np.maximum(cap.limit - self._standing(cap.counted), 0)
        limit = np.array([cap.limit for cap in caps], dtype=np.int64)
        return Neighbours(self._conflict, use, limit, left, self._allowed, self._narrowed)

    def _repel(self, g: int, term: PodTerm) -> None:
        meant = self._ledger.subjects.selected(term.namespaces, term.selector)
        self._allowed[g] &= ~(self._present(meant) & self._has_key(term.topology_key))
        for other in self._members(meant):
            if other != g:
                self._conflict[g, other] = self._conflict[other, g] = True
            else:
                self._cap((g,), frozenset(), 1)

    def _spread(self, g: int, rule: SpreadConstraint) -> None:
        group = self._groups[g]
        counted = self._ledger.subjects.selected(frozenset({group.shape.namespace}), rule.selector)
        limit = rule.max_skew + self._least(group, rule, counted)
        if counts_itself(group, rule):
            self._cap(tuple(self._members(counted)), counted, limit)
            return
        # The pod itself is not counted, so any number of them may share a node that is not yet over the skew. Planned
        # pods that are counted stay away from it, which is simpler than counting them only where it is, and as sure.
        self._allowed[g] &= self._standing(counted) <= limit
        for other in self._members(counted):
            self._conflict[g, other] = self._conflict[other, g] = True
            self._narrowed = True

    def _least(self, group: Group, rule: SpreadConstraint, counted: frozenset[Subject]) -> int:
        """How many each node has at least. None, as long as a node that counts may still be bought."""
        rows = self._places.counted(scope_of(group.shape, rule))
        nodes = np.flatnonzero(rows[self._places.kinds :]) + self._places.kinds
        if rows[: self._places.kinds].any() or len(nodes) < rule.min_domains or not len(nodes):
            return 0
        there: Counter[int] = Counter()
        for subject in counted:
            there.update(self._ledger.standing.get(subject, {}))
        return min(there[int(row)] for row in nodes)

    def _cap(self, members: tuple[int, ...], counted: frozenset[Subject], limit: int) -> None:
        known = self._caps.setdefault((members, counted), _Cap(limit, members, counted))
        known.limit = min(known.limit, limit)

    def _residents_repel(self) -> None:
        first = self._places.kinds
        where: dict[PodTerm, list[int]] = defaultdict(list)
        for shape, row in self._ledger.residents:
            for term in shape.anti_affinity:
                if term.topology_key in NODE_KEYS and first <= row < first + self._places.bins:
                    where[term].append(row - first)
        for term, bins in where.items():
            at = np.zeros(self._places.bins, dtype=np.bool_)
            at[bins] = True
            meant = self._ledger.subjects.selected(term.namespaces, term.selector)
            for g in self._members(meant):
                self._allowed[g] &= ~(at & self._has_key(term.topology_key))

    def _ports(self) -> None:
        first = self._places.kinds
        there: dict[HostPort, set[int]] = defaultdict(set)
        for shape, row in self._ledger.residents:
            for port in shape.host_ports:
                if first <= row < first + self._places.bins:
                    there[port].add(row - first)
        asked: dict[HostPort, list[int]] = defaultdict(list)
        for g, group in enumerate(self._groups):
            for port in group.shape.host_ports:
                asked[port].append(g)
        for g, group in enumerate(self._groups):
            if group.shape.host_ports:
                self._cap((g,), frozenset(), 1)
            for port in group.shape.host_ports:
                for other in (o for one, those in asked.items() if one.clashes(port) for o in those if o != g):
                    self._conflict[g, other] = self._conflict[other, g] = True
                for bins in (bins for one, bins in there.items() if one.clashes(port)):
                    self._allowed[g, list(bins)] = False

    def _members(self, subjects: Iterable[Subject]) -> list[int]:
        return sorted(g for subject in subjects for g in self._of.get(subject, ()))

    def _standing(self, subjects: Iterable[Subject]) -> IntArray:
        """[B] how many of these pods stand on each bin, those about to end apart."""
        return self._on_bins(self._ledger.standing.get(subject, Counter()) for subject in subjects)

    def _present(self, subjects: Iterable[Subject]) -> BoolArray:
        """[B] where any of these pods is."""
        return self._on_bins(self._ledger.rows(subject) for subject in subjects) > 0

    def _on_bins(self, counts: Iterable[Counter[int]]) -> IntArray:
        found = np.zeros(self._places.bins, dtype=np.int64)
        for rows in counts:
            for row, pods in rows.items():
                if self._places.kinds <= row < self._places.kinds + self._places.bins:
                    found[row - self._places.kinds] += pods
        return found

    def _has_key(self, key: str) -> BoolArray:
        rows = ~self._places.table.has(key, None)
        return rows[self._places.kinds : self._places.kinds + self._places.bins]
