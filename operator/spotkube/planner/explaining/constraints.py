"""All that could be loosened in a Snapshot: rules of like pods, of Workloads and of NodePools."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from spotkube.model.cluster import Mode, Pool, Snapshot, WorkloadRule
from spotkube.model.explanation import WORKLOAD, Change, Edit
from spotkube.model.pods import NEVER_ON_SPOT, Pod, PodShape, SpotRule
from spotkube.planner.explaining import changes, poolchanges
from spotkube.planner.explaining.changes import Subject
from spotkube.planner.explaining.rules import shares
from spotkube.planner.formulation.kinds import make_kinds
from spotkube.planner.formulation.labeltable import LabelTable
from spotkube.planner.formulation.waiting import pods_to_place

_NUMBERED = re.compile(r"[-0-9]+$")


@dataclass(frozen=True, slots=True)
class Rule:
    """A constraint in words, what takes it away, and how many pods (or nodes of a pool) it is about."""

    constraint: str
    without: Change
    weight: int


def binding_constraints(snapshot: Snapshot, mode: Mode) -> Iterator[Rule]:
    """Those that keep some pods from something that is sold, or that are about other pods."""
    pools = [pool for pool in snapshot.pools if pool.mode is mode and not pool.deleting]
    kinds = make_kinds(snapshot, pools)
    offerings = LabelTable([o.labels for o in snapshot.offerings], [()] * len(snapshot.offerings))
    riskiest = max((offering.interruption_percent for offering in snapshot.offerings), default=0)
    for rule in constraints(snapshot, mode):
        match rule.without.edit:
            case Edit(attribute="node_selector", remove=((key, value),)):
                binds = not kinds.table.has(key, value).all()
            case Edit(attribute="affinity_terms", remove=(requirement,)):
                binds = not kinds.table.requirement(requirement).all()
            case Edit(attribute="requirements", remove=(requirement,)):
                binds = not offerings.requirement(requirement).all()
            case Edit(attribute="max_interruption_percent", names=names):
                binds = any(pool.max_interruption_percent < riskiest for pool in pools if pool.name in names)
            case Edit(attribute="spot" | "allow_unmanaged_on_spot"):
                binds = bool(kinds.spot.any())
            case _:
                binds = True
        if binds:
            yield rule


def constraints(snapshot: Snapshot, mode: Mode) -> Iterator[Rule]:
    """All that could be loosened, by group of like pods, by Workload and by pool."""
    for name, pods in _alike(snapshot).items():
        yield from _of_pods(name, pods)
    yield from _of_workloads(snapshot)
    nobodys = sum(pod.workload is None for pod in pods_to_place(snapshot))
    for pool in snapshot.pools:
        if pool.mode is mode and not pool.deleting:
            # They concern everybody.
            yield from (replace(rule, weight=len(snapshot.pods)) for rule in _of_pool(pool))
            if nobodys and not pool.allow_unmanaged_on_spot:
                words = f"NodePool {pool.name}: pods of no Workload never on spot"
                yield Rule(words, poolchanges.allow_unmanaged(pool), nobodys)


def _alike(snapshot: Snapshot) -> dict[str, list[Pod]]:
    """Waiting pods by what makes them; Jobs and others that are only numbered come together, as in team-a/index-*."""
    owned: dict[tuple[str, str], list[Pod]] = defaultdict(list)
    for pod in pods_to_place(snapshot):
        owned[pod.namespace, _NUMBERED.sub("", _owner(pod))].append(pod)
    named = {}
    for (namespace, stem), pods in owned.items():
        owners = {_owner(pod) for pod in pods}
        named[f"{namespace}/{min(owners) if len(owners) == 1 else f'{stem}-*'}"] = pods
    return named


def _owner(pod: Pod) -> str:
    return pod.owner.partition("/")[2] or pod.name


def _of_pods(name: str, pods: Iterable[Pod]) -> Iterator[Rule]:
    """Each of their rules once, for all pods that have it."""
    holders: dict[tuple[str, Change], set[str]] = defaultdict(set)
    anybody = Subject(name, frozenset())
    for pod in pods:
        for constraint, change in _of_shape(anybody, pod.shape):
            holders[constraint, change].add(pod.uid)
    for (constraint, change), holding in holders.items():
        edit = replace(change.edit, names=tuple(sorted(holding)))
        yield Rule(f"{name}: {constraint}", replace(change, edit=edit), len(holding))


def _of_shape(subject: Subject, shape: PodShape) -> Iterator[tuple[str, Change]]:
    for rule in shape.spread:
        yield f"spread over {rule.topology_key} (maxSkew {rule.max_skew})", subject.no_spread(rule)
    for term in shape.anti_affinity:
        yield f"podAntiAffinity over {term.topology_key}", subject.no_term(term, anti=True)
    for term in shape.affinity:
        yield f"podAffinity over {term.topology_key}", subject.no_term(term, anti=False)
    for key, value in shape.node_selector:
        yield f"nodeSelector {key}={value}", subject.no_selector(key, value)
    for requirement in dict.fromkeys(r for one in shape.affinity_terms for r in one):
        yield f"node affinity {requirement}", subject.no_requirement(requirement)
    if shape.host_ports:
        yield "host ports", subject.no_ports(shape)


def _of_workloads(snapshot: Snapshot) -> Iterator[Rule]:
    """Those that are only numbered come together where they have the same rule."""
    pods = Counter(pod.workload for pod in snapshot.pods)
    alike: dict[tuple[str, str, Change], list[str]] = defaultdict(list)
    for rule in snapshot.workloads:
        for constraint, change in _of_workload(snapshot, rule) if pods[rule.key] else ():
            anybodys = replace(change, name="", words="", before="", edit=replace(change.edit, names=()))
            alike[_NUMBERED.sub("", rule.key), constraint, anybodys].append(rule.key)
    for (stem, constraint, change), workloads in alike.items():
        name = workloads[0] if len(workloads) == 1 else f"{stem}-*"
        words = f"take it from Workload {name}"
        edit = replace(change.edit, names=tuple(sorted(workloads)))
        made = replace(change, name=name, before=constraint, words=words, edit=edit)
        yield Rule(f"{name}: {constraint}", made, sum(pods[key] for key in workloads))


def _of_workload(snapshot: Snapshot, workload: WorkloadRule) -> Iterator[tuple[str, Change]]:
    if workload.spot != SpotRule():
        least = workload.spot.on_demand_count(workload.replicas)
        words = f"{least} of {workload.replicas} on demand"
        yield "never on spot" if workload.spot == NEVER_ON_SPOT else words, changes.all_on_spot(workload)
    for change in shares(snapshot, workload.key):
        # Those of pools are told with the pools.
        if change.kind == WORKLOAD:
            yield f"maxFractionPerPool {change.before}", change


def _of_pool(pool: Pool) -> Iterator[Rule]:
    for requirement in pool.requirements:
        yield Rule(f"NodePool {pool.name}: {requirement}", poolchanges.no_requirement(pool, requirement), 0)
    if pool.max_interruption_percent < poolchanges.ANY_PERCENT:
        words = f"NodePool {pool.name}: maxInterruptionPercent {pool.max_interruption_percent}"
        yield Rule(words, poolchanges.bear_interruptions(pool, poolchanges.ANY_PERCENT), 0)
    for key, wanted in pool.min_values:
        words = f"NodePool {pool.name}: minValues {wanted} of {key}"
        yield Rule(words, poolchanges.choose_among(pool, key, wanted, 1), 0)
    if pool.max_fraction_per_pool is not None:
        words = f"NodePool {pool.name}: maxFractionPerPool {pool.max_fraction_per_pool:g}"
        yield Rule(words, poolchanges.no_pool_share(pool), 0)
    for taint in pool.taints:
        yield Rule(f"NodePool {pool.name}: taint {taint}", poolchanges.no_taint(pool, taint), 0)
    for change in poolchanges.no_limits(pool):
        if getattr(pool, change.edit.attribute) not in (None, ()):
            yield Rule(f"NodePool {pool.name}: limits ({change.field.removeprefix('spec.limits.')})", change, 0)
