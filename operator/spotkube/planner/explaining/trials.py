"""A change tried: it is made in the Snapshot, and that is planned anew with little work."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spotkube.model import labels as keys
from spotkube.model.cluster import Claim, ClaimPhase, Mode, Pool, Snapshot
from spotkube.model.explanation import Change
from spotkube.model.offerings import Offering
from spotkube.model.plan import Plan
from spotkube.planner.explaining.apply import apply_changes
from spotkube.planner.explaining.changes import RANKS
from spotkube.planner.formulation.assembling import Built
from spotkube.planner.formulation.kinds import node_labels
from spotkube.planner.formulation.limits import limit_use, used
from spotkube.planner.formulation.waiting import pods_to_place
from spotkube.planner.problem import Budget, Result
from spotkube.planner.rounds import plan_in_rounds
from spotkube.planner.solver import Solver

# Enough to place what can be placed; a cheaper plan is not the question.
_WORK = Budget(seconds=None, column_rounds=6, generations=2)
# Within tight limits it hangs on the search whether all pods find room: what is told holds for others as well.
_OTHER_WORKS = tuple(Budget(seconds=None, column_rounds=rounds, generations=2) for rounds in (3, 12))
# With more pods than this, the plan stands as it is and only the pods in question are planned.
WHOLE_PODS = 150


@dataclass(frozen=True, eq=False)
class Outcome:
    """What planning anew came to: the pods (uids) without a place, and what each pool (by name) holds then.

    `node` is the most of each that one node to buy of the pool holds.
    """

    unplaced: frozenset[str]
    held: dict[str, Counter[str]]
    node: dict[str, Counter[str]]


class Trials:
    """Tries changes for some pods that a plan left without a place, `limit` times at most."""

    def __init__(
        self,
        snapshot: Snapshot,
        mode: Mode,
        plan: Plan,
        pods: Iterable[str],
        limit: int,
        offerings: tuple[Offering, ...] | None = None,
    ) -> None:
        """`offerings`: those that are tried, None for all. `alone` says that nobody else is without a place."""
        self._wanted = frozenset(pods)
        self._missing = frozenset(uid for one in plan.unplaceable for uid in one.pods)
        self._snapshot, self._mode, self._limit = snapshot, mode, limit
        if len(pods_to_place(snapshot)) > WHOLE_PODS:
            self._snapshot = settled(snapshot, plan, self._missing - self._wanted)
            self._missing = self._wanted
        if offerings is not None:
            self._snapshot = replace(self._snapshot, offerings=offerings)
        others = self._missing - self._wanted
        self.alone = not others
        self._without_others = replace(
            self._snapshot, pods=tuple(pod for pod in self._snapshot.pods if pod.uid not in others)
        )
        self._known: dict[tuple[frozenset[Change], Budget, bool], Outcome] = {}

    @property
    def exhausted(self) -> bool:
        return len(self._known) >= self._limit

    def run(self, changes: Iterable[Change], work: Budget = _WORK, *, alone: bool = False) -> Outcome | None:
        """What the changes come to; None where no more may be tried. `alone`: without others that have no place."""
        made = frozenset(changes)
        if (made, work, alone) not in self._known:
            if self.exhausted:
                return None
            ordered = sorted(made, key=lambda change: (change.rank, change.words))
            self._known[made, work, alone] = self._plan(
                self._without_others if alone else self._snapshot, ordered, work
            )
        return self._known[made, work, alone]

    def place(self, changes: Iterable[Change], *, surely: bool = False) -> bool:
        """Whether with the changes all of the pods have a place, and nobody lost theirs for it but to their priority.

        `surely`: by other searches too.
        """
        made = tuple(changes)
        works = (_WORK, *_OTHER_WORKS) if surely else (_WORK,)
        outcomes = (self.run(made, work) for work in works)
        prior = any(change.rank == RANKS["priority"] for change in made)
        return all(outcome is not None and self.placed(outcome, prior=prior) for outcome in outcomes)

    def placed(self, outcome: Outcome, *, prior: bool = False) -> bool:
        """`prior`: others may have lost their place."""
        room = len(self._missing) - len(self._wanted)
        return not (outcome.unplaced & self._wanted) and (prior or len(outcome.unplaced) <= room)

    def _plan(self, snapshot: Snapshot, changes: Sequence[Change], work: Budget) -> Outcome:
        snapshot = apply_changes(snapshot, changes)
        pools = [pool for pool in snapshot.pools if pool.mode is self._mode and not pool.deleting]
        built, result = plan_in_rounds(snapshot, pools, Solver(work.column_rounds or 0, work))
        unplaced = {uid for one in built.unplaceable for uid in one.pods}
        for group, missing in zip(built.groups, result.solution.unplaced, strict=True):
            unplaced |= set(group.pods[len(group.pods) - int(missing) * group.bundle :])
        return Outcome(frozenset(unplaced), *_held(snapshot, built, result))


def settled(snapshot: Snapshot, plan: Plan, leave_out: frozenset[str] = frozenset()) -> Snapshot:
    """The snapshot as if the plan were being carried out: a claim for each node, the pods nominated onto theirs."""
    pools = {pool.name: pool for pool in snapshot.pools}
    claims = [_claim(f"planned-{n}", pools[node.pool], node.offering) for n, node in enumerate(plan.additions)]
    targets = {placement.pod: placement.target for placement in plan.placements}
    for claim, node in zip(claims, plan.additions, strict=True):
        targets |= dict.fromkeys(node.pods, claim.name)
    pods = [
        replace(pod, node=None, nominated=targets[pod.uid]) if pod.uid in targets else pod
        for pod in snapshot.pods
        if pod.uid not in leave_out
    ]
    return replace(snapshot, pods=tuple(pods), claims=(*snapshot.claims, *claims))


def _claim(name: str, pool: Pool, offering: Offering) -> Claim:
    return Claim(
        name=name,
        uid=name,
        pool=pool.name,
        offering=offering.key,
        price_micro_usd_hour=offering.price_micro_usd_hour,
        allocatable=offering.allocatable,
        labels=tuple(sorted({**dict(node_labels(pool, offering)), keys.NODECLAIM: name}.items())),
        taints=pool.taints,
        phase=ClaimPhase.PENDING,
    )


def _held(snapshot: Snapshot, built: Built, result: Result) -> tuple[dict[str, Counter[str]], dict[str, Counter[str]]]:
    """By pool, what its nodes come to after the plan (each resource, NODES and DOLLARS), and the most of one node."""
    held: dict[str, Counter[str]] = {pool.name: used(snapshot, pool) for pool in built.kinds.pools}
    most: dict[str, Counter[str]] = {pool.name: Counter() for pool in built.kinds.pools}
    kinds, numbers = np.unique(result.solution.node_kind, return_counts=True)
    for kind, number in zip(kinds, numbers, strict=True):
        offering = built.kinds.offerings[kind]
        pool, one = built.kinds.pools[built.kinds.pool[kind]].name, Counter(limit_use(offering))
        held[pool].update({name: amount * int(number) for name, amount in one.items()})
        most[pool] |= one
    return held, most
