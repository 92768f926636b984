"""What keeps pods from each offering and node: one hurdle a constraint, with the change that takes it away."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spotkube.model.cluster import Pool
from spotkube.model.explanation import Change
from spotkube.model.pods import PodShape
from spotkube.model.resources import PODS, ResourceList
from spotkube.model.selectors import TaintEffect, Term
from spotkube.planner.explaining import changes, poolchanges
from spotkube.planner.explaining.changes import Subject
from spotkube.planner.explaining.universe import Universe
from spotkube.planner.formulation.kinds import ports_free
from spotkube.planner.problem import BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class Limits:
    """Stands for raising limits of a pool: which ones, and to what, is found by trying without any."""

    pool: Pool
    rank: int = changes.RANKS["limits"]


# A change, or what stands for one.
Step = Change | Limits


@dataclass(frozen=True, eq=False)
class Hurdle:
    """`blocked` [rows] are kept from the pods by `constraint`.

    `fix` is the change that opens some of them, given by their rows, and `rank` its rank; None: there is none.
    """

    constraint: str
    blocked: BoolArray
    rank: int
    fix: Callable[[IntArray], Step] | None


@dataclass(frozen=True, eq=False)
class Wanting:
    """Like pods without a place: their shape, what of them is `demand`ed of a node, who they are of."""

    subject: Subject
    shape: PodShape
    demand: ResourceList
    managed: bool
    workload: str | None
    on_demand: bool


def pod_hurdles(universe: Universe, pods: Wanting) -> Iterator[Hurdle]:
    """All of the pods' own constraints but their node affinity."""
    table, shape, subject = universe.table, pods.shape, pods.subject
    everywhere = np.ones(len(universe), dtype=np.bool_)
    if shape.refused:
        yield fixed(shape.refused, everywhere, subject.repaired(shape.refused))
    if shape.unsupported:
        named = f"uses {', '.join(shape.unsupported)}"
        yield fixed(named, everywhere, subject.without_unsupported(shape.unsupported))
    for key, value in shape.node_selector:
        yield fixed(f"nodeSelector {key}={value}", ~table.has(key, value), subject.no_selector(key, value))
    for taint in sorted({t for taints in set(table.taints) for t in taints}, key=str):
        hard = taint.effect is not TaintEffect.PREFER_NO_SCHEDULE
        if hard and not any(toleration.tolerates(taint) for toleration in shape.tolerations):
            tainted = {taints for taints in set(table.taints) if taint in taints}
            blocked = np.fromiter((taints in tainted for taints in table.taints), np.bool_, len(universe))
            yield fixed(f"taint {taint}", blocked, subject.tolerate(taint))
    for rule in shape.spread:
        lacking = table.has(rule.topology_key, None)
        yield fixed(f"spread over {rule.topology_key}", lacking, subject.no_spread(rule))
    for term in shape.affinity:
        lacking = table.has(term.topology_key, None)
        yield fixed(f"pod affinity over {term.topology_key}", lacking, subject.no_term(term, anti=False))
    for terms in shape.volume_terms:
        where = " or ".join("; ".join(map(str, term)) for term in terms)
        yield fixed(f"volume reached where {where}", ~table.any_of(terms), subject.other_volume(terms))
    if shape.host_ports:
        clash = ~ports_free(table, universe.snapshot.daemonsets, shape)
        yield fixed("host ports that daemons take", clash, subject.no_ports(shape))
    yield from _sizes(universe, pods)


def fixed(constraint: str, blocked: BoolArray, change: Change) -> Hurdle:
    return Hurdle(constraint, blocked, change.rank, lambda _: change)


def _sizes(universe: Universe, pods: Wanting) -> Iterator[Hurdle]:
    for r, resource in enumerate(universe.resources):
        asked, column = pods.demand[resource], universe.capacity[:, r]
        constraint = f"{resource} request {changes.quantity(resource, asked)}"
        own = pods.shape.requests[resource]
        # What of the demand is no request can't be lowered, and a request of nothing is none.
        least = 1 + asked - own
        if resource == PODS or not own:
            yield Hurdle(constraint, column < asked, 0, None)
            continue
        yield Hurdle(constraint, column < least, 0, None)

        def lower(rows: IntArray, r: int = r, name: str = resource, own: int = own, more: int = asked - own) -> Step:
            # The row that takes most of all that is asked for, so that requests lowered together fit on one row.
            wanted = np.array([pods.demand[each] for each in universe.resources], dtype=np.int64)
            shares = np.minimum(universe.capacity[rows] / np.maximum(wanted, 1), 1.0)
            best = rows[np.argmax(shares.min(axis=1))]
            return pods.subject.request(name, own, int(universe.capacity[best, r]) - more)

        yield Hurdle(constraint, (column < asked) & (column >= least), changes.RANKS["requests"], lower)


def affinity_hurdles(universe: Universe, pods: Wanting, term: Term) -> Iterator[Hurdle]:
    """Of node affinity, whose terms are ORed, one term; each of its requirements is a hurdle."""
    for requirement in term:
        blocked = ~universe.table.requirement(requirement)
        yield fixed(f"node affinity {requirement}", blocked, pods.subject.no_requirement(requirement))


def affinity_exclusion(universe: Universe, pods: Wanting) -> Iterator[Hurdle]:
    """Node affinity as one constraint, to count what it excludes."""
    terms = pods.shape.affinity_terms
    if terms:
        named = " or ".join("; ".join(map(str, term)) for term in terms)
        yield Hurdle(f"node affinity {named}", ~universe.table.any_of(terms), 0, None)


def spot_hurdles(universe: Universe, pods: Wanting) -> Iterator[Hurdle]:
    """Spot where the pods' Workload, or the pool for pods of none, does not let them onto it."""
    # Pods of nobody go onto spot nodes that are there: kube-scheduler would put them there anyway.
    sold = universe.spot & (universe.pool >= 0)
    rules = [rule for rule in universe.snapshot.workloads if rule.key == pods.workload]
    if pods.on_demand and rules:
        change = changes.all_on_spot(rules[0])
        yield fixed(f"spot rule of Workload {rules[0].key}", universe.spot, change)
    if not pods.managed:
        for p, pool in enumerate(universe.pools):
            if not pool.allow_unmanaged_on_spot:
                change = poolchanges.allow_unmanaged(pool)
                named = f"NodePool {pool.name}: pods of no Workload stay off spot"
                # A pool that is created can allow them, but would be changed twice: that is not told.
                fix = (lambda _, change=change: change) if p < len(universe.pools) - 1 else None
                yield Hurdle(named, sold & (universe.pool == p), change.rank, fix)


def count_blocked(hurdles: Sequence[Hurdle], universe: Universe) -> dict[str, int]:
    """How many offerings of pools that exist each constraint excludes by itself, where it excludes any."""
    counts: dict[str, BoolArray] = {}
    for hurdle in hurdles:
        before = counts.get(hurdle.constraint)
        counts[hurdle.constraint] = hurdle.blocked if before is None else before | hurdle.blocked
    known = universe.known
    found = {constraint: int((blocked & known).sum()) for constraint, blocked in counts.items()}
    return {constraint: number for constraint, number in found.items() if number}
