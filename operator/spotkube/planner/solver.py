"""The parts of one decision that time may end: each gets its part of the budget, or what it got the first time."""

import copy
from collections.abc import Sequence

from spotkube.model.plan import Passes
from spotkube.planner.clock import Clock
from spotkube.planner.problem import Budget, Problem, Result, Solution
from spotkube.planner.relaxation.bound import Bound, lower_bound
from spotkube.planner.search.solve import Choose, cheapest, solve


class Solver:
    """Solves, and keeps what each part of the decision let pass, in the order in which they begin."""

    def __init__(
        self, seed: int, budget: Budget, recorded: Sequence[Passes] | None = None, choose: Choose = cheapest
    ) -> None:
        """With `recorded` no clock decides anything: a part that is not in it stops at once."""
        self.seed = seed
        self._budget, self._recorded, self._choose = budget, recorded, choose
        self._parts: list[Passes | Clock | None] = []

    @property
    def passes(self) -> tuple[Passes | None, ...]:
        """One entry for each part so far; None where somebody broke it off."""
        return tuple(part.passes if isinstance(part, Clock) else part for part in self._parts)

    def within(self, budget: Budget, choose: Choose | None = None) -> "Solver":
        """The same solver with another budget for the parts to come, and perhaps another choice among plans. What they
        let pass is kept with the others."""
        other = copy.copy(self)
        other._budget, other._choose = budget, choose or self._choose
        return other

    def solve(self, problem: Problem, share: float, warm: Solution | None = None) -> Result:
        """As `solve`, within that share of the seconds."""
        result = solve(problem, seed=self.seed, budget=self._part(share), warm=warm, choose=self._choose)
        self._parts.append(result.passes)
        return result

    def bound(self, problem: Problem, share: float = 1.0) -> Bound:
        """As `lower_bound`, within that share of the seconds."""
        bound = lower_bound(problem, self._part(share))
        self._parts.append(bound.passes)
        return bound

    def clock(self, share: float = 1.0) -> Clock:
        """For a part that is no search: whatever ends it by time asks a stop of this clock."""
        part = self._part(share)
        clock = Clock(part.seconds, part.passes)
        self._parts.append(clock)
        return clock

    def _part(self, share: float) -> Budget:
        recorded = None if self._recorded is None else [*self._recorded[len(self._parts) :], ()][0]
        return self._budget.part(share, recorded)
