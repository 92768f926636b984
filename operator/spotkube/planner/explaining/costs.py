"""What constraints cost: each is taken away in turn, and the Snapshot planned anew by the same search.

The reference is planned with the same budget and seed, so that the comparison is fair. A difference between two
searches may be luck: what is certain is only that no plan with the constraint costs less than its bound.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from spotkube.model.cluster import Mode, Pool, Snapshot, WorkloadRule
from spotkube.model.explanation import Change, ConstraintCost, Costs, Edit
from spotkube.model.plan import Plan
from spotkube.model.pods import Pod, PodShape, SpotRule
from spotkube.planner.build import pods_to_place
from spotkube.planner.decide import decide
from spotkube.planner.explaining import changes, poolchanges
from spotkube.planner.explaining.apply import apply_change
from spotkube.planner.explaining.changes import Subject
from spotkube.planner.explaining.rules import shares
from spotkube.planner.kinds import make_kinds
from spotkube.planner.labeltable import LabelTable
from spotkube.planner.problem import Budget

# Each costs a search; those of the largest groups come first.
MOST_TRIED = 40
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Rule:
    """A constraint in words, what takes it away, and how many pods (or nodes of a pool) it is about."""

    constraint: str
    without: Change
    weight: int


def costs_of_constraints(
    snapshot: Snapshot,
    mode: Mode,
    seed: int,
    budget: Budget,
    plan: Plan | None = None,
    *,
    most: int = MOST_TRIED,
    progress: Progress | None = None,
) -> Costs:
    """What each constraint of pods, Workloads and pools adds to the plan's cost.

    Args:
        snapshot, mode, seed: as for `decide`.
        budget: of one search; there is one for the reference, and one for each constraint.
        plan: what was decided before, for its bound.
        most: how many constraints are tried.
        progress: called with how many searches are done, and of how many.
    """
    found = sorted(_binding(snapshot, mode), key=lambda rule: -rule.weight)
    tried, left = found[:most], found[most:]
    reference = decide(snapshot, mode, seed=seed, budget=budget)
    bound = reference.lower_bound_micro_usd_hour
    if plan is not None and _placed(snapshot, plan) == _placed(snapshot, reference):
        bound = max(bound, plan.lower_bound_micro_usd_hour)
    costs = []
    for done, rule in enumerate(tried, start=1):
        if progress is not None:
            progress(done, len(tried) + 1)
        without = decide(apply_change(snapshot, rule.without), mode, seed=seed, budget=budget)
        costs.append(_compare(rule, reference, bound, without))
    telling = [cost for cost in costs if cost.micro_usd_hour > 0 or cost.more_pods > 0]
    telling.sort(key=lambda cost: (-cost.more_pods, -cost.micro_usd_hour))
    return Costs(tuple(telling), len(tried), tuple(rule.constraint for rule in left))


def _compare(rule: Rule, reference: Plan, bound: int, without: Plan) -> ConstraintCost:
    """A constraint without which more pods are placed is not compared in dollars."""
    more = _missing(reference) - _missing(without)
    if more:
        return ConstraintCost(rule.constraint, rule.without, 0, 0, max(more, 0))
    difference = reference.cost_after_micro_usd_hour - without.cost_after_micro_usd_hour
    certain = max(0, bound - without.cost_after_micro_usd_hour)
    return ConstraintCost(rule.constraint, rule.without, difference, certain)


def _missing(plan: Plan) -> int:
    return sum(len(one.pods) for one in plan.unplaceable)


def _placed(snapshot: Snapshot, plan: Plan) -> frozenset[str]:
    missing = {uid for one in plan.unplaceable for uid in one.pods}
    return frozenset(pod.uid for pod in pods_to_place(snapshot)) - missing


def _binding(snapshot: Snapshot, mode: Mode) -> Iterator[Rule]:
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
    alike: dict[tuple[str, PodShape], list[Pod]] = {}
    for pod in pods_to_place(snapshot):
        alike.setdefault((_named(pod), pod.shape), []).append(pod)
    for (name, shape), pods in alike.items():
        subject = Subject(name, frozenset(pod.uid for pod in pods))
        yield from (replace(rule, weight=len(pods)) for rule in _of_pods(subject, shape))
    counts = {rule.key: sum(pod.workload == rule.key for pod in snapshot.pods) for rule in snapshot.workloads}
    for workload in snapshot.workloads:
        if counts[workload.key]:
            yield from (replace(rule, weight=counts[workload.key]) for rule in _of_workload(snapshot, workload))
    nobodys = sum(pod.workload is None for pod in pods_to_place(snapshot))
    for pool in snapshot.pools:
        if pool.mode is mode and not pool.deleting:
            # They concern everybody.
            yield from (replace(rule, weight=len(snapshot.pods)) for rule in _of_pool(pool))
            if nobodys and not pool.allow_unmanaged_on_spot:
                words = f"NodePool {pool.name}: pods of no Workload never on spot"
                yield Rule(words, poolchanges.allow_unmanaged(pool), nobodys)


def _named(pod: Pod) -> str:
    return f"{pod.namespace}/{pod.owner.partition('/')[2] or pod.name}"


def _of_pods(subject: Subject, shape: PodShape) -> Iterator[Rule]:
    name = subject.name
    for spread in shape.spread:
        yield Rule(
            f"{name}: spread over {spread.topology_key} (maxSkew {spread.max_skew})", subject.no_spread(spread), 0
        )
    for term in shape.anti_affinity:
        yield Rule(f"{name}: podAntiAffinity over {term.topology_key}", subject.no_term(term, anti=True), 0)
    for term in shape.affinity:
        yield Rule(f"{name}: podAffinity over {term.topology_key}", subject.no_term(term, anti=False), 0)
    for key, value in shape.node_selector:
        yield Rule(f"{name}: nodeSelector {key}={value}", subject.no_selector(key, value), 0)
    for requirement in dict.fromkeys(r for one in shape.affinity_terms for r in one):
        yield Rule(f"{name}: node affinity {requirement}", subject.no_requirement(requirement), 0)
    if shape.host_ports:
        yield Rule(f"{name}: host ports", subject.no_ports(shape), 0)


def _of_workload(snapshot: Snapshot, workload: WorkloadRule) -> Iterator[Rule]:
    if workload.spot != SpotRule():
        least = workload.spot.on_demand_count(workload.replicas)
        words = f"{workload.key}: {least} of {workload.replicas} on demand"
        never = f"{workload.key}: never on spot"
        yield Rule(never if least == workload.replicas else words, changes.all_on_spot(workload), 0)
    for change in shares(snapshot, workload.key):
        # Those of pools are told with the pools.
        if change.name == workload.key:
            yield Rule(f"{workload.key}: maxFractionPerPool {change.before}", change, 0)


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
