"""In which order groups are given their domains, and which of them need one: those with rules, and those looked at."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spotkube.model.plan import Unplaceable
from spotkube.planner.formulation.affinity import (
    Company,
    as_bundle,
    join,
    keys_of,
    meant_by,
    next_in_turn,
    on_one_node,
    why_alone,
    why_circle,
)
from spotkube.planner.formulation.domains import Estimate, Open, cells_of, split_group
from spotkube.planner.formulation.groups import Group
from spotkube.planner.formulation.hosts import loosen
from spotkube.planner.formulation.ledger import Domain, Ledger, counts_itself
from spotkube.planner.formulation.places import NODE_KEYS, Value
from spotkube.planner.formulation.scopes import Key, Scope, scope_of
from spotkube.planner.formulation.subjects import Subject
from spotkube.planner.problem import BoolArray


@dataclass(frozen=True, eq=False)
class Facts:
    """What the arrays know of a group: rows that take one of its pods, rows that count as domains for sale, an estimate
    of what rows would cost it, how many of its pods one of the rows holds together, and whether limits let no second
    node of some kinds stand beside one that takes a pod of it."""

    usable: Callable[[Group], BoolArray]
    for_sale: Callable[[Group], BoolArray]
    estimate: Estimate
    together: Callable[[Group, BoolArray], int]
    only_one: Callable[[Group, BoolArray], bool]
    bought: BoolArray


class Splitter:
    """Gives groups their domains, one after the other; the ledger learns of each."""

    def __init__(self, groups: Sequence[Group], ledger: Ledger, facts: Facts, apart: frozenset[Scope]) -> None:
        """`apart` are spreads (their scopes) for which it has to be known whom of other groups they count."""
        self._groups, self._ledger, self._facts, self._apart = groups, ledger, facts, apart
        self._left = set(range(len(groups)))
        self._members = Counter(group.family for group in groups)
        self._alike = Counter(group.subject for group in groups)
        self._spread_keys: dict[Subject, set[Key]] = defaultdict(set)
        self._repelled: dict[Subject, list[tuple[str, int]]] = defaultdict(list)
        self._attracted: dict[Subject, list[tuple[str, int]]] = defaultdict(list)
        self.refused: list[Unplaceable] = []
        self.narrowed = False
        self.vague: frozenset[Scope] = frozenset()
        self.opens = np.zeros(len(ledger.places), dtype=np.bool_)
        loosen(groups, ledger, facts.usable, facts.only_one)
        for index, group in enumerate(groups):
            self._watch(index, group)

    def run(self) -> list[Group]:
        """The groups with their domains, in the order of the groups they are of."""
        parts: dict[int, list[Group]] = {}
        index = {id(group): i for i, group in enumerate(self._groups)}
        first = [group for group in self._groups if not group.shape.affinity]
        waiting = sorted((group for group in self._groups if group.shape.affinity), key=self._turn)
        for group in sorted(first, key=self._turn):
            parts[index[id(group)]] = self._decide(index[id(group)], group)
        while waiting:
            chosen = next_in_turn(waiting, self._ledger)
            if chosen is None:
                for one in waiting:
                    self._refuse(one, one.pods, why_circle(one, waiting, self._ledger))
                break
            waiting.remove(chosen)
            parts[index[id(chosen)]] = self._join(index[id(chosen)], chosen)
        return [part for i in range(len(self._groups)) for part in parts.get(i, ())]

    def _watch(self, index: int, group: Group) -> None:
        """Notes whom the rules of a group look at, and over which keys."""
        select = self._ledger.subjects.selected
        for rule in self._ledger.domain_spreads(group):
            scope = scope_of(group.shape, rule)
            for subject in select(frozenset({group.shape.namespace}), rule.selector):
                self._spread_keys[subject] |= {rule.topology_key, *({scope} & self._apart)}
        for term in group.shape.anti_affinity:
            meant = select(term.namespaces, term.selector)
            if term.topology_key not in NODE_KEYS:
                for subject in meant:
                    self._repelled[subject].append((term.topology_key, index))
                if any(self._alike[subject] for subject in meant):
                    self._repelled[group.subject].append((term.topology_key, index))
        if group.shape.affinity and not on_one_node(group):
            for subject in meant_by(group, self._ledger):
                self._attracted[subject] += [(key, index) for key in keys_of(group)]

    def _turn(self, group: Group) -> tuple[int, int]:
        """What others' spreads count comes before them, the strictest spread last, so that each holds even if its pods
        come last to the scheduler. Who keeps others away comes before those that are merely kept away."""
        spreads = self._ledger.domain_spreads(group)
        if spreads:
            return 2, -min(rule.max_skew for rule in spreads)
        if any(term.topology_key not in NODE_KEYS for term in group.shape.anti_affinity):
            return 1, 0
        return (0 if self._spread_keys.get(group.subject) else 3), 0

    def _join(self, index: int, group: Group) -> list[Group]:
        group = replace(group, turn=len(self._groups) - len(self._left) + 1)
        joined = join(group, self._ledger)
        if joined.company is Company.NOBODY:
            self._left.discard(index)
            self._refuse(group, group.pods, why_alone(group))
            return []
        if joined.company is Company.OTHERS:
            self.narrowed |= bool(joined.barred)
            narrower = replace(group, barred=group.barred | joined.barred, beside=joined.beside)
            return self._decide(index, narrower)
        if not on_one_node(group):
            return self._decide(index, group, together=frozenset(keys_of(group)))
        together = min(group.count, self._facts.together(group, self._facts.usable(group)))
        if not together:
            return self._decide(index, group)
        self.narrowed = True
        if together < group.count:
            why = f"required pod affinity over {' and '.join(keys_of(group))} wants all of these pods on one node, and "
            self._refuse(group, group.pods[together:], f"{why}no node has room for more than {together} of them")
        return self._decide(index, as_bundle(group, together))

    def _decide(self, index: int, group: Group, together: frozenset[str] = frozenset()) -> list[Group]:
        """Bars what rules bar, and splits what has to be split."""
        group = replace(group, barred=group.barred | self._barred(group))
        rows = self._facts.usable(group)
        keys = self._keys(index, group, together)
        self._left.discard(index)
        if not rows.any():
            # It fits nowhere, whatever the domain: why is told better of the whole group.
            return [group]
        self.narrowed |= bool(group.barred)
        if not keys:
            self._ledger.place(group, rows)
            return [group]
        cells = {
            cell: Open(its, self._rank(group, keys, cell, its))
            for cell, its in cells_of(self._ledger.places, keys, rows).items()
        }
        split = split_group(group, keys, cells, self._ledger, together=together, alone=self._alone(index, group))
        if split.left_over:
            self._refuse(group, split.left_over, split.reason)
            self.vague |= split.vague
        self.narrowed |= not split.whole
        return list(split.groups)

    def _keys(self, index: int, group: Group, together: frozenset[str]) -> list[Key]:
        """The topology keys for which it has to be known beforehand how many of the group go where."""
        keys = self._spread_keys.get(group.subject, set()) | together
        keys |= {key for key, other in self._repelled.get(group.subject, ()) if other in self._left}
        keys |= {key for key, other in self._attracted.get(group.subject, ()) if other in self._left - {index}}
        return sorted(keys, key=lambda key: (isinstance(key, Scope), str(key)))

    def _barred(self, group: Group) -> frozenset[Domain]:
        """Domains that hold pods which it may not be with, or more than its spreads allow. Its spreads are kept from
        now on."""
        ledger, barred = self._ledger, self._ledger.barred(group)
        for term in group.shape.anti_affinity:
            if term.topology_key not in NODE_KEYS:
                barred |= {(term.topology_key, value) for value in ledger.occupied(term)}
        for rule in self._ledger.domain_spreads(group):
            counted = ledger.places.counted(scope_of(group.shape, rule))
            known = counted & (ledger.places.is_node | self._facts.for_sale(group) | self._facts.bought)
            domains = ledger.places.values_among(rule.topology_key, known)
            values, codes = ledger.places.values(rule.topology_key)
            unknown = np.array([value not in domains for value in values], dtype=np.bool_)
            self.opens |= counted & unknown[codes]
            skew = ledger.skew(group, rule, domains)
            if not counts_itself(group, rule):
                barred |= {(rule.topology_key, v) for v in domains if not skew.allows(v, 0)}
                skew.held.update(v for v in domains if skew.allows(v, 0))
                if skew.vague and not skew.held:
                    self.vague |= {skew.scope}
            ledger.keep(group, skew)
        return frozenset(barred)

    def _rank(
        self, group: Group, keys: Sequence[Key], cell: tuple[Value, ...], rows: BoolArray
    ) -> tuple[int, int, int]:
        """What is missing in a domain, for the group and for those that will have to follow it there, whether it is in
        the way of others' spreads, and its cost."""
        missing, cost = self._facts.estimate(group, rows)
        followers = {other for _, other in self._attracted.get(group.subject, ()) if other in self._left}
        for follower in (self._groups[other] for other in sorted(followers)):
            fits = self._facts.usable(follower)
            for key, value in zip(keys, cell, strict=True):
                if isinstance(key, str) and key in keys_of(follower):
                    fits = fits & self._ledger.places.table.has(key, value)
            more = self._facts.estimate(follower, fits)
            missing, cost = missing + more[0], cost + more[1]
        counted = sum(value is not None for key, value in zip(keys, cell, strict=True) if key in self._apart)
        return missing, counted, cost

    def _alone(self, index: int, group: Group) -> bool:
        """Whether its rules count nobody else and nobody else's rules count it."""
        if self._members[group.family] > 1 or self._alike[group.subject] > 1 or group.barred:
            return False
        select = self._ledger.subjects.selected
        meant = [
            select(frozenset({group.shape.namespace}), rule.selector) for rule in self._ledger.domain_spreads(group)
        ]
        others = any(self._alike[subject] for one in meant for subject in one if subject != group.subject)
        mine = len(self._ledger.skews_on(group)) == len(self._ledger.domain_spreads(group))
        watched = [*self._repelled.get(group.subject, ()), *self._attracted.get(group.subject, ())]
        return not others and mine and not watched

    def _refuse(self, group: Group, pods: Iterable[str], reason: str) -> None:
        self.refused.append(Unplaceable(group.name, tuple(pods), reason))
