"""Why pods have no place: what each constraint excludes by itself, and the smallest change that would place them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from spotkube.model.cluster import Mode, Snapshot
from spotkube.model.explanation import Change, Exclusion
from spotkube.model.offerings import ON_DEMAND
from spotkube.model.plan import Plan, Unplaceable
from spotkube.model.pods import NEVER_ON_SPOT, Pod
from spotkube.planner.explaining import changes, poolchanges
from spotkube.planner.explaining.changes import Subject
from spotkube.planner.explaining.hurdles import (
    Hurdle,
    Limits,
    Wanting,
    affinity_exclusion,
    affinity_hurdles,
    count_blocked,
    pod_hurdles,
    spot_hurdles,
)
from spotkube.planner.explaining.poolhurdles import pool_hurdles
from spotkube.planner.explaining.rules import rules_between
from spotkube.planner.explaining.sampling import sample
from spotkube.planner.explaining.smallest import Base, Search, bases_of
from spotkube.planner.explaining.trials import Trials
from spotkube.planner.explaining.universe import Universe, make_universe
from spotkube.planner.formulation.bins import capacity_type_of
from spotkube.planner.formulation.build import on_demand_needs
from spotkube.planner.formulation.limits import limits_of
from spotkube.planner.formulation.volumes import shared_volumes, taken
from spotkube.planner.formulation.waiting import pods_to_place


@dataclass(frozen=True, slots=True)
class Effort:
    """How many groups are explained, the largest first, and how often at most a change is tried for each."""

    groups: int
    trials: int


NONE = Effort(groups=0, trials=0)
IN_PASSING = Effort(groups=3, trials=8)
THOROUGH = Effort(groups=30, trials=120)
_NOT_LOOKED_FOR = "what would place them was not looked for, to keep the decision short"


def explain_unplaceable(snapshot: Snapshot, mode: Mode, plan: Plan, effort: Effort) -> Plan:
    """The plan with what would place the pods that it has no place for. Pure, as the plan is."""
    if not plan.unplaceable:
        return plan
    pods = {pod.uid: pod for pod in snapshot.pods}
    wanting = {number: _wanting(snapshot, one, pods) for number, one in enumerate(plan.unplaceable)}
    chosen = sorted(wanting, key=lambda number: -len(plan.unplaceable[number].pods))[: effort.groups]
    explained = [replace(one, advice=_NOT_LOOKED_FOR) for one in plan.unplaceable]
    if not chosen:
        return replace(plan, unplaceable=tuple(explained))
    resources = tuple(sorted({name for number in chosen for name in wanting[number].demand}))
    universe = make_universe(snapshot, mode, plan, resources)
    shared = list(pool_hurdles(universe))
    for number in chosen:
        one = plan.unplaceable[number]
        explained[number] = _explain(universe, shared, plan, one, wanting[number], effort)
    return replace(plan, unplaceable=tuple(explained))


def _wanting(snapshot: Snapshot, one: Unplaceable, pods: dict[str, Pod]) -> Wanting:
    first, owners = pods[one.pods[0]], {_owner(pods[uid]) for uid in one.pods}
    fellows = [p for p in pods_to_place(snapshot) if p.shape == first.shape and _owner(p) in owners]
    return Wanting(
        subject=Subject(one.name, frozenset(pod.uid for pod in fellows) | frozenset(one.pods)),
        shape=first.shape,
        demand=taken(first.shape, shared_volumes(snapshot)),
        managed=first.workload is not None,
        workload=first.workload,
        on_demand=_must_be_on_demand(snapshot, first),
    )


def _owner(pod: Pod) -> tuple[str, str]:
    return pod.namespace, pod.owner or pod.uid


def _must_be_on_demand(snapshot: Snapshot, pod: Pod) -> bool:
    """Whether its Workload's spot rule puts the pod among those that have to be on demand: the oldest that wait."""
    if pod.workload is None or not any(rule.key == pod.workload for rule in snapshot.workloads):
        return False
    if any(rule.key == pod.workload and rule.spot == NEVER_ON_SPOT for rule in snapshot.workloads):
        return True
    labels = {node.name: node.labels for node in snapshot.nodes}
    standing = [(p, labels.get(p.node, ())) for p in snapshot.pods if p.node]
    there = Counter(p.workload for p, own in standing if capacity_type_of(own) == ON_DEMAND)
    waiting = [p for p in pods_to_place(snapshot) if p.workload == pod.workload]
    waiting.sort(key=lambda p: (p.created_at, p.uid))
    need = on_demand_needs(snapshot, there)[pod.workload].pods
    return pod.uid in {p.uid for p in waiting[:need]}


def _explain(
    universe: Universe, shared: Sequence[Hurdle], plan: Plan, one: Unplaceable, pods: Wanting, effort: Effort
) -> Unplaceable:
    own = [*pod_hurdles(universe, pods), *spot_hurdles(universe, pods)]
    counts = count_blocked([*own, *affinity_exclusion(universe, pods), *shared], universe)
    bases = [
        base
        for term in pods.shape.affinity_terms or ((),)
        for base in bases_of([*own, *affinity_hurdles(universe, pods, term), *shared], universe.price)
    ]
    pools = [pool for pool in universe.pools if pool.mode is universe.mode and limits_of(pool)]
    rules = [*rules_between(universe.snapshot, pods, one.pods), *_choices(universe, bases)]
    bases += [base.with_room_of_others(priority) for base in bases for priority in rules if _raises_priority(priority)]
    bases.sort(key=lambda base: base.order)
    offerings = sample(universe, bases, plan)
    trials = Trials(universe.snapshot, universe.mode, plan, one.pods, effort.trials, offerings)
    found, other = Search(bases, rules, [Limits(pool) for pool in pools], trials).smallest()
    exclusions = tuple(
        Exclusion(constraint, number) for constraint, number in sorted(counts.items(), key=lambda item: -item[1])
    )
    known = int(universe.known.sum())
    missing = _not_sold(universe, pods)
    advice = _in_words(one, (found, other), missing, exhausted=trials.exhausted)
    return replace(one, advice=advice, changes=found, or_else=other, exclusions=exclusions, offerings=known)


def _raises_priority(change: Change) -> bool:
    return change.rank == changes.RANKS["priority"]


def _choices(universe: Universe, bases: Sequence[Base]) -> Iterator[Change]:
    """Lower minValues, to the choice that is left on what each base opens."""
    seen: set[Change] = set()
    for p, pool in enumerate(universe.pools):
        for key, wanted in pool.min_values:
            for base in bases:
                rows = base.rows[universe.pool[base.rows] == p]
                labels = {dict(universe.table.labels[row]).get(key) for row in rows} - {None}
                if 0 < len(labels) < wanted:
                    seen.add(poolchanges.choose_among(pool, key, wanted, len(labels)))
    yield from sorted(seen, key=lambda change: change.words)


def _not_sold(universe: Universe, pods: Wanting) -> list[str]:
    """What of the pods' requests nothing that is sold comes up to."""
    said = []
    sold = universe.capacity[universe.pool >= 0]
    for r, resource in enumerate(universe.resources):
        largest = int(sold[:, r].max(initial=0))
        if pods.demand[resource] > largest:
            asked = changes.quantity(resource, pods.demand[resource])
            most = f"; the largest leaves {changes.quantity(resource, largest)} to pods" if largest else ""
            said.append(f"nothing that is sold has {asked} {resource}{most}")
    return said


def _in_words(one: Unplaceable, found: Sequence[Sequence[Change]], missing: Sequence[str], *, exhausted: bool) -> str:
    parts = list(missing)
    told = [", and ".join(change.words for change in made) for made in found if made]
    if told:
        parts.append(f"to place {'it' if len(one.pods) == 1 else 'them'}, {', or else '.join(told)}")
    elif not missing:
        tried = "that were tried, which are not all," if exhausted else "of a few constraints"
        parts.append(f"no changes {tried} place {one.name}")
    return "; ".join(parts)
