"""From a Snapshot to the planner's Problem, and the names that lead back from its arrays to pods and offerings."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from spotkube.model.cluster import Pool, Snapshot
from spotkube.model.offerings import ON_DEMAND, SPOT
from spotkube.model.pods import NEVER_ON_SPOT, Pod, PodShape, shapes_of
from spotkube.model.resources import ResourceList
from spotkube.planner.formulation import limits
from spotkube.planner.formulation.assembling import Built, assemble
from spotkube.planner.formulation.bins import KeptBins, by_node, capacity_type_of, make_bins, standing_elsewhere
from spotkube.planner.formulation.groups import (
    Group,
    OnDemandNeed,
    group_pods,
    is_whole_by_choice,
    project,
    selected_keys,
)
from spotkube.planner.formulation.kinds import make_kinds
from spotkube.planner.formulation.ledger import Ledger, Part
from spotkube.planner.formulation.namespaces import with_namespaces
from spotkube.planner.formulation.places import Places, other_nodes
from spotkube.planner.formulation.preferences import with_preferences
from spotkube.planner.formulation.quotas import counted_apart, make_quotas
from spotkube.planner.formulation.risk import make_risk
from spotkube.planner.formulation.scopes import Scope
from spotkube.planner.formulation.subjects import Subjects
from spotkube.planner.formulation.together import bring_together
from spotkube.planner.formulation.waiting import pods_to_place
from spotkube.planner.problem import IntArray


def build(
    snapshot: Snapshot,
    pools: Sequence[Pool],
    most: Mapping[Part, int] | None = None,
    bought: frozenset[int] = frozenset(),
    apart: frozenset[Scope] = frozenset(),
    kept: KeptBins | None = None,
) -> Built:
    """The problem of placing what waits onto what is there, whosever it is, and onto what `pools` may still buy.

    `most` is how many pods an earlier solution found room for, where it was less than what a domain had been given;
    `bought` are kinds that it bought and whose domains spreads have to reckon with; `apart` are spreads that held pods
    back for fear that they count others, whom they are now told apart from; `kept` as for `make_bins`.
    """
    snapshot = with_namespaces(snapshot)
    bins = make_bins(snapshot, kept)
    settled = {pod.uid for b in bins for pod in b.residents}
    pods = [pod for pod in pods_to_place(snapshot) if pod.uid not in settled]
    elsewhere = standing_elsewhere(snapshot, bins)
    residents = [(pod, b.labels) for b in bins for pod in b.residents] + elsewhere
    kinds = make_kinds(snapshot, pools)
    there = by_node(residents, capacity_type_of)
    needs = on_demand_needs(snapshot, Counter(pod.workload for pod, kind in there if kind == ON_DEMAND))
    together = bring_together(pods, kinds, bins, needs, residents)
    pods, pinned = together, together != pods
    keys = selected_keys([*pods, *(pod for pod, _ in residents)])
    groups = group_pods(pods, keys, needs, counted_apart(snapshot, pools))
    pinned |= any(is_whole_by_choice(group, groups) for group in groups)
    places = Places(kinds, bins, other_nodes(snapshot, bins))
    rows = [(pod, len(kinds) + b) for b, bin_ in enumerate(bins) for pod in bin_.residents]
    rows += [(pod, row) for pod, _ in elsewhere if (row := places.row_of(pod.node or "")) is not None]
    subjects = Subjects([*(g.subject for g in groups), *((p.namespace, project(p.labels, keys)) for p, _ in rows)])
    ledger = Ledger(places, subjects, rows, keys, most or {})
    built = assemble(snapshot, groups, kinds, bins, ledger, limits.left_over(snapshot, kinds.pools), bought, apart)
    problem = replace(
        with_preferences(built.problem, built.groups, kinds, snapshot.preference_percent),
        quotas=make_quotas(snapshot, built.groups, kinds, bins, residents),
        rank=_ranks(built.groups),
        risk=make_risk(snapshot, built.problem, built.groups, kinds, bins, residents),
    )
    return replace(built, problem=problem, narrowed=built.narrowed or pinned)


def build_fleet(snapshot: Snapshot, pools: Sequence[Pool], placed: Mapping[str, str]) -> Built:
    """The problem of holding the `placed` pods from nothing, without limits: what the bound is taken of.

    Args:
        snapshot, pools: as for `build`.
        placed: the capacity type of the node that each pod (its uid) has in the end.

    Whatever could lift the bound above the cost of what stands already is left out: spreads and pod affinity, since
    pods that run may have come to stand unevenly, and alone; spot rules, where what runs does not keep them; what a
    purchase costs today.
    """
    snapshot = with_namespaces(snapshot)
    pods = _as_placed([pod for pod in snapshot.pods if pod.uid in placed])
    kinds = make_kinds(snapshot, pools, whole_fleet=True)
    on_demand = Counter(pod.workload for pod in pods if placed[pod.uid] == ON_DEMAND)
    on_spot = {pod.workload for pod in pods if placed[pod.uid] == SPOT}
    needs = {
        key: OnDemandNeed(min(need.pods, on_demand[key]), need.never_on_spot and key not in on_spot)
        for key, need in on_demand_needs(snapshot, Counter()).items()
    }
    keys = selected_keys(pods)
    let = {uid for uid, capacity_type in placed.items() if capacity_type == SPOT}  # as they are there already
    groups = group_pods(pods, keys, needs, open_ended=True, let=let)
    ledger = Ledger(Places(kinds, (), ()), Subjects(group.subject for group in groups), (), keys, {})
    return assemble(snapshot, groups, kinds, (), ledger, [{} for _ in kinds.pools], None)


def on_demand_needs(snapshot: Snapshot, there: Counter[str | None]) -> dict[str, OnDemandNeed]:
    """What each Workload's spot rule leaves to be placed on demand, after its pods that are `there` already."""
    return {
        rule.key: OnDemandNeed(
            pods=max(0, rule.spot.on_demand_count(rule.replicas) - there[rule.key]),
            never_on_spot=rule.spot == NEVER_ON_SPOT,
        )
        for rule in snapshot.workloads
    }


def _as_placed(pods: Sequence[Pod]) -> list[Pod]:
    """The pods without spreads, pod affinity and volumes."""
    bare = {id(shape): _bare(shape) for shape in shapes_of(pods)}
    return [p if (shape := bare[id(p.shape)]) is p.shape else replace(p, shape=shape) for p in pods]


def _bare(shape: PodShape) -> PodShape:
    if not (shape.spread or shape.affinity or shape.attachments or shape.shared_attachments):
        return shape
    return replace(shape, spread=(), affinity=(), attachments=ResourceList(), shared_attachments=ResourceList())


def _ranks(groups: Sequence[Group]) -> IntArray:
    """[G] the priorities of their pods, and of the same priority Jobs below others, as small numbers."""
    priorities = [(group.shape.priority, not group.batch) for group in groups]
    order = {priority: rank for rank, priority in enumerate(sorted(set(priorities)))}
    return np.array([order[priority] for priority in priorities], dtype=np.int64)
