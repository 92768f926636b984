"""The largest share of a Workload in one spot pool: its pods on spot nodes of one instance type in one zone.

The cloud often takes the machines of such a pool back together. The limit is the Workload's own `maxFractionPerPool`,
or else that of the NodePool, which then counts on its own nodes only.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spotkube.model import labels as keys
from spotkube.model.cluster import Pool, Snapshot, WorkloadRule
from spotkube.model.history import SpotPool
from spotkube.model.offerings import SPOT
from spotkube.model.pods import Labels, Pod
from spotkube.planner.formulation.bins import Bin
from spotkube.planner.formulation.groups import Group
from spotkube.planner.formulation.kinds import Kinds
from spotkube.planner.formulation.risk import spot_pool_of
from spotkube.planner.problem import Quotas


@dataclass(frozen=True, slots=True)
class _Rule:
    """At most `limit` pods of the Workload in each domain; `pool` "" counts the nodes of every NodePool."""

    workload: str
    limit: int
    pool: str = ""


def counted_apart(snapshot: Snapshot, pools: Iterable[Pool]) -> frozenset[str]:
    """The Workloads (their keys) whose pods are grouped by themselves, since such a limit counts them."""
    everywhere = any(pool.max_fraction_per_pool is not None for pool in pools)
    return frozenset(r.key for r in snapshot.workloads if everywhere or r.max_fraction_per_pool is not None)


def most_in_one_pool(fraction: float, replicas: int) -> int:
    """Rounded down to whole pods; one is always allowed."""
    return max(1, int(round(fraction * replicas, 9)))


def make_quotas(
    snapshot: Snapshot,
    groups: Sequence[Group],
    kinds: Kinds,
    bins: Sequence[Bin],
    standing: Iterable[tuple[Pod, Labels]],
) -> Quotas:
    """The limits that pods to place can reach. `standing` are the pods that have a node, with its labels."""
    rules = [rule for rule in _rules(snapshot, kinds.pools) if _can_bind(rule, groups)]
    if not rules:
        return Quotas()
    sold = [SpotPool(o.instance_type, o.zone) if o.capacity_type == SPOT else None for o in kinds.offerings]
    there = [spot_pool_of(b.labels) for b in bins]
    numbers: Mapping[SpotPool, int] = {
        domain: number for number, domain in enumerate(sorted({d for d in (*sold, *there) if d is not None}))
    }
    pool_of = [pool.name for pool in kinds.pools]
    pool_of_bin = [dict(b.labels).get(keys.NODEPOOL, "") for b in bins]
    taken = Counter(
        (pod.workload, dict(labels).get(keys.NODEPOOL, "") if by_pool else "", spot_pool_of(labels))
        for pod, labels in standing
        for by_pool in (False, True)
    )
    return Quotas(
        use=np.array([[g.bundle * (g.quota == rule.workload) for g in groups] for rule in rules], dtype=np.int64),
        domain=np.array(
            [
                [
                    -1 if d is None or rule.pool not in ("", pool_of[kinds.pool[o]]) else numbers[d]
                    for o, d in enumerate(sold)
                ]
                for rule in rules
            ],
            dtype=np.int64,
        ).reshape(len(rules), len(sold)),
        bin_domain=np.array(
            [
                [-1 if d is None or rule.pool not in ("", pool_of_bin[b]) else numbers[d] for b, d in enumerate(there)]
                for rule in rules
            ],
            dtype=np.int64,
        ).reshape(len(rules), len(there)),
        left=np.array(
            [[max(0, rule.limit - taken[rule.workload, rule.pool, d]) for d in numbers] for rule in rules],
            dtype=np.int64,
        ).reshape(len(rules), len(numbers)),
    )


def why_full(snapshot: Snapshot, group: Group, pools: Sequence[Pool]) -> str:
    """The limit that a group is under, in words; empty if there is none."""
    limits = [rule.limit for rule in _rules(snapshot, pools) if group.quota and rule.workload == group.quota]
    if not limits:
        return ""
    return f"of Workload {group.quota} at most {min(limits)} may stand on spot of one instance type in one zone"


def _rules(snapshot: Snapshot, pools: Sequence[Pool]) -> list[_Rule]:
    return [rule for workload in snapshot.workloads for rule in _rules_of(workload, pools)]


def _rules_of(workload: WorkloadRule, pools: Sequence[Pool]) -> Iterable[_Rule]:
    if workload.max_fraction_per_pool is not None:
        yield _Rule(workload.key, most_in_one_pool(workload.max_fraction_per_pool, workload.replicas))
        return
    for pool in pools:
        if pool.max_fraction_per_pool is not None:
            yield _Rule(workload.key, most_in_one_pool(pool.max_fraction_per_pool, workload.replicas), pool.name)


def _can_bind(rule: _Rule, groups: Sequence[Group]) -> bool:
    return any(group.quota == rule.workload for group in groups)
