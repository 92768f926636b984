"""Some of many offerings, with which changes are tried: what places pods with these does so with all of them."""

from collections.abc import Iterable

import numpy as np

from spotkube.model import labels as keys
from spotkube.model.offerings import Offering
from spotkube.model.plan import Plan
from spotkube.planner.explaining.smallest import Base
from spotkube.planner.explaining.universe import Universe
from spotkube.planner.formulation.waiting import pods_to_place

# Of fewer than this all are tried.
_FEW = 600
# From each zone and capacity type: so many of the cheapest, and of the largest.
_CHEAPEST, _LARGEST = 4, 2
# Topologies of which these offerings show every domain.
_SHOWN = frozenset({keys.ZONE, keys.HOSTNAME, keys.CAPACITY_TYPE})


def sample(universe: Universe, bases: Iterable[Base], plan: Plan) -> tuple[Offering, ...]:
    """Offerings of each base, and those that the plan buys; all where it may hang on one that is left out."""
    offerings = universe.snapshot.offerings
    if len(offerings) < _FEW or any(pool.min_values for pool in universe.pools) or _has_other_topologies(universe):
        return offerings
    bought = {node.offering.key for node in plan.additions}
    kept = {o for o, offering in enumerate(offerings) if offering.key in bought}
    for base in bases:
        there = np.unique(universe.offering[base.rows])
        there = there[there >= 0]
        prices = np.array([offerings[o].price_micro_usd_hour for o in there])
        sizes = universe.capacity[there].astype(np.float64) / np.maximum(universe.capacity.max(axis=0), 1)
        places = np.array([f"{offerings[o].zone} {offerings[o].capacity_type}" for o in there])
        for place in np.unique(places):
            inside = np.flatnonzero(places == place)
            kept.update(int(o) for o in there[inside[np.argsort(prices[inside], kind="stable")[:_CHEAPEST]]])
            largest = np.argsort(-sizes[inside].min(axis=1, initial=1.0), kind="stable")
            kept.update(int(o) for o in there[inside[largest[:_LARGEST]]])
    return tuple(offerings[o] for o in sorted(kept))


def _has_other_topologies(universe: Universe) -> bool:
    shapes = {pod.shape for pod in pods_to_place(universe.snapshot)}
    over = {term.topology_key for shape in shapes for term in (*shape.affinity, *shape.anti_affinity)}
    over |= {rule.topology_key for shape in shapes for rule in shape.spread}
    return not over <= _SHOWN
