"""The genetic search: DEAP's NSGA-II over whole plans, with dollars an hour and expected interruptions as objectives.

A plan is its rows of like nodes. Children take rows of two parents, or all of one; the compiled call then repairs them,
guided by the duals, and works on each with rounds of ruin and recreate. Others are rebuilt of one parent by dives. The
cheapest plans always survive.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from deap import base, tools

from spotkube.planner.clock import Stop
from spotkube.planner.columns import Relaxation
from spotkube.planner.effort import breeding_for
from spotkube.planner.expand import rows_needed
from spotkube.planner.flock import Flock, Recipes, breed, flock_of, rows_of, select, unload
from spotkube.planner.instance import Instance
from spotkube.planner.pricing import Pricer
from spotkube.planner.problem import IntArray
from spotkube.planner.rebuild import Rebuilder
from spotkube.planner.rest import Pool
from spotkube.planner.rounding import pod_values
from spotkube.planner.scoring import by_price
from spotkube.planner.scratch import Work
from spotkube.planner.state import Left, Nodes, make_nodes
from spotkube.planner.threads import share_out

POPULATION = 16
# How much dearer a plan may be for a while, in prices of its average node.
HEATS = (0.0, 0.02, 0.1)
# Of the children, those of the few cheapest plans only; the others come from tournaments over the front.
CHEAP_SHARE = 0.7
ELITE = 3
# In the fitness this is what each step costs in the order of what plans leave out: more than any nodes.
MISSING = 1e15


class Fitness(base.Fitness):  # type: ignore[misc]
    """Micro-dollars an hour with what is left out or not preferred, and expected interruptions; both to be small."""

    weights = (-1.0, -1.0)


class Individual:
    """Plan `index` of a flock, as DEAP wants to see it."""

    def __init__(self, source: int, index: int, flock: Flock, missing: int) -> None:
        self.source, self.index = source, index
        self.fitness = Fitness()
        cost = float(flock.cost[index] + flock.unmet[index])
        self.fitness.values = (cost + MISSING * missing, float(flock.interrupted[index]))


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


class Search:
    """A population that gets better with each generation."""

    def __init__(
        self, instance: Instance, relaxation: Relaxation, pricer: Pricer, seeds: list[Nodes], seed: int
    ) -> None:
        self.instance = instance
        self.value = pod_values(instance, relaxation)
        self.mu = pricer.mu.copy()
        rows, groups = rows_needed(instance), instance.problem.groups
        self.pool = Pool(instance, relaxation.master)
        self.scratches = [
            Scratch(
                work,
                make_nodes(instance, rows),
                np.zeros(groups, np.int64),
                Rebuilder(instance, relaxation, pricer, self.pool),
            )
            for work in pricer.works
        ]
        self.flock = flock_of(instance.arrays, seeds)
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

    def cheapest(self) -> Nodes:
        """The plan with the fewest pods missing, and of those the cheapest, and of those the safest."""
        nodes = make_nodes(self.instance, rows_needed(self.instance))
        unload(self.instance.arrays, nodes, self.flock, self._first())
        return nodes

    def best(self) -> tuple[int, float]:
        """The weight of the pods that this plan leaves out, and what its nodes cost in micro-dollars an hour."""
        first = self._first()
        return int(self.flock.missing[first]), float(self.flock.cost[first])

    def front(self, most: int = 20) -> tuple[tuple[int, float], ...]:
        """The plans that no other beats in both objectives, by cost."""
        rows: list[tuple[int, float]] = []
        fewest = self.flock.missing.min()
        for i in np.lexsort((self.flock.interrupted, self.flock.cost)):
            risk = round(float(self.flock.interrupted[i]), 6)
            if self.flock.missing[i] == fewest and (not rows or risk < rows[-1][1]):
                rows.append((round(float(self.flock.cost[i])), risk))
        return tuple(rows[:most])

    def _first(self) -> int:
        return int(np.lexsort((self.flock.interrupted, self.flock.cost + self.flock.unmet, self.flock.missing))[0])

    def _generation(self, stop: Stop) -> bool:
        """Whether it was finished in time."""
        recipes, rebuilds = self._recipes(), self._rebuilds()
        born: list[Flock | None] = [None] * (len(rebuilds) + self.breeding.children)

        def bear(scratch: Scratch, number: int) -> None:
            if stop.near():
                return
            if number < len(rebuilds):
                nodes = scratch.rebuilder.child(self.flock, *rebuilds[number], stop.near)
                born[number] = flock_of(self.instance.arrays, [nodes]) if nodes else None
                return
            child = number - len(rebuilds)
            recipe = Recipes._make(of_each[child : child + 1] for of_each in recipes)
            born[number] = breed(
                self.instance.arrays, scratch.work, scratch.nodes, self.flock, recipe, self.left, scratch.best,
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
        return True

    def _rebuilds(self) -> list[tuple[int, int]]:
        """(plan, seed) of each child that is to be rebuilt of one of the cheapest plans."""
        cheap = np.lexsort((self.flock.interrupted, self.flock.cost + self.flock.unmet, self.flock.missing))[:ELITE]
        return [(int(random.choice(cheap)), random.getrandbits(31)) for _ in range(self.breeding.rebuilds)]

    def _recipes(self) -> Recipes:
        size = len(self.flock.cost)
        population = _individuals(self.flock)
        tools.selNSGA2(population, size)  # sets the crowding distances
        cheap = sorted(population, key=lambda one: one.fitness.values)[:ELITE]
        mothers, fathers, share, price, choice, steps, most, heat = [], [], [], [], [], [], [], []
        for _ in range(self.breeding.children):
            thrifty = random.random() < CHEAP_SHARE
            mother = random.choice(cheap) if thrifty else _tournament(population)
            father = _tournament(population) if random.random() < 0.3 else None
            mothers.append(mother.index)
            fathers.append(-1 if father is None or father is mother else father.index)
            share.append(random.uniform(0.5, 0.95))
            price.append(0.0 if thrifty else self._risk_price() * random.random() ** 2)
            choice.append(self.lean if thrifty and not self.choosy else len(self.holders))
            steps.append(self.breeding.steps)
            most.append(random.choice((3, 6, 10)))
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
        """What an interruption may cost at most in the search: four hours of a pod."""
        return 4.0 * float(self.flock.cost.max()) / max(1, int(self.instance.problem.count.sum()))


def _tournament(population: list[Individual]) -> Individual:
    """The better of two: by dominance, then by how alone it is on the front."""
    one, two = random.choice(population), random.choice(population)
    if one.fitness.dominates(two.fitness):
        return one
    if two.fitness.dominates(one.fitness):
        return two
    return one if one.fitness.crowding_dist >= two.fitness.crowding_dist else two


def _distinct(individuals: list[Individual]) -> list[Individual]:
    """One of each fitness."""
    return list({one.fitness.values: one for one in reversed(individuals)}.values())[::-1]


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
