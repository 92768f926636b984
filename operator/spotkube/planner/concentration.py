"""How much of each NodePool's spot stands in one spot pool, and so may be lost together."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from spotkube.model import labels as keys
from spotkube.model.history import SpotPool
from spotkube.model.offerings import SPOT
from spotkube.model.plan import Concentration
from spotkube.planner.formulation.assembling import Built
from spotkube.planner.formulation.risk import spot_pool_of
from spotkube.planner.problem import Result


def concentrations(
    built: Built, on_bins: Sequence[Sequence[str]], on_nodes: Sequence[Sequence[str]], result: Result
) -> tuple[Concentration, ...]:
    """The fullest spot pool of each NodePool after the plan, by pods: those that stand there and those that come.

    Args:
        built, result: the problem and its solution.
        on_bins, on_nodes: the pods (uids) that the solution puts onto each bin, and each node to buy.
    """
    pods: dict[str, Counter[SpotPool]] = defaultdict(Counter)
    for bin_, coming in zip(built.bins, on_bins, strict=True):
        pool, own = spot_pool_of(bin_.labels), dict(bin_.labels).get(keys.NODEPOOL)
        if pool is not None and own is not None:
            pods[own][pool] += len(coming) + sum(1 for pod in bin_.residents if not (pod.daemon or pod.mirror))
    for kind, coming in zip(result.solution.node_kind, on_nodes, strict=True):
        offering = built.kinds.offerings[kind]
        if offering.capacity_type == SPOT:
            name = built.kinds.pools[built.kinds.pool[kind]].name
            pods[name][SpotPool(offering.instance_type, offering.zone)] += len(coming)
    found = []
    for name, counts in sorted(pods.items()):
        total = sum(counts.values())
        if total:
            pool, most = min(counts.items(), key=lambda item: (-item[1], item[0]))
            found.append(Concentration(name, pool.instance_type, pool.zone, most, total))
    return tuple(found)
