"""Which pattern of pods a node of each kind would hold best at given prices, and how much it could hold at most."""

import numpy as np

from spotkube.planner.clock import Stop
from spotkube.planner.instance import Instance
from spotkube.planner.packing.packing import price_holders
from spotkube.planner.packing.scratch import Work, make_work
from spotkube.planner.problem import FloatArray, IntArray
from spotkube.planner.relaxation.exact import exact_pattern
from spotkube.planner.relaxation.master import Duals
from spotkube.planner.relaxation.proof import Proof, charges
from spotkube.planner.threads import THREADS, share_out

# A search of so many branches is worth several threads.
SHARED_FROM = 60


class Pricer:
    """Prices holders, and remembers for each where its bound was tight."""

    def __init__(self, instance: Instance, threads: int = THREADS) -> None:
        self.instance = instance
        groups, resources = instance.arrays.demand.shape
        shape = groups, resources, instance.arrays.caps.shape[1], instance.arrays.met.shape[1]
        self.works = [make_work(*shape) for _ in range(threads)]
        self.work: Work = self.works[0]
        self.lean = np.flatnonzero(instance.arrays.lean)
        self.mu = np.zeros((instance.holders, resources))

    def price(
        self,
        holders: IntArray,
        stock: IntArray,
        duals: Duals,
        bars: FloatArray,
        branches: int,
        step: float,
        stop: Stop | None = None,
    ) -> tuple[IntArray, FloatArray, FloatArray]:
        """(patterns [n, G], their worth [n], upper bounds [n]) for the holders listed.

        Where `stop` ends it they get no pattern, and an upper bound of infinity.
        """
        patterns, found, upper = self._nothing(holders)
        value, mu = duals.pod(self.instance), self.mu.copy()

        def some(work: Work, part: slice) -> None:
            price_holders(
                self.instance.arrays, work, holders[part], stock, value, mu, bars[part], branches, step,
                patterns[part], found[part], upper[part],
            )  # fmt: skip

        def one(work: Work, turn: int) -> None:
            if stop is None or not stop.near():
                some(work, slice(turn, turn + 1))

        if branches >= SHARED_FROM:
            share_out(self.works, len(holders), one)
            if stop is not None and stop():
                return self._nothing(holders)
        else:
            some(self.works[0], slice(None))
        if np.isfinite(upper).all():
            self.mu = mu
        return patterns, found, upper

    def price_exactly(
        self, holders: IntArray, stock: IntArray, duals: Duals, bars: FloatArray, stop: Stop
    ) -> tuple[IntArray, FloatArray, FloatArray]:
        """The same, with bounds that are the worth of the best patterns, but for bounds below the bars."""
        patterns, found, upper = self._nothing(holders)
        value = duals.pod(self.instance)

        def one(_: Work, i: int) -> None:
            if not stop.near():
                h = int(holders[i])
                patterns[i], found[i], upper[i] = exact_pattern(self.instance, h, stock, value, self.mu[h], bars[i])

        share_out(self.works, len(holders), one)
        return self._nothing(holders) if stop() else (patterns, found, upper)

    def _nothing(self, holders: IntArray) -> tuple[IntArray, FloatArray, FloatArray]:
        shape = len(holders), self.instance.problem.groups
        return np.zeros(shape, np.int64), np.zeros(len(holders)), np.full(len(holders), np.inf)

    def by_promise(self, proof: Proof | None) -> IntArray:
        """The lean holders, those first that hold most worth for their price. A search that begins there ends early."""
        if proof is None:
            return self.lean
        pay = np.maximum(self.instance.arrays.price + charges(self.instance, proof.duals), 1.0)
        return self.lean[np.argsort(-(proof.upper / pay)[self.lean], kind="stable")]
