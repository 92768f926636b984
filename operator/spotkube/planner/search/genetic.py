"""The genetic search: DEAP's NSGA-II over whole plans. Its objectives are dollars an hour, what interruptions are
expected to cost, and how many pods are lost together when it goes badly.

A plan is its rows of like nodes. Children take rows of two parents, or all of one; the compiled call then repairs them,
guided by the duals, and works on each with rounds of ruin and recreate. Others are rebuilt of one parent by dives. The
cheapest plans always survive. Some children may have no more than so many pods in one spot pool: so the front comes
to plans that lose less together. It is kept beside the population, whole plans that any policy may pick.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from deap import base, tools

from spotkube.planner.clock import Stop
from spotkube.planner.instance import Instance
from spotkube.planner.packing.scratch import Work
from spotkube.planner.problem import FloatArray, IntArray
from spotkube.planner.reduced.expand import rows_needed
from spotkube.planner.reduced.state import Left, Nodes, make_nodes
from spotkube.planner.relaxation.columns import Relaxation
from spotkube.planner.relaxation.pricing import Pricer
from spotkube.planner.search.effort import breeding_for
from spotkube.planner.search.flock import Flock, Recipes, breed, flock_of, rows_of, select
from spotkube.planner.search.front import spread, undominated
from spotkube.planner.search.limited import Limited
from spotkube.planner.search.rebuild import Rebuilder
from spotkube.planner.search.rest import Pool
from spotkube.planner.search.rounding import pod_values
from spotkube.planner.search.scoring import by_price
from spotkube.planner.search.spreading import Spreader
from spotkube.planner.threads import share_out

POPULATION = 16
# Nodes that one round of ruin and recreate may take away.
MOST_NODES = (3, 6, 10)
# A child that is to lose less together may have so much of what its mother loses, at least.
LEAST_LIMIT = 0.6
# How much dearer a plan may be for a while, in prices of its average node.
HEATS = (0.0, 0.02, 0.1)
# Of the children, those of the few cheapest plans only; the others come from tournaments over the front.
CHEAP_SHARE = 0.8
ELITE = 3
FRONT_POINTS = 20
# In the fitness this is what each step costs in the order of what plans leave out: more than any nodes.
MISSING = 1e15


class Fitness(base.Fitness):  # type: ignore[misc]
    """Micro-dollars an hour with what is left out or not preferred, those that interruptions are expected to cost, and
    pods lost together; all to be small."""

    weights = (-1.0, -1.0, -1.0)


class Individual:
    """Plan `index` of a flock, as DEAP wants to see it."""

    def __init__(self, source: int, index: int, flock: Flock, missing: int) -> None:
        self.source, self.index = source, index
        self.fitness = Fitness()
        cost = float(flock.cost[index] + flock.unmet[index])
        interruption, tail = round(float(flock.interruption[index])), round(float(flock.tail[index]), 3)
        self.fitness.values = (cost + MISSING * missing, interruption, tail)


def _individuals(*flocks: Flock) -> list[Individual]:
    """All plans of the flocks; one that leaves out more than another is behind it, by whatever it costs less."""
    _, places = np.unique(np.concatenate([flock.missing for flock in flocks]), return_inverse=True)
    indices = [(source, i) for source, flock in enumerate(flocks) for i in range(len(flock.cost))]
    return [Individual(s, i, flocks[s], int(place)) for (s, i), place in zip(indices, places, strict=True)]


class Scratch(NamedTuple):
    """What one thread writes on while it breeds."""

    work: Work
    nodes: Nodes
    best: IntArray
    rebuilder: Rebuilder
    limited: tuple[Work, Nodes] | None


class Search:
    """A population that gets better with each generation.

    `front` holds the plans that leave out the fewest pods and that no other beats in all objectives, by cost; at most
    20 of them.
    """

    def __init__(
        self, instance: Instance, relaxation: Relaxation, pricer: Pricer, seeds: list[Nodes], seed: int
    ) -> None:
        self.instance = instance
        self.value = pod_values(instance, relaxation)
        self.mu = pricer.mu.copy()
        rows, groups = rows_needed(instance), instance.problem.groups
        self.pool = Pool(instance, relaxation.master)
        self.limited = Limited.of(instance)
        self.scratches = [
            Scratch(
                work,
                make_nodes(instance, rows),
                np.zeros(groups, np.int64),
                Rebuilder(instance, relaxation, pricer, self.pool),
                self.limited.scratch(work, rows) if self.limited else None,
            )
            for work in pricer.works
        ]
        self.front = self._front_of([flock_of(instance.arrays, seeds)])
        self.flock = flock_of(instance.arrays, [*seeds, *self._spread_out()])
        self.front = self._front_of([self.flock])
        self.breeding = breeding_for(groups, relaxation.gap)
        self.random = random.Random(seed)
        self.by_price = by_price(instance)
        lean = pricer.by_promise(relaxation.proof)
        # What can't be part of a cheapest plan is for the sake of risk, preferences and quotas.
        others = np.argsort(instance.arrays.price, kind="stable")
        self.holders = np.concatenate([lean, others[~instance.arrays.lean[others]]])
        self.lean = len(lean)
        self.choosy = len(instance.arrays.unmet) > 0 or len(instance.quota_left) > 0
        self.left = Left(instance.problem.count, instance.arrays.stock, instance.pool_left, instance.quota_left)

    def generations(self, stop: Stop) -> Iterator[int]:
        """Yields the number of each generation when it is done. One after which `stop` ends it leaves no trace."""
        done = 0
        while True:
            with seeded_random(self.random):
                if not self._generation(stop):
                    return
            done += 1
            yield done

    def spread(self) -> None:
        """Adds to the front what its cheapest plan becomes when it is spread out."""
        if found := self._spread_out():
            self.front = self._front_of([self.front, flock_of(self.instance.arrays, found)])

    def _spread_out(self) -> list[Nodes]:
        if self.limited is None or self.scratches[0].limited is None:
            return []
        work, _ = self.scratches[0].limited
        return list(Spreader(self.limited, self.front, 0, self.value, self.mu).plans(work))

    def best(self) -> tuple[int, float]:
        """The weight of the pods that this plan leaves out, and what its nodes cost in micro-dollars an hour."""
        first = self._first()
        return int(self.flock.missing[first]), float(self.flock.cost[first])

    def _front_of(self, flocks: list[Flock]) -> Flock:
        """Of all these plans those that leave out fewest pods and that no other beats in all objectives, by cost."""
        fewest = min(int(flock.missing.min()) for flock in flocks)
        where = [(f, i) for f, flock in enumerate(flocks) for i in np.flatnonzero(flock.missing == fewest)]
        points = np.vstack([_objectives(flock)[flock.missing == fewest] for flock in flocks])
        best = np.flatnonzero(undominated(points))
        return select(flocks, [where[best[i]] for i in spread(points[best], FRONT_POINTS)])

    def _first(self) -> int:
        return int(self._by_cost()[0])

    def _by_cost(self) -> IntArray:
        flock = self.flock
        return np.lexsort((flock.tail, flock.interruption, flock.cost + flock.unmet, flock.missing))

    def _generation(self, stop: Stop) -> bool:
        """Whether it was finished in time."""
        recipes, rebuilds, spreading = self._recipes(), self._rebuilds(), self._spreading()
        born: list[Flock | None] = [None] * (len(rebuilds) + len(recipes.mother) + (spreading is not None))

        def bear(scratch: Scratch, number: int) -> None:
            if stop.near():
                return
            if number < len(rebuilds):
                nodes = scratch.rebuilder.child(self.flock, *rebuilds[number], stop.near)
                born[number] = flock_of(self.instance.arrays, [nodes]) if nodes else None
                return
            child = number - len(rebuilds)
            if child < len(recipes.mother):
                recipe = Recipes._make(of_each[child : child + 1] for of_each in recipes)
                arrays, left, flock = self.instance.arrays, self.left, self.flock
                work, nodes = scratch.work, scratch.nodes
            else:
                assert spreading is not None
                assert self.limited is not None
                assert scratch.limited is not None
                recipe, limit = spreading
                arrays, left, flock = self.limited.arrays, self.limited.left(limit), self.front
                work, nodes = scratch.limited
            born[number] = breed(
                arrays, work, nodes, flock, recipe, left, scratch.best,
                self.holders, self.by_price, self.value, self.mu,
            )  # fmt: skip

        share_out(self.scratches, len(born), bear)
        if stop():
            return False
        flocks = [self.flock, *(flock for flock in born if flock is not None)]
        everyone = _individuals(*flocks)
        cheapest = sorted(everyone, key=lambda one: one.fitness.values)
        elite = _distinct(cheapest)[:ELITE]
        others = [one for one in everyone if one not in elite]
        chosen = elite + tools.selNSGA2(others, min(POPULATION - len(elite), len(others)))
        for new in sorted({one.source for one in chosen} - {0}):
            self.pool.learn(flocks[new].holder, rows_of(flocks[new], self.instance.problem.groups))
        self.flock = select(flocks, [(one.source, one.index) for one in chosen])
        self.front = self._front_of([self.front, *flocks[1:]])
        return True

    def _rebuilds(self) -> list[tuple[int, int]]:
        """(plan, seed) of each child that is to be rebuilt of one of the cheapest plans."""
        cheap = self._by_cost()[:ELITE]
        return [(int(random.choice(cheap)), random.getrandbits(31)) for _ in range(self.breeding.rebuilds)]

    def _spreading(self) -> tuple[Recipes, int] | None:
        """A child of the front that may have only so many pods in one spot pool; None where nothing is to be spread."""
        may = np.flatnonzero(self.front.tail >= 2) if self.limited else np.zeros(0, np.int64)
        if not len(may):
            return None
        mother = int(random.choice(may))
        limit = int(self.front.tail[mother] * random.uniform(LEAST_LIMIT, 1.0))
        ints = (
            np.array([n]) for n in (mother, -1, len(self.holders), self.breeding.steps // 2, random.choice(MOST_NODES))
        )
        at, nobody, holders, steps, most = ints
        none, seed = np.zeros(1), np.array([random.getrandbits(31)])
        return Recipes(at, nobody, np.ones(1), none, holders, steps, most, none, seed), max(1, limit)

    def _recipes(self) -> Recipes:
        size = len(self.flock.cost)
        population = _individuals(self.flock)
        tools.selNSGA2(population, size)  # sets the crowding distances
        cheap = sorted(population, key=lambda one: one.fitness.values)[:ELITE]
        mothers, fathers, share, price, choice, steps, most, heat = [], [], [], [], [], [], [], []
        for _ in range(self.breeding.children - (self.limited is not None)):
            thrifty = random.random() < CHEAP_SHARE
            mother = random.choice(cheap) if thrifty else _tournament(population)
            father = _tournament(population) if random.random() < 0.3 else None
            mothers.append(mother.index)
            fathers.append(-1 if father is None or father is mother else father.index)
            share.append(random.uniform(0.5, 0.95))
            price.append(0.0 if thrifty else self._risk_price() * random.random() ** 2)
            choice.append(self.lean if thrifty and not self.choosy else len(self.holders))
            steps.append(self.breeding.steps)
            most.append(random.choice(MOST_NODES))
            heat.append(random.choice(HEATS) * self._node_price(mother.index))
        seeds = [random.getrandbits(31) for _ in mothers]
        return Recipes(
            np.array(mothers), np.array(fathers), np.array(share), np.array(price), np.array(choice), np.array(steps),
            np.array(most), np.array(heat), np.array(seeds),
        )  # fmt: skip

    def _node_price(self, plan: int) -> float:
        """What a node of the plan costs on average."""
        times = self.flock.times[self.flock.row_start[plan] : self.flock.row_start[plan + 1]]
        return float(self.flock.cost[plan]) / max(1, int(times.sum()))

    def _risk_price(self) -> float:
        """How often the cost of interruptions may count at most in the search: as much as the nodes themselves."""
        return float(self.flock.cost.max()) / max(1.0, float(self.flock.interruption.max()))


def _tournament(population: list[Individual]) -> Individual:
    """The better of two: by dominance, then by how alone it is on the front."""
    one, two = random.choice(population), random.choice(population)
    if one.fitness.dominates(two.fitness):
        return one
    if two.fitness.dominates(one.fitness):
        return two
    return one if one.fitness.crowding_dist >= two.fitness.crowding_dist else two


def _distinct(individuals: list[Individual]) -> list[Individual]:
    """The first of each cost."""
    return list({one.fitness.values[0]: one for one in reversed(individuals)}.values())[::-1]


def _objectives(flock: Flock) -> FloatArray:
    """[I, 3] rounded to what matters: micro-dollars an hour, the same, and a thousandth of a pod."""
    return np.column_stack([np.rint(flock.cost + flock.unmet), np.rint(flock.interruption), np.round(flock.tail, 3)])


@contextmanager
def seeded_random(source: random.Random) -> Iterator[None]:
    """DEAP draws from the global generator: it gets the state of ours, and gives it back."""
    before = random.getstate()
    random.setstate(source.getstate())
    try:
        yield
    finally:
        source.setstate(random.getstate())
        random.setstate(before)
