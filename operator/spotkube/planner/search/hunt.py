# mypy: disable-error-code="arg-type"
"""The search for a good plan: dives into the columns, then generations of children; it can be paused for a proof."""

from collections.abc import Callable

import numpy as np

from spotkube.planner.clock import Clock, Stop
from spotkube.planner.instance import Instance
from spotkube.planner.problem import Budget
from spotkube.planner.progress import Watch
from spotkube.planner.reduced.state import Nodes
from spotkube.planner.relaxation.bound import proven
from spotkube.planner.relaxation.columns import Relaxation, improve
from spotkube.planner.relaxation.pricing import Pricer
from spotkube.planner.search.alternatives import plan_of
from spotkube.planner.search.effort import breeding_for
from spotkube.planner.search.flock import Flock, flock_of
from spotkube.planner.search.genetic import Search
from spotkube.planner.search.rounding import dive, pack_left
from spotkube.planner.search.scoring import score

# Where it is enough to come near: until which parts of the seconds columns are sought, and then dived into to see how
# near that comes.
LOOKS = ((0.1, 0.15), (0.22, 0.3))


class Hunt:
    """One search over all its parts. `plans` are those at hand, and the dives add to them."""

    def __init__(
        self,
        instance: Instance,
        relaxation: Relaxation,
        pricer: Pricer,
        plans: list[Nodes],
        budget: Budget,
        watch: Watch,
    ) -> None:
        self._instance, self._relaxation, self._pricer = instance, relaxation, pricer
        self._plans, self._budget, self._watch = plans, budget, watch
        self._search: Search | None = None
        self.steps = 0
        """Nodes of dives, and generations."""

    def look(self, seed: int, clock: Clock) -> bool:
        """Whether a dive into the first columns already is as good as the budget asks for: most plans of many pods are.

        With a budget that asks for the best there is, nothing is done.
        """
        if clock.answer(self._budget.enough is None):
            return False
        for columns, dives in LOOKS:
            improve(self._instance, self._relaxation, self._pricer, clock.stop(columns), self._budget.column_rounds)
            self._watch.bound(proven(self._relaxation))
            stop = clock.stop(dives)
            if not stop():
                self._dive_once(seed, 0, stopper(self._budget.generations, stop))
            if clock.answer(self._watch.is_settled(self._budget.enough)):
                return True
        return False

    def gather(self, seed: int) -> None:
        """Makes a front of the plans at hand."""
        self._search = Search(self._instance, self._relaxation, self._pricer, self._plans, seed)

    def begin(self, seed: int, stop: Stop) -> None:
        """Dives, then breeds until `stop`, or until little can still be saved."""
        try:
            if self._dive(seed, stop):
                self._search = Search(self._instance, self._relaxation, self._pricer, self._plans, seed)
                self._breed(self._search, stop)
        except KeyboardInterrupt:
            stop.break_off()

    def go_on(self, stop: Stop) -> None:
        """Breeds until `stop`, unless a proof made meanwhile says that little can still be saved."""
        if self._watch.is_settled(self._budget.enough):
            stop.finish()
        try:
            if self._search is not None:
                self._breed(self._search, stop)
        except KeyboardInterrupt:
            stop.break_off()

    def cheapest(self) -> Nodes:
        """The plan at hand that leaves out fewest pods, and then costs least."""
        if self._search is None:
            return best_of(self._instance, self._plans)
        return plan_of(self._instance, self._search.front, 0)

    def front(self) -> Flock:
        """The plans that no other beats in all objectives, the cheapest first."""
        if self._search is None:
            return flock_of(self._instance.arrays, [best_of(self._instance, self._plans)])
        self._search.spread()
        return self._search.front

    def _dive(self, seed: int, stop: Stop) -> bool:
        """Whether there is anything left to breed for."""
        stopped = stopper(self._budget.generations, stop)
        for number in range(breeding_for(self._instance.problem.groups, self._relaxation.gap).dives):
            latest = self._dive_once(seed, number, stopped)
            if latest is not None and is_free(self._instance, latest):
                return False
            if stopped(self.steps):
                break
        return True

    def _dive_once(self, seed: int, number: int, stopped: Callable[[int], bool]) -> Nodes | None:
        """The plan that it came to, if it came to any. The first one leaves nothing to chance."""
        chance = np.random.default_rng((seed, number)) if number else None
        latest: Nodes | None = None
        for nodes in dive(self._instance, self._relaxation, self._pricer, chance):
            latest, self.steps = nodes, self.steps + 1
            if stopped(self.steps):
                break
        if latest is not None:
            pack_left(self._instance, self._relaxation, self._pricer, latest)
            self._plans.append(latest)
            self._watch.plan(*score(self._instance.arrays, latest)[:2])
        return latest

    def _breed(self, search: Search, stop: Stop) -> None:
        stopped = stopper(self._budget.generations, stop)
        if stopped(self.steps):
            return
        for _ in search.generations(stop):
            self.steps += 1
            self._watch.plan(*search.best())
            if self._watch.is_settled(self._budget.enough):
                stop.finish()
            if stopped(self.steps):
                break


def best_of(instance: Instance, plans: list[Nodes]) -> Nodes:
    """Most pods placed, by their ranks; then cheapest with what preferences cost, then safest."""

    def order(nodes: Nodes) -> tuple[int, float, float, float]:
        missing, cost, unmet, interruption, tail = score(instance.arrays, nodes)
        return missing, cost + unmet, interruption, tail

    return min(plans, key=order)


def is_free(instance: Instance, nodes: Nodes) -> bool:
    """Whether the plan holds all pods that can be placed, buys nothing and meets all preferences.

    None is better: what is there is filled before anything is bought, also for less risk.
    """
    _, cost, unmet, _, _ = score(instance.arrays, nodes)
    return not (nodes.remain[instance.placeable] > 0).any() and cost + unmet == 0.0


def stopper(limit: int | None, stop: Stop) -> Callable[[int], bool]:
    def stopped(done: int) -> bool:
        return (limit is not None and done >= limit) or stop()

    return stopped
