"""The genetic algorithm of the SpotKube paper (arXiv 2405.12311), written from its description.

Genes are whole numbers, how many nodes of each kind to buy; NSGA-II with a population of 100 over 100 generations makes
cost and risk small; a greedy placement decides whether the nodes hold the pods. Pods are never placed jointly with
the choice of nodes, as the planner's own search does.
"""

import random
import time
from collections.abc import Iterator

import numpy as np
from deap import base, tools

from attempts import Attempt
from spotkube.model.history import HOURS_A_MONTH
from spotkube.planner.problem import IntArray, Problem, Solution

POPULATION, GENERATIONS = 100, 100
CROSSOVER, MUTATION = 0.9, 0.2
MISSING = 1e12


class Fitness(base.Fitness):  # type: ignore[misc]
    """Micro-dollars an hour with the pods that are missing, and expected interrupted pods a month; both to be small."""

    weights = (-1.0, -1.0)


class Genome(list[int]):
    """How many nodes of each candidate kind."""

    def __init__(self, genes: list[int]) -> None:
        super().__init__(genes)
        self.fitness = Fitness()


def evolve(problem: Problem, seed: int, seconds: float, attempt: Attempt) -> int:
    """Runs until the generations or the seconds are over, whichever comes first; the generations done."""
    chance = random.Random(seed)
    random.seed(seed)  # DEAP's operators draw from the module's own generator
    order = np.argsort(-problem.demand.astype(float).sum(axis=1), kind="stable")
    most = np.maximum(1, _needed(problem))
    population = [Genome(_sparse(problem.kinds, most, chance)) for _ in range(POPULATION)]
    _value(problem, population, order)
    done = 0
    while done < GENERATIONS and time.perf_counter() - attempt.started < seconds:
        tools.selNSGA2(population, len(population))  # sets the crowding distances
        children = [Genome(list(one)) for one in tools.selTournamentDCD(population, len(population))]
        for first, second in zip(children[::2], children[1::2], strict=True):
            if chance.random() < CROSSOVER:
                tools.cxUniform(first, second, 0.5)
        for child in children:
            if chance.random() < MUTATION:
                at = chance.randrange(len(child))
                child[at] = chance.randint(0, int(most[at]))
        _value(problem, children, order)
        population = tools.selNSGA2(population + children, POPULATION)
        done += 1
        cheapest = min(population, key=lambda one: one.fitness.values)
        attempt.plan(plan_of(problem, np.array(cheapest, np.int64), order))
    attempt.front += [one.fitness.values for one in population if one.fitness.values[0] < MISSING]
    return done


def decode(problem: Problem, genes: IntArray, order: IntArray) -> tuple[int, float, float]:
    """(pods missing, micro-dollars an hour, interrupted pods a month) of the greedy placement."""
    missing, interrupted, risk = int(problem.count.sum()), 0.0, problem.interruption_rate * HOURS_A_MONTH
    for kind, _, _, placed in _placements(problem, genes, order):
        missing -= placed
        interrupted += placed * float(risk[kind])
    return missing, float(genes @ problem.price), interrupted


def plan_of(problem: Problem, genes: IntArray, order: IntArray) -> Solution:
    """The same placement, node by node. Nodes of a kind stand side by side, in the order of the kinds."""
    first = np.cumsum(genes) - genes
    pods = np.zeros((int(genes.sum()), problem.groups), np.int64)
    for kind, g, each, placed in _placements(problem, genes, order):
        full, rest = divmod(placed, each)
        pods[first[kind] : first[kind] + full, g] = each
        if rest:
            pods[first[kind] + full, g] = rest
    unplaced = problem.count - pods.sum(axis=0)
    return Solution(np.repeat(np.arange(problem.kinds), genes), pods, np.zeros((0, problem.groups), np.int64), unplaced)


def _placements(problem: Problem, genes: IntArray, order: IntArray) -> Iterator[tuple[int, int, int, int]]:
    """(kind, group, pods on each node at most, pods in all): each kind's nodes are filled alike, greedily."""
    remain = problem.count.copy()
    for kind in np.flatnonzero(genes):
        nodes, room, caps = int(genes[kind]), problem.capacity[kind].copy(), problem.cap_limit.copy()
        for g in order[problem.compatible[order, kind] & (remain[order] > 0)]:
            need = problem.demand[g] > 0
            each = min(int((room[need] // problem.demand[g, need]).min(initial=2**31)), -(-int(remain[g]) // nodes))
            # One pod of a group with a cap is all that a node takes.
            member = _member(problem)[:, g] > 0
            each = min([each, *caps[member].tolist()])
            if each <= 0:
                continue
            placed = min(each * nodes, int(remain[g]))
            room -= each * problem.demand[g]
            caps[member] -= each
            remain[g] -= placed
            yield int(kind), int(g), each, placed


def _member(problem: Problem) -> IntArray:
    """[K, G] what a pod counts under each cap."""
    return np.asarray(problem.cap_use, np.int64)


def _value(problem: Problem, population: list[Genome], order: IntArray) -> None:
    for one in population:
        missing, cost, interrupted = decode(problem, np.array(one, np.int64), order)
        one.fitness.values = (cost + MISSING * missing, interrupted)


def _needed(problem: Problem) -> IntArray:
    """How many nodes of each kind alone would hold the sum of all requests."""
    whole = (problem.count.astype(float) @ problem.demand.astype(float)) / np.maximum(problem.capacity, 1)
    most: IntArray = np.ceil(whole.max(axis=1, initial=1.0)).astype(np.int64)
    return most


def _sparse(kinds: int, most: IntArray, chance: random.Random) -> list[int]:
    """A genome of a few kinds: with thousands of kinds a dense one would cost a thousand times too much."""
    genes = [0] * kinds
    for at in chance.sample(range(kinds), min(kinds, chance.randint(1, 8))):
        genes[at] = chance.randint(1, int(most[at]))
    return genes
