"""What stays the same over all tries: the nodes of the plan, the pods to land, and what their rules look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from spotkube.model.pods import Pod, PodShape, PodTerm, SpreadConstraint, shapes_of
from spotkube.model.resources import CPU, MEMORY, PODS, ResourceList
from spotkube.model.selectors import Taint
from spotkube.model.volumes import ATTACHABLE, UNLIMITED
from spotkube.planner.formulation.kinds import node_mask, shape_mask
from spotkube.planner.formulation.labeltable import LabelTable
from spotkube.planner.formulation.volumes import Shared, reach_mask, taken
from spotkube.planner.problem import BoolArray, IntArray

# What a pod counts as in scores that asks for nothing: 100 millicores and 200 MB.
_ASSUMED = {CPU: 100, MEMORY: 200 * 1024 * 1024}


@dataclass(frozen=True, slots=True)
class Place:
    """A node: `room` is its allocatable, `used` what its daemons take and what `residents` do.

    `there` says that it is open when the first pod is tried, `closed` that it never takes another. All others arrive
    one after the other, and take only pods that are planned onto them until all of these are bound.
    """

    name: str
    labels: tuple[tuple[str, str], ...]
    taints: tuple[Taint, ...]
    room: ResourceList
    used: ResourceList = field(default_factory=ResourceList)
    residents: tuple[Pod, ...] = ()
    there: bool = False
    closed: bool = False
    spot: bool = False


@dataclass(frozen=True, slots=True)
class Guest:
    """A pod to land. `target` is the place that it is planned onto, -1 for a pod that the plan has no place for: it
    takes what room it finds. `off_spot`: no rule that kube-scheduler knows keeps it off spot, but ours does."""

    pod: Pod
    target: int = -1
    gated: bool = False
    off_spot: bool = False

    @property
    def is_nominated(self) -> bool:
        """Whether it is nominated where it is planned to enter a node before others (`placement.reconcile`)."""
        return self.gated and not self.pod.shape.spread


@dataclass(frozen=True, slots=True)
class Term:
    """Pods of some namespaces that selectors mean, counted by the values of a label of their nodes.

    `on` [N] are the nodes whose pods count. `draws`: it is owned by pods that want such company.
    """

    means: tuple[PodTerm, ...]
    key: str
    on: tuple[bool, ...] | None = None
    draws: bool = False

    def matches(self, pod: Pod) -> bool:
        return all(term.means(pod) for term in self.means)


@dataclass(frozen=True, slots=True)
class SpreadRule:
    """One spread of a shape: how many there are in each domain is what `term` counts."""

    term: int
    constraint: SpreadConstraint
    own: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """Pods alike in all that kube-scheduler looks at. `demand` [R]; `assumed` [R] what scores count besides, where they
    ask for no cpu or memory; `fits` [N] where the node itself would take them.

    `counted`: the terms that count them; `anti`: terms that they may not find on their node's domain; `owned`: terms
    by which they keep others away or draw them near; `shunned`, `drawn`: those of others that mean them; `company`:
    terms of which each must find somebody, `alone` whether they are their own company.
    """

    pod: Pod
    demand: IntArray
    assumed: IntArray
    fits: BoolArray
    counted: tuple[int, ...]
    anti: tuple[int, ...]
    owned: tuple[int, ...]
    shunned: tuple[int, ...]
    drawn: tuple[int, ...]
    company: tuple[int, ...]
    alone: bool
    spreads: tuple[SpreadRule, ...]
    mates: int
    tangled: bool

    @property
    def priority(self) -> int:
        return self.pod.shape.priority


class Site:
    """N places, K kinds of pods, T terms, R resources."""

    def __init__(self, places: Sequence[Place], guests: Sequence[Guest], shared: Shared | None = None) -> None:
        self.places, self.guests = tuple(places), tuple(guests)
        self.table = LabelTable([p.labels for p in places], [p.taints for p in places])
        self._shared = shared or {}
        pods = [guest.pod for guest in guests]
        standing = [pod for place in places for pod in place.residents]
        shapes = shapes_of((*pods, *standing))
        self._demands = {shape: taken(shape, self._shared) for shape in shapes}
        self.resources = _resources(self._demands.values())
        self.room = self._amounts([place.room for place in places])
        self.used = self._amounts([place.used for place in places])
        self.terms: list[Term] = []
        self._numbers: dict[Term, int] = {}
        self._anti: dict[PodTerm, int] = {}
        self._near: dict[PodTerm, int] = {}
        for shape in shapes:
            self._note_terms(shape)
        self.kinds: list[Kind] = []
        self._kind_of: dict[tuple[object, ...], int] = {}
        self._kind_like: dict[tuple[object, ...], int] = {}
        self._owners: dict[tuple[str, str], int] = {}
        self._masks: dict[PodShape, BoolArray] = {}
        self.kind = [self._number_kind(pod) for pod in pods]
        self.residents = [[self._number_kind(pod) for pod in place.residents] for place in places]
        self.levels = sorted({self.kinds[k].priority for k in self.kind})

    @cached_property
    def codes(self) -> Mapping[str, IntArray]:
        """[N] which domain of a topology key each place is in, -1 where it lacks the label."""
        return {term.key: _codes(self.table.column(term.key)) for term in self.terms}

    @cached_property
    def terms_on(self) -> list[BoolArray]:
        everywhere = np.ones(len(self.places), dtype=np.bool_)
        return [everywhere if term.on is None else np.array(term.on) for term in self.terms]

    def _amounts(self, rows: Sequence[ResourceList]) -> IntArray:
        amounts = [[_amount(row, name) for name in self.resources] for row in rows]
        return np.array(amounts, dtype=np.int64).reshape(len(rows), len(self.resources))

    def _note_terms(self, shape: PodShape) -> None:
        for term in shape.anti_affinity:
            if term not in self._anti:
                self._anti[term] = self._term(Term((term,), term.topology_key))
        for term in shape.affinity:
            if term not in self._near:
                self._near[term] = self._term(Term((term,), term.topology_key, draws=True))

    def _term(self, term: Term) -> int:
        if term not in self._numbers:
            self._numbers[term] = len(self.terms)
            self.terms.append(term)
        return self._numbers[term]

    def _number_kind(self, pod: Pod) -> int:
        # What makes a kind takes long to compare; pods of one owner mostly have the same objects.
        template = (id(pod.shape), id(pod.labels), pod.namespace, pod.owner or pod.uid)
        if template not in self._kind_like:
            self._kind_like[template] = self._find_kind(pod)
        return self._kind_like[template]

    def _find_kind(self, pod: Pod) -> int:
        mates = self._owners.setdefault((pod.namespace, pod.owner or pod.uid), len(self._owners))
        key = (pod.shape, pod.labels, mates)
        if key not in self._kind_of:
            self._kind_of[key] = len(self.kinds)
            self.kinds.append(self._make_kind(pod, mates))
        return self._kind_of[key]

    def _make_kind(self, pod: Pod, mates: int) -> Kind:
        shape = pod.shape
        company = tuple(self._term(Term(shape.affinity, term.topology_key)) for term in shape.affinity)
        anti = tuple(self._anti[term] for term in shape.anti_affinity)
        shunned = tuple(number for term, number in self._anti.items() if term.means(pod))
        spreads = tuple(self._spread(pod, constraint) for constraint in shape.spread)
        return Kind(
            pod=pod,
            demand=self._amounts([self._demands[shape]])[0],
            assumed=self._amounts([_unasked(self._demands[shape])])[0],
            fits=self._fits(shape),
            counted=(),
            anti=anti,
            owned=(*anti, *(self._near[term] for term in shape.affinity)),
            shunned=shunned,
            drawn=tuple(number for term, number in self._near.items() if term.means(pod)),
            company=company,
            alone=bool(company) and all(term.means(pod) for term in shape.affinity),
            spreads=spreads,
            mates=mates,
            tangled=bool(anti or shunned or company or spreads or shape.host_ports),
        )

    def finish(self) -> None:
        """Once all terms are known: which of them count the pods of each kind."""
        for number, kind in enumerate(self.kinds):
            counted = tuple(t for t, term in enumerate(self.terms) if term.matches(kind.pod))
            self.kinds[number] = replace(kind, counted=counted)

    def _fits(self, shape: PodShape) -> BoolArray:
        if shape not in self._masks:
            self._masks[shape] = shape_mask(self.table, shape) & reach_mask(self.table, shape)
        return self._masks[shape]

    def _spread(self, pod: Pod, constraint: SpreadConstraint) -> SpreadRule:
        on = np.ones(len(self.places), dtype=np.bool_)
        if constraint.honor_affinity:
            on &= node_mask(self.table, pod.shape)
        if constraint.honor_taints:
            on &= self.table.tolerated(pod.shape.tolerations)
        for other in pod.shape.spread:
            on &= ~self.table.has(other.topology_key, None)
        selector = constraint.selector if constraint.selector and constraint.selector.requirements else None
        means = PodTerm(constraint.topology_key, selector, frozenset({pod.namespace}))
        term = Term((means,), constraint.topology_key, tuple(on.tolist()))
        return SpreadRule(self._term(term), constraint, means.means(pod))


def make_site(places: Sequence[Place], guests: Sequence[Guest], shared: Shared | None = None) -> Site:
    site = Site(places, guests, shared)
    site.finish()
    return site


def _resources(demands: object) -> tuple[str, ...]:
    names = {name for demand in demands for name in demand}  # type: ignore[attr-defined]
    return (*sorted((names | {CPU, MEMORY}) - {PODS}), PODS)


def _amount(row: ResourceList, name: str) -> int:
    if name.startswith(ATTACHABLE) and name not in row:
        return UNLIMITED
    return row[name]


def _unasked(demand: ResourceList) -> ResourceList:
    return ResourceList({name: amount for name, amount in _ASSUMED.items() if not demand[name]})


def _codes(column: Sequence[str | None]) -> IntArray:
    values: dict[str, int] = {}
    return np.array([-1 if one is None else values.setdefault(one, len(values)) for one in column], dtype=np.int64)
