"""Looks for sets of nodes to give back, by the quick estimate: blocks of nodes first, then exchanges of few."""

from dataclasses import dataclass, field

import numpy as np

from spotkube.planner.clock import Stop
from spotkube.planner.consolidation.refit import Refit
from spotkube.planner.problem import BoolArray, IntArray

# Exchanges for each candidate, and how many nodes one of them turns at most each way.
EXCHANGES, MOST_TURNED = 50, 3


@dataclass(eq=False)
class Regrouping:
    """The best set found. `stop` ends the search; `tried` counts the sets."""

    refit: Refit
    stop: Stop
    tried: int = 0
    best: BoolArray = field(init=False)
    _total: float = 0.0

    def __post_init__(self) -> None:
        self.best = np.zeros(len(self.refit.price), np.bool_)
        self._total = self.refit.total(self.best)

    def run(self, chance: np.random.Generator) -> None:
        order = np.argsort(-self.refit.waste, kind="stable")
        self._blocks(order)
        self._exchange(chance)

    def _blocks(self, order: IntArray) -> None:
        """Turns what is better so: half of all nodes, then ever smaller blocks, at last each by itself."""
        size = max(1, len(order) // 2)
        while True:
            for start in range(0, len(order), size):
                for turn in (True, False):
                    gone = self.best.copy()
                    gone[order[start : start + size]] = turn
                    if (gone != self.best).any() and not self._try(gone):
                        return
            if size == 1:
                return
            size //= 2

    def _exchange(self, chance: np.random.Generator) -> None:
        """Gives some nodes back instead of others, as long as that saves."""
        for _ in range(EXCHANGES * len(self.best)):
            gone = self.best.copy()
            leaving, staying = np.flatnonzero(gone), np.flatnonzero(~gone)
            for nodes, turn in ((leaving, False), (staying, True)):
                most = min(MOST_TURNED, len(nodes))
                gone[chance.permutation(nodes)[: chance.integers(most + 1)]] = turn
            if (gone != self.best).any() and not self._try(gone):
                return

    def _try(self, gone: BoolArray) -> bool:
        """Keeps the set if it is better; False where there is no time for it."""
        if self.stop():
            return False
        self.tried += 1
        total = self.refit.total(gone)
        if total < self._total:
            self.best, self._total = gone, total
        return True
