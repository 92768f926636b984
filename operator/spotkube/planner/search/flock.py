# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""Many plans in flat arrays, and the compiled call that breeds a whole generation of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spotkube.planner.compiled import compiled
from spotkube.planner.instance import Arrays
from spotkube.planner.packing.scratch import Work
from spotkube.planner.problem import FloatArray, IntArray
from spotkube.planner.reduced.nodes import append, place, put, set_left, tidy
from spotkube.planner.reduced.state import Left, Nodes
from spotkube.planner.search.recreate import BRANCHES, improve
from spotkube.planner.search.refill import fill_gaps, pack_rest
from spotkube.planner.search.scoring import retype, score


class Flock(NamedTuple):
    """I plans. Plan i has the rows row_start[i] to row_start[i + 1] - 1; row j has the items item_start[j] to ….

    Attributes:
        holder, times: [rows] what the row is, and how often.
        group, pods: [items] what is on each node of a row.
        missing: [I] weight of the pods without a place.
        cost: [I] micro-dollars an hour; unmet: [I] those that unmet preferences cost, besides.
        interruption: [I] micro-dollars an hour that interruptions are expected to cost.
        tail: [I] pods lost together.
    """

    row_start: IntArray
    holder: IntArray
    times: IntArray
    item_start: IntArray
    group: IntArray
    pods: IntArray
    missing: IntArray
    cost: FloatArray
    unmet: FloatArray
    interruption: FloatArray
    tail: FloatArray


class Recipes(NamedTuple):
    """How each of C children is made.

    Attributes:
        mother, father: [C] plans of the flock; father -1: a child of one parent.
        share: [C] the part of the mother's rows that is kept when there is a father.
        risk_price: [C] how often the expected cost of interruptions counts.
        choice: [C] how many holders there are to choose from.
        steps: [C] rounds of ruin and recreate.
        most: [C] nodes that one round may take away.
        heat: [C] micro-dollars that the plan may be dearer for a while.
        seed: [C] of the child's random numbers.
    """

    mother: IntArray
    father: IntArray
    share: FloatArray
    risk_price: FloatArray
    choice: IntArray
    steps: IntArray
    most: IntArray
    heat: FloatArray
    seed: IntArray


@compiled
def load(a: Arrays, s: Nodes, f: Flock, plan: int, share: float) -> None:
    """Adds each row of the plan with the chance `share`, clipped to the pods, stock and limits that are left."""
    pattern = np.zeros(s.remain.shape[0], np.int64)
    for row in range(f.row_start[plan], f.row_start[plan + 1]):
        if share < 1.0 and np.random.random() >= share:
            continue
        for i in range(f.item_start[row], f.item_start[row + 1]):
            pattern[f.group[i]] = f.pods[i]
        place(a, s, f.holder[row], pattern, f.times[row])
        for i in range(f.item_start[row], f.item_start[row + 1]):
            pattern[f.group[i]] = 0


@compiled
def breed(a: Arrays, w: Work, s: Nodes, f: Flock, recipes: Recipes, left: Left, best: IntArray, everything: IntArray,
          by_price: IntArray, value: FloatArray, mu: FloatArray) -> Flock:  # fmt: skip
    """Makes, repairs, improves and values all children, in one call: a new flock."""
    children = len(recipes.mother)
    row_start = np.zeros(children + 1, np.int64)
    missing, cost = np.zeros(children, np.int64), np.zeros(children)
    unmet, interruption, tail = np.zeros(children), np.zeros(children), np.zeros(children)
    holder, times = np.zeros(256, np.int64), np.zeros(256, np.int64)
    item_start = np.zeros(257, np.int64)
    group, pods = np.zeros(2048, np.int64), np.zeros(2048, np.int64)
    rows, items = 0, 0
    for c in range(children):
        np.random.seed(recipes.seed[c])
        s.rows[0] = 0
        holders = everything[: recipes.choice[c]]
        set_left(s, left)
        if recipes.father[c] < 0:
            load(a, s, f, recipes.mother[c], 1.0)
        else:
            load(a, s, f, recipes.mother[c], recipes.share[c])
            load(a, s, f, recipes.father[c], 1.0)
        if s.remain.sum() > 0:
            s.cuts[0] = 0
            fill_gaps(a, w, s, value, mu, BRANCHES)
            pack_rest(a, w, s, best, holders, value, recipes.risk_price[c], mu, BRANCHES)
        improve(
            a, w, s, best, holders, value, recipes.risk_price[c], mu, recipes.steps[c], recipes.most[c], recipes.heat[c]
        )
        if recipes.risk_price[c] == 0.0:
            retype(a, s, by_price)
        tidy(s)
        missing[c], cost[c], unmet[c], interruption[c], tail[c] = score(a, s)
        for row in range(s.rows[0]):
            if rows + 1 >= len(times):
                holder, times = grown(holder), grown(times)
                item_start = grown(item_start)
            holder[rows], times[rows] = s.holder[row], s.times[row]
            for g in range(s.remain.shape[0]):
                if s.pods[row, g] > 0:
                    if items >= len(group):
                        group, pods = grown(group), grown(pods)
                    group[items], pods[items] = g, s.pods[row, g]
                    items += 1
            rows += 1
            item_start[rows] = items
        row_start[c + 1] = rows
    return Flock(
        row_start, holder[:rows].copy(), times[:rows].copy(), item_start[: rows + 1].copy(), group[:items].copy(),
        pods[:items].copy(), missing, cost, unmet, interruption, tail,
    )  # fmt: skip


@compiled
def grown(array: IntArray) -> IntArray:
    """A copy with twice the space."""
    larger = np.zeros(2 * len(array) + 1, np.int64)
    for i in range(len(array)):
        larger[i] = array[i]
    return larger


@compiled
def unload(a: Arrays, s: Nodes, f: Flock, plan: int) -> None:
    """Adds all rows of the plan to nodes that were reset."""
    for row in range(f.row_start[plan], f.row_start[plan + 1]):
        at = append(a, s, f.holder[row], f.times[row])
        for i in range(f.item_start[row], f.item_start[row + 1]):
            put(a, s, at, f.group[i], f.pods[i])


def flock_of(arrays: Arrays, plans: list[Nodes]) -> Flock:
    """The plans as one flock."""
    parts = [(s, np.flatnonzero(s.times[: int(s.rows[0])] > 0)) for s in plans]
    held = [s.pods[rows] for s, rows in parts]
    places = [np.nonzero(pods) for pods in held]
    sizes = np.concatenate([np.bincount(at[0], minlength=len(pods)) for at, pods in zip(places, held, strict=True)])
    scores = [score(arrays, s) for s in plans]
    return Flock(
        row_start=np.concatenate([[0], np.cumsum([len(rows) for _, rows in parts])]).astype(np.int64),
        holder=np.concatenate([s.holder[rows] for s, rows in parts]),
        times=np.concatenate([s.times[rows] for s, rows in parts]),
        item_start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        group=np.concatenate([at[1] for at in places]).astype(np.int64),
        pods=np.concatenate([pods[at] for at, pods in zip(places, held, strict=True)]).astype(np.int64),
        missing=np.array([one[0] for one in scores], np.int64),
        cost=np.array([one[1] for one in scores]),
        unmet=np.array([one[2] for one in scores]),
        interruption=np.array([one[3] for one in scores]),
        tail=np.array([one[4] for one in scores]),
    )


def rows_of(flock: Flock, groups: int) -> IntArray:
    """[rows, G] the pods on each node of every row."""
    pods = np.zeros((len(flock.holder), groups), np.int64)
    pods[np.repeat(np.arange(len(flock.holder)), np.diff(flock.item_start)), flock.group] = flock.pods
    return pods


def select(sources: Sequence[Flock], chosen: list[tuple[int, int]]) -> Flock:
    """A flock of the chosen plans, each (s, i): plan i of source s."""
    rows = [np.arange(sources[w].row_start[i], sources[w].row_start[i + 1]) for w, i in chosen]
    items = [
        np.arange(sources[w].item_start[sources[w].row_start[i]], sources[w].item_start[sources[w].row_start[i + 1]])
        for w, i in chosen
    ]
    sizes = np.concatenate([np.diff(sources[w].item_start)[r] for (w, _), r in zip(chosen, rows, strict=True)])
    return Flock(
        row_start=np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64),
        holder=np.concatenate([sources[w].holder[r] for (w, _), r in zip(chosen, rows, strict=True)]),
        times=np.concatenate([sources[w].times[r] for (w, _), r in zip(chosen, rows, strict=True)]),
        item_start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        group=np.concatenate([sources[w].group[i] for (w, _), i in zip(chosen, items, strict=True)]),
        pods=np.concatenate([sources[w].pods[i] for (w, _), i in zip(chosen, items, strict=True)]),
        missing=np.array([sources[w].missing[i] for w, i in chosen], np.int64),
        cost=np.array([sources[w].cost[i] for w, i in chosen]),
        unmet=np.array([sources[w].unmet[i] for w, i in chosen]),
        interruption=np.array([sources[w].interruption[i] for w, i in chosen]),
        tail=np.array([sources[w].tail[i] for w, i in chosen]),
    )
