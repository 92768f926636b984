"""A quick estimate of what it saves to give back a set of nodes: the guide that finds sets worth a real plan.

All pods of the candidates are grouped once. For each set its pods are packed into what stays free on the other nodes
(first-fit decreasing, fullest first), and those left over pay the prices of the bound for new room. Rules over domains
are kept by leaving pods in the domains that they are in; the real plan, which is made of the few best sets, knows more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spotkube.model import labels as keys
from spotkube.model.cluster import Pool, Snapshot
from spotkube.model.offerings import ON_DEMAND
from spotkube.model.pods import Labels, Pod, PodShape
from spotkube.planner.consolidation.candidates import Candidate
from spotkube.planner.consolidation.fitting import fit
from spotkube.planner.formulation.bins import capacity_type_of
from spotkube.planner.formulation.build import build
from spotkube.planner.formulation.places import NODE_KEYS
from spotkube.planner.problem import NO_LIMIT, BoolArray, FloatArray, IntArray, Problem
from spotkube.planner.solver import Solver

_COPY = "moved/"
# More than any fleet costs: pods that nothing holds.
NOWHERE = 1e15


@dataclass(frozen=True, eq=False)
class Refit:
    """C candidates, G groups, B bins, R resources.

    Attributes:
        problem: of all pods of the candidates and those that wait; its bins are all nodes, with what is free on them.
        holds: [C, G] pods of each candidate.
        bin_of: [C] the bin that each candidate is.
        price: [C] micro-dollars an hour.
        moves: [C] micro-dollars once.
        waiting: [G] pods that have no node.
        value: [G] micro-dollars an hour for new room for one pod, by the duals of the bound.
        least: [G] the cheapest node that takes one of the group.
        hours: the time within which moves have to pay.
        order: the groups, the largest pods first.
        scale: [R] what is free on the average node.
    """

    problem: Problem
    holds: IntArray
    bin_of: IntArray
    price: FloatArray
    moves: FloatArray
    waiting: IntArray
    value: FloatArray
    least: FloatArray
    hours: float
    order: IntArray
    scale: FloatArray

    @property
    def waste(self) -> FloatArray:
        """[C] micro-dollars an hour that each candidate costs above what its pods are worth, less the moves."""
        wasted: FloatArray = self.price - self.holds @ self.value - self.moves / self.hours
        return wasted

    def total(self, gone: BoolArray) -> float:
        """Micro-dollars within the hours, counted from what the nodes cost now."""
        saved = self.price[gone].sum() * self.hours - self.moves[gone].sum()
        return float(self._market(self.left_over(gone)) * self.hours - saved)

    def left_over(self, gone: BoolArray) -> IntArray:
        """[G] pods that find no room on the nodes that stay when these go."""
        problem = self.problem
        count, free, caps = (
            self.waiting + self.holds[gone].sum(axis=0),
            problem.bins.copy(),
            problem.bin_cap_left.copy(),
        )
        stays = np.ones(len(free), np.bool_)
        stays[self.bin_of[gone]] = False
        fit(
            self.order, count, free, problem.bin_compatible & stays, problem.demand, problem.conflict,
            problem.cap_use, caps, self.scale,
        )  # fmt: skip
        left: IntArray = count
        return left

    def _market(self, left: IntArray) -> float:
        """Micro-dollars an hour of new nodes: what the pods are worth, and at least the cheapest that takes each."""
        wanting = left > 0
        if not wanting.any():
            return 0.0
        return float(max(self.value[wanting] @ left[wanting], self.least[wanting].max()))

    def closed(self) -> "Refit":
        """The same with nothing to be bought."""
        return replace(self, value=np.full_like(self.value, NOWHERE))


def make_refit(
    snapshot: Snapshot, pools: Sequence[Pool], candidates: Sequence[Candidate], hours: float, solver: Solver
) -> Refit:
    """The solver is for the prices of pods. A candidate with a pod that has no group is none here."""
    labels = {node.name: node.labels for node in snapshot.nodes}
    on_demand = _bound_to_demand(snapshot, candidates, labels)
    copies = [
        replace(
            pod, uid=_COPY + pod.uid, node=None, nominated=None, gates=(), unschedulable=True,
            shape=_pinned(pod.shape, labels[c.node], on_demand=pod.uid in on_demand),
        )
        for c in candidates
        for pod in c.pods
    ]  # fmt: skip
    built = build(replace(snapshot, pods=(*snapshot.pods, *copies)), pools)
    group_of = {uid: g for g, group in enumerate(built.groups) for uid in group.pods}
    holds = np.zeros((len(candidates), len(built.groups)), np.int64)
    known = np.ones(len(candidates), np.bool_)
    for i, candidate in enumerate(candidates):
        groups = [group_of.get(_COPY + pod.uid, -1) for pod in candidate.pods]
        known[i] = -1 not in groups
        np.add.at(holds[i], [g for g in groups if g >= 0], 1)
    waiting = built.problem.count - holds.sum(axis=0)
    bins = {b.claim: i for i, b in enumerate(built.bins) if b.claim}
    value, least = _prices(built.problem, solver)
    largest = np.maximum(built.problem.bins.max(axis=0, initial=1), 1)
    size = (built.problem.demand / largest).max(axis=1, initial=0.0)
    known &= np.array([c.name in bins for c in candidates], np.bool_)
    return Refit(
        problem=built.problem,
        holds=holds,
        bin_of=np.array([bins.get(c.name, 0) for c in candidates], np.int64),
        price=np.where(known, [float(c.claim.price_micro_usd_hour) for c in candidates], -NOWHERE),
        moves=np.array([float(c.moves_micro_usd) for c in candidates]),
        waiting=waiting,
        value=value,
        least=least,
        hours=hours,
        order=np.argsort(-size, kind="stable"),
        scale=np.maximum(built.problem.bins.mean(axis=0), 1.0),
    )


def _prices(problem: Problem, solver: Solver) -> tuple[FloatArray, FloatArray]:
    """What new room costs for a pod of each group, and the cheapest node that takes one."""
    empty = replace(
        problem, bins=problem.bins[:0], bin_compatible=problem.bin_compatible[:, :0],
        bin_cap_left=problem.bin_cap_left[:, :0], pool_left=np.full_like(problem.pool_left, NO_LIMIT),
        needs=replace(problem.needs, met=problem.needs.met[:, :0]),
        quotas=replace(problem.quotas, bin_domain=problem.quotas.bin_domain[:, :0]),
        risk=None,
    )  # fmt: skip
    least = np.where(problem.compatible, problem.price.astype(float), NOWHERE).min(axis=1, initial=NOWHERE)
    value = solver.bound(empty).pod_value if problem.kinds else np.zeros(problem.groups)
    return np.where(least < NOWHERE, value, NOWHERE), least


def _bound_to_demand(snapshot: Snapshot, candidates: Sequence[Candidate], labels: dict[str, Labels]) -> set[str]:
    """Pods (uids) that keep their Workload's share on demand; those of nodes that are no candidates come first."""
    may_go = {pod.uid for candidate in candidates for pod in candidate.pods}
    standing: dict[str, list[Pod]] = {rule.key: [] for rule in snapshot.workloads}
    for pod in sorted(snapshot.pods, key=lambda pod: (pod.uid in may_go, pod.uid)):
        if pod.workload in standing and pod.node in labels and capacity_type_of(labels[pod.node]) == ON_DEMAND:
            standing[pod.workload].append(pod)
    return {
        pod.uid for rule in snapshot.workloads for pod in standing[rule.key][: rule.spot.on_demand_count(rule.replicas)]
    }


def _pinned(shape: PodShape, labels: Labels, *, on_demand: bool) -> PodShape:
    """The shape in the domain that it stands in, of which rules over domains need not know; needs for company are left
    to the real plan."""
    own = dict(labels)
    over = {term.topology_key for term in (*shape.affinity, *shape.anti_affinity)}
    over |= {rule.topology_key for rule in shape.spread}
    where = {key: own[key] for key in over - NODE_KEYS if key in own}
    if on_demand and keys.CAPACITY_TYPE in own:
        where[keys.CAPACITY_TYPE] = own[keys.CAPACITY_TYPE]
    return replace(
        shape,
        node_selector=tuple(sorted({**where, **dict(shape.node_selector)}.items())),
        spread=tuple(rule for rule in shape.spread if rule.topology_key in NODE_KEYS),
        affinity=(),
        anti_affinity=tuple(term for term in shape.anti_affinity if term.topology_key in NODE_KEYS),
    )
