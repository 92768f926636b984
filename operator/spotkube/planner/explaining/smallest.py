"""The smallest change that gives pods a place: the fewest changes, and of as many the ones that ask least of the user.

Each offering, in each pool, and each node has a set of hurdles; what takes them away is a candidate, and the rules that
hold between pods, quotas and limits add to it. Candidates are tried in their order (`Trials`), so that what is told is
what the planner does, and at last each change of it is left out once, to see that it is needed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from spotkube.model.cluster import Pool
from spotkube.model.explanation import NODE_POOL, Change
from spotkube.planner.explaining import poolchanges
from spotkube.planner.explaining.changes import RANKS
from spotkube.planner.explaining.hurdles import Hurdle, Limits, Step
from spotkube.planner.explaining.trials import Outcome, Trials
from spotkube.planner.formulation.limits import limits_of
from spotkube.planner.problem import BoolArray, IntArray

# More changes at once than this are no advice.
MOST_CHANGES = 5
# So many changes count a NodePool that has to be written, and passes by the limits of those that there are; and a
# higher priority, which takes from others what it gives.
_COUNTS = {RANKS["new pool"]: 5, RANKS["priority"]: 3}
_MOST_COUNTED = MOST_CHANGES + 4
# Limits are raised by so many nodes more than are needed at least, one after the other.
_SPARE_NODES = (0, 1, 3)
# One limit raised by so much more may do where two were raised.
_STRETCHED = (1.0, 1.5, 2.0)
# Of the sets of hurdles that offerings have, the smallest so many are looked at.
_MOST_BASES = 12


@dataclass(frozen=True, eq=False)
class Base:
    """Steps that take away all hurdles of some rows."""

    steps: tuple[Step, ...]
    rows: IntArray

    def with_room_of_others(self, priority: Change) -> "Base":
        """The same within the limits as they are, with the priority to take what others have."""
        return Base((*(step for step in self.steps if not isinstance(step, Limits)), priority), self.rows)

    @property
    def order(self) -> tuple[int, int]:
        return size_of(self.steps), sum(step.rank for step in self.steps)


def size_of(steps: Iterable[Step]) -> int:
    return sum(_COUNTS.get(step.rank, 1) for step in steps)


def bases_of(hurdles: Sequence[Hurdle], price: IntArray) -> list[Base]:
    """The smallest sets of steps that open some row, cheapest row first on ties."""
    blocked = np.array([hurdle.blocked for hurdle in hurdles], dtype=np.bool_).reshape(len(hurdles), len(price))
    final = np.array([hurdle.fix is None for hurdle in hurdles], dtype=np.bool_)
    rows = np.flatnonzero(~blocked[final].any(axis=0))
    open_to = [hurdle for hurdle in hurdles if hurdle.fix is not None]
    patterns, number = _patterns(blocked[~final][:, rows])
    ranks = np.array([hurdle.rank for hurdle in open_to], dtype=np.int64)
    cheapest = [int(price[rows[number == n]].min()) for n in range(len(patterns))]
    order = sorted(range(len(patterns)), key=lambda n: (patterns[n].sum(), ranks[patterns[n]].sum(), cheapest[n]))
    bases = []
    for n in order[:_MOST_BASES]:
        there = rows[number == n]
        fixes = [open_to[h].fix for h in np.flatnonzero(patterns[n])]
        bases.append(Base(tuple(fix(there) for fix in fixes if fix is not None), there))
    return bases


def _patterns(blocked: BoolArray) -> tuple[list[BoolArray], IntArray]:
    """The different columns, and [rows] which of them each row has."""
    packed = np.packbits(blocked, axis=0) if len(blocked) else np.zeros((1, blocked.shape[1]), np.uint8)
    if not packed.shape[1]:
        return [], np.zeros(0, np.int64)
    _, first, number = np.unique(packed, axis=1, return_index=True, return_inverse=True)
    return [blocked[:, column] for column in first], number.reshape(-1).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Search:
    """`bases` open offerings; `rules` are what may have to go besides, `pools` those whose limits may."""

    bases: Sequence[Base]
    rules: Sequence[Change]
    pools: Sequence[Limits]
    trials: Trials
    _hopeless: set[int] = field(default_factory=set)
    _late: list[tuple[Change, ...]] = field(default_factory=list)

    def smallest(self) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
        """The smallest set of changes, and one as small that others would make: NodePools' owners, if the first is of
        pods and Workloads alone, and the other way round. Either is empty where none was found."""
        for size in range(1, _MOST_COUNTED + 1):
            made = next(self._working_of(size), None)
            if made is not None:
                found = self._needed(made)
                others = self._working_of(size_of(found), of_pools=not _of_pools(found))
                return found, next((other for other in others if self._needed(other) == other), ())
        return (), ()

    def _working_of(self, size: int, of_pools: bool | None = None) -> Iterator[tuple[Change, ...]]:
        """Sets of this size that place the pods; with `of_pools` only those that change NodePools, or that don't.

        Sets that turn out to be larger, since several limits bind, come late, in their turn.
        """
        yield from [made for made in self._late if size_of(made) == size and of_pools in (None, _of_pools(made))]
        for number, steps in self._candidates(size):
            if number in self._hopeless or self.trials.exhausted or of_pools not in (None, _of_pools(steps)):
                continue
            base = self.bases[number]
            if len(steps) > len(base.steps) and not self._hopeful(base):
                self._hopeless.add(number)
                continue
            made = self._working(steps)
            if made and size_of(made) <= size:
                yield made
            elif made:
                self._late.append(made)

    def _candidates(self, size: int) -> Iterator[tuple[int, tuple[Step, ...]]]:
        """Sets of this size with the number of their base, in the order of what they ask of the user."""
        found: list[tuple[int, int, tuple[Step, ...]]] = []
        for number, base in enumerate(self.bases):
            more = size - size_of(base.steps)
            optional: tuple[Step, ...] = (*self.rules, *self.pools)
            besides = [step for step in optional if step not in base.steps]
            if 0 <= more <= 3 and len(base.steps) + more <= MOST_CHANGES:
                for extra in combinations(besides, more):
                    steps: tuple[Step, ...] = (*base.steps, *extra)
                    found.append((sum(step.rank for step in steps), number, steps))
        for _, number, steps in sorted(found, key=lambda one: one[:2]):
            yield number, steps

    def _hopeful(self, base: Base) -> bool:
        """Whether the base helps at all, with everything else out of the way."""
        lifted = [change for limits in self._limits_of(base) for change in poolchanges.no_limits(limits.pool)]
        return self.trials.place((*_changes(base.steps), *self.rules, *lifted))

    def _limits_of(self, base: Base) -> Iterable[Limits]:
        return {step.pool.name: step for step in (*base.steps, *self.pools) if isinstance(step, Limits)}.values()

    def _working(self, steps: Sequence[Step]) -> tuple[Change, ...]:
        """The steps as changes, if they place the pods.

        Limits are raised to what a plan without them comes to: one for these pods alone, by some nodes more where that
        turns out too tight, and else one for all others that have no place as well, who may take the room.
        """
        made = _changes(steps)
        pools = [step.pool for step in steps if isinstance(step, Limits)]
        if not pools:
            return made if self._place(made) else ()
        lifted = [change for pool in pools for change in poolchanges.no_limits(pool)]
        for alone in (False,) if self.trials.alone else (True, False):
            outcome = self.trials.run((*made, *lifted), alone=alone)
            if outcome is None or not self.trials.placed(outcome):
                return ()
            for spare in _SPARE_NODES:
                raised = [change for pool in pools for change in _raised(pool, outcome, spare)]
                if raised and self._place((*made, *raised)):
                    return (*made, *raised)
        return ()

    def _place(self, made: Sequence[Change]) -> bool:
        return self.trials.place(made, surely=bool(self.pools))

    def _needed(self, made: tuple[Change, ...]) -> tuple[Change, ...]:
        """Without changes that turn out not to be needed."""
        for change in sorted(made, key=lambda change: -change.rank):
            rest = tuple(other for other in made if other != change)
            for more in _STRETCHED if _raises_limits(rest) else _STRETCHED[:1]:
                fewer = tuple(poolchanges.stretched(other, more) for other in rest)
                if fewer and self._place(fewer):
                    return self._needed(fewer)
        return made


def _raises_limits(made: Iterable[Change]) -> bool:
    return any(change.rank == RANKS["limits"] for change in made)


def _raised(pool: Pool, outcome: Outcome, spare: int) -> Iterator[Change]:
    """Raises the limits that the outcome, and so many nodes more, go beyond."""
    for name, limit in limits_of(pool).items():
        needed = outcome.held[pool.name][name] + spare * outcome.node[pool.name][name]
        if needed > limit:
            yield poolchanges.raise_limit(pool, name, needed)


def _of_pools(steps: Sequence[Step]) -> bool:
    """Whether NodePools would have to be changed."""
    return any(isinstance(step, Limits) or step.kind == NODE_POOL for step in steps)


def _changes(steps: Iterable[Step]) -> tuple[Change, ...]:
    return tuple(step for step in steps if isinstance(step, Change))
