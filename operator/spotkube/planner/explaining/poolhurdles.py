"""What of all that is sold NodePools exclude: by mode, requirements, risk and limits; and what rests."""

from collections.abc import Iterator

import numpy as np

from spotkube.model import labels as keys
from spotkube.model.selectors import Requirement
from spotkube.planner.explaining import poolchanges
from spotkube.planner.explaining.changes import RANKS
from spotkube.planner.explaining.hurdles import Hurdle, Limits, Step, fixed
from spotkube.planner.explaining.universe import Universe
from spotkube.planner.formulation.labeltable import LabelTable
from spotkube.planner.formulation.limits import limit_use, limits_of
from spotkube.planner.problem import BoolArray, IntArray


def pool_hurdles(universe: Universe) -> Iterator[Hurdle]:
    """What of all that is sold the pools exclude."""
    offerings = universe.snapshot.offerings
    table = LabelTable([o.labels for o in offerings], [()] * len(offerings))
    risk = np.array([o.interruption_percent for o in offerings], dtype=np.int64)
    for p, pool in enumerate(universe.pools[:-1]):
        whole = np.zeros(len(universe), dtype=np.bool_)
        whole[universe.of_pool(p)] = True
        if pool.mode is not universe.mode:
            yield fixed(f"NodePool {pool.name}: mode {pool.mode}", whole, poolchanges.set_mode(pool, universe.mode))
        own = {**dict(pool.labels), keys.NODEPOOL: pool.name}
        for requirement in pool.requirements:
            named = f"NodePool {pool.name}: {requirement}"
            if requirement.key in own:
                if not requirement.matches(own):
                    yield fixed(named, whole, poolchanges.sell(pool, requirement, None))
                continue
            for value, rows in _by_value(table, requirement).items():
                blocked = np.zeros(len(universe), dtype=np.bool_)
                blocked[universe.of_pool(p)] = rows
                yield fixed(named, blocked, poolchanges.sell(pool, requirement, value))
        for percent in sorted({int(x) for x in risk if x > pool.max_interruption_percent}):
            blocked = np.zeros(len(universe), dtype=np.bool_)
            blocked[universe.of_pool(p)] = risk == percent
            named = f"NodePool {pool.name}: maxInterruptionPercent {pool.max_interruption_percent}"
            yield fixed(named, blocked, poolchanges.bear_interruptions(pool, percent))
        yield from _limit_hurdle(universe, p)
    last = universe.pool == len(universe.pools) - 1
    yield fixed("there is no such NodePool", last, poolchanges.new_pool(universe.pools[-1]))
    yield from _resting(universe)


def _by_value(table: LabelTable, requirement: Requirement) -> dict[str | None, BoolArray]:
    """[offerings] those that the requirement excludes, by their value of its key."""
    excluded = ~table.requirement(requirement)
    if not excluded.any():
        return {}
    column = np.array([value or "" for value in table.column(requirement.key)], dtype=object)
    values = sorted({str(value) for value in column[excluded]})
    return {value or None: excluded & (column == value) for value in values}


def _limit_hurdle(universe: Universe, p: int) -> Iterator[Hurdle]:
    """The offerings of which the limits leave no room for one more node."""
    pool, used = universe.pools[p], universe.used[p]
    left = limits_of(pool)
    if not left:
        return
    blocked = np.zeros(len(universe), dtype=np.bool_)
    extra = pool.per_node_micro_usd_hour
    for o, offering in enumerate(universe.snapshot.offerings):
        use = limit_use(offering, extra)
        blocked[universe.row(p, o)] = any(used.get(name, 0) + use.get(name, 0) > limit for name, limit in left.items())
    yield Hurdle(f"NodePool {pool.name}: limits", blocked, RANKS["limits"], lambda _: Limits(pool))


def _resting(universe: Universe) -> Iterator[Hurdle]:
    keys_ = [offering.key for offering in universe.snapshot.offerings]
    if universe.snapshot.resting.isdisjoint(keys_):
        return
    resting = np.array([key in universe.snapshot.resting for key in keys_], dtype=np.bool_)
    blocked = np.zeros(len(universe), dtype=np.bool_)
    sold = universe.offering >= 0
    blocked[sold] = resting[universe.offering[sold]]

    def wait(rows: IntArray) -> Step:
        cheapest = rows[np.argmin(universe.price[rows])]
        return poolchanges.wait_for(keys_[universe.offering[cheapest]])

    yield Hurdle("rests after a failed purchase", blocked, RANKS["resting"], wait)
