"""Where pods are, by node and by topology: those that run, and those that groups decided earlier were given."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from spotkube.model.pods import Pod, PodShape, PodTerm, SpreadConstraint
from spotkube.planner.formulation.groups import Group, project
from spotkube.planner.formulation.places import NODE_KEYS, Places, Value
from spotkube.planner.formulation.scopes import Key, Scope, scope_of, surely_counted
from spotkube.planner.formulation.subjects import Subject, Subjects
from spotkube.planner.problem import BoolArray

# The part of a group that one domain gets: family, capacity type, values of topology keys.
Part = tuple[int, str, tuple[tuple[Key, Value], ...]]
Domain = tuple[str, Value]


def part_of(group: Group) -> Part:
    return group.family, group.capacity_type, group.where


@dataclass(eq=False)
class Skew:
    """One spread over domains as it stands: what it counts in each, at `least` and at `most` where that is not known.

    `held` are the domains in which pods with the rule are: no others may be put there beyond the skew. `vague` says
    that at least one group was given rows of which only some are counted.
    """

    rule: SpreadConstraint
    scope: Scope
    counted: BoolArray
    least: dict[Value, int]
    most: Counter[Value]
    held: set[Value] = field(default_factory=set)
    vague: bool = False

    @property
    def key(self) -> str:
        return self.rule.topology_key

    def allows(self, value: Value, pods: int) -> bool:
        """Whether so many more that it counts (0: the pod itself is not counted) may be in the domain.

        However many there are in the domain, it is never uneven towards itself.
        """
        others = [count for other, count in self.least.items() if other != value]
        few = len(self.least) < self.rule.min_domains
        lowest = 0 if few else min(others, default=None)
        return lowest is None or self.most[value] + pods - lowest <= self.rule.max_skew

    def is_of(self, group: Group) -> bool:
        """Whether the group itself has the rule, over the same nodes."""
        return self.rule in group.shape.spread and self.scope == scope_of(group.shape, self.rule)

    def counts(self, rows: BoolArray) -> bool | None:
        """Whether it counts pods somewhere on these rows; None where that depends on the row."""
        return surely_counted(rows, self.counted)

    def add(self, value: Value, pods: int, *, counted: bool | None = True) -> None:
        """Pods get a place in a domain; `counted` as by `counts`."""
        self.vague |= counted is None
        if counted is not False:
            self.most[value] += pods
        if counted and value in self.least:
            self.least[value] += pods


@dataclass(frozen=True, slots=True)
class _Parcel:
    """Pods that a group decided earlier put into a domain."""

    where: Mapping[Key, Value]
    rows: BoolArray
    pods: int


class Ledger:
    def __init__(
        self,
        places: Places,
        subjects: Subjects,
        residents: Iterable[tuple[Pod, int]],
        keys: frozenset[str],
        most: Mapping[Part, int],
    ) -> None:
        """`residents` are pods with the row of their node in `places`, `keys` the labels that selectors ask for, `most`
        how many pods of a part found room, where that was tried. It learns which spreads are `idle`, as they always
        hold, and which of those over hosts are over `fixed` nodes."""
        self.places, self.subjects, self.most = places, subjects, most
        self.standing: dict[Subject, Counter[int]] = defaultdict(Counter)
        self.ending: dict[Subject, Counter[int]] = defaultdict(Counter)
        self.residents: list[tuple[PodShape, int]] = []
        self.idle: set[tuple[PodShape, SpreadConstraint]] = set()
        self.fixed: set[tuple[PodShape, SpreadConstraint]] = set()
        self._parcels: dict[Subject, list[_Parcel]] = defaultdict(list)
        self._barred: dict[Subject, set[Domain]] = defaultdict(set)
        self._skews: dict[Subject, list[Skew]] = defaultdict(list)
        for pod, row in residents:
            subject = pod.namespace, project(pod.labels, keys)
            (self.ending if pod.deleting else self.standing)[subject][row] += 1
            self.residents.append((pod.shape, row))
        terms = {(term, row) for shape, row in self.residents for term in shape.anti_affinity}
        for term, row in terms:
            if term.topology_key not in NODE_KEYS:
                self._bar(term, places.value(row, term.topology_key))

    def barred(self, group: Group) -> set[Domain]:
        """Domains that pods already there keep this group out of, by their own anti-affinity (it is symmetric)."""
        return set(self._barred.get(group.subject, ()))

    def domain_spreads(self, group: Group) -> list[SpreadConstraint]:
        """The group's spreads over domains that are known beforehand."""
        return [rule for rule in self._spreads(group) if not self._over_nodes(group, rule)]

    def node_spreads(self, group: Group) -> list[SpreadConstraint]:
        """Its spreads over hosts of which some may still be bought."""
        return [rule for rule in self._spreads(group) if self._over_nodes(group, rule)]

    def _spreads(self, group: Group) -> list[SpreadConstraint]:
        return [rule for rule in group.shape.spread if counts_any(rule) and (group.shape, rule) not in self.idle]

    def _over_nodes(self, group: Group, rule: SpreadConstraint) -> bool:
        return rule.topology_key in NODE_KEYS and (group.shape, rule) not in self.fixed

    def skews_on(self, group: Group) -> list[Skew]:
        """The spreads over domains that count the group's pods."""
        return self._skews.get(group.subject, [])

    def rows(self, subject: Subject) -> Counter[int]:
        """How many pods of a subject stand on each row, those about to end included."""
        return self.standing.get(subject, Counter()) + self.ending.get(subject, Counter())

    def domains(self, meant: Iterable[Subject], key: str) -> set[Value]:
        """Values of the key where any of these pods are; nodes that lack it are none."""
        found: set[Value] = set()
        for subject in meant:
            found |= {self.places.value(row, key) for row in self.rows(subject)}
            found |= {parcel.where.get(key) for parcel in self._parcels.get(subject, ())}
        return found - {None}

    def planned(self, meant: Iterable[Subject]) -> bool:
        return any(self._parcels.get(subject) for subject in meant)

    def skew(self, group: Group, rule: SpreadConstraint, domains: set[Value]) -> Skew:
        """The spread as it stands before any pod of the group is given a place. Added pods are told to it."""
        scope, key = scope_of(group.shape, rule), rule.topology_key
        counted = self.places.counted(scope)
        skew = Skew(rule, scope, counted, dict.fromkeys(sorted(domains - {None}, key=str), 0), Counter())
        for subject in self.subjects.selected(frozenset({group.shape.namespace}), rule.selector):
            for row, pods in self.standing.get(subject, {}).items():
                if counted[row]:
                    skew.add(self.places.value(row, key), pods)
            for parcel in self._parcels.get(subject, ()):
                skew.add(parcel.where.get(key), parcel.pods, counted=skew.counts(parcel.rows))
        return skew

    def keep(self, group: Group, skew: Skew) -> None:
        """From now on pods that the spread counts are told to it, and it is asked about each."""
        for subject in self.subjects.selected(frozenset({group.shape.namespace}), skew.rule.selector):
            self._skews[subject].append(skew)

    def place(self, group: Group, rows: BoolArray) -> None:
        """The group gets a place somewhere on these rows."""
        where = dict(group.where)
        self._parcels[group.subject].append(_Parcel(where, rows, len(group.pods)))
        for term in group.shape.anti_affinity:
            if term.topology_key not in NODE_KEYS:
                self._bar(term, where.get(term.topology_key))

    def occupied(self, term: PodTerm) -> set[Value]:
        """Domains where pods are that an anti-affinity term means."""
        return self.domains(self.subjects.selected(term.namespaces, term.selector), term.topology_key)

    def _bar(self, term: PodTerm, value: Value) -> None:
        if value is not None:
            for subject in self.subjects.selected(term.namespaces, term.selector):
                self._barred[subject].add((term.topology_key, value))


def counts_itself(group: Group, rule: SpreadConstraint) -> bool:
    return rule.selector is not None and rule.selector.matches(dict(group.labels))


def counts_any(rule: SpreadConstraint) -> bool:
    """kube-scheduler counts no pod for an empty selector, so that it always holds; neither for none at all."""
    return rule.selector is not None and bool(rule.selector.requirements)


def usable(places: Places, sold: BoolArray, there: BoolArray) -> BoolArray:
    """[rows] from a mask over kinds and one over bins."""
    mask = places.is_node & False
    mask[: places.kinds] = sold
    mask[places.kinds : places.kinds + places.bins] = there
    return mask
