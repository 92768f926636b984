"""What interruptions cost: how often nodes of each spot pool are taken, and what it costs to start a pod anew.

An interruption costs the pod's restart time (see `restart_seconds` in `spotkube.convert.workloads`) at the price of its
own room on demand: the share of a node that it takes of its scarcest resource, times the node's price, where that is
least. For like pods of several Workloads it is the mean over the pods.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from spotkube.model import labels as keys
from spotkube.model.cluster import Snapshot
from spotkube.model.history import SpotPool
from spotkube.model.offerings import SPOT
from spotkube.model.pods import Labels, Pod
from spotkube.model.resources import ResourceList
from spotkube.planner.formulation.bins import Bin, by_node, capacity_type_of
from spotkube.planner.formulation.groups import Group
from spotkube.planner.formulation.kinds import Kinds
from spotkube.planner.formulation.rates import prior_rate, spot_rates
from spotkube.planner.problem import BoolArray, FloatArray, IntArray, Problem, Risk

# Pods of no Workload: nobody says how long they take to be of use again.
NOBODYS_RESTART_SECONDS = 600.0
SECONDS_AN_HOUR = 3600.0
# Spot nodes that the catalog does not know are taken to be in the worst band.
WORST_PERCENT = 100


def spot_pool_of(labels: Labels) -> SpotPool | None:
    """The spot pool of a node with these labels; None for one that is not spot or does not say what it is."""
    own = dict(labels)
    if capacity_type_of(labels) != SPOT or keys.INSTANCE_TYPE not in own or keys.ZONE not in own:
        return None
    return SpotPool(own[keys.INSTANCE_TYPE], own[keys.ZONE])


def make_risk(
    snapshot: Snapshot,
    problem: Problem,
    groups: Sequence[Group],
    kinds: Kinds,
    bins: Sequence[Bin],
    standing: Iterable[tuple[Pod, Labels]],
) -> Risk:
    """`standing` are the pods that have a node, with its labels."""
    sold = [SpotPool(o.instance_type, o.zone) if o.capacity_type == SPOT else None for o in kinds.offerings]
    there = [spot_pool_of(b.labels) for b in bins]
    stands = [(pod, pool) for pod, pool in by_node(standing, spot_pool_of) if pool and not (pod.daemon or pod.mirror)]
    pools = sorted({pool for pool in (*sold, *there, *(pool for _, pool in stands)) if pool is not None})
    number: Mapping[SpotPool | None, int] = {None: -1} | {pool: i for i, pool in enumerate(pools)}
    known = spot_rates(snapshot.offerings, snapshot.spot_history)
    rate = np.array([known.get(pool, prior_rate(WORST_PERCENT)) for pool in pools], dtype=np.float64)
    seconds = {rule.key: rule.restart_seconds for rule in snapshot.workloads}
    workload_of = {pod.uid: pod.workload for pod in snapshot.pods}
    bundles = np.array([group.bundle for group in groups], dtype=np.int64)
    of_groups = [_mean([_restart_seconds(workload_of.get(uid), seconds) for uid in group.pods]) for group in groups]
    counts = Counter((pod.shape.requests, pod.workload, pool) for pod, pool in stands)
    rooms = _room_prices(problem, kinds, dict.fromkeys(requests for requests, _, _ in counts))
    there_cost = sum(
        count * rate[number[pool]] * _cost(rooms[requests], _restart_seconds(workload, seconds))
        for (requests, workload, pool), count in counts.items()
    )
    standing_pods = Counter(number[pool] for _, pool in stands)
    return Risk(
        rate=rate,
        spot_pool=np.array([number[pool] for pool in sold], dtype=np.int64),
        bin_pool=np.array([number[pool] for pool in there], dtype=np.int64),
        there=np.array([standing_pods[d] for d in range(len(pools))], dtype=np.int64),
        there_cost=float(there_cost),
        # The demand of a bundle is that of all its pods.
        restart=room_prices(problem, problem.demand, ~kinds.spot) * np.array(of_groups) / SECONDS_AN_HOUR,
        heads=bundles,
    )


def room_prices(problem: Problem, demand: IntArray, on_demand: BoolArray) -> FloatArray:
    """[n] micro-dollars an hour that room for each row of the demand [n, R] costs; of kinds that are not `on_demand`
    [O] only where no other holds it."""
    prices = np.zeros(len(demand))
    for i, asked in enumerate(demand):
        fits = (problem.capacity >= asked).all(axis=1)
        usable = fits & on_demand if (fits & on_demand).any() else fits
        wanted = asked > 0
        if usable.any() and wanted.any():
            share = (asked[wanted] / problem.capacity[np.ix_(usable, wanted)]).max(axis=1)
            prices[i] = float((share * problem.price[usable]).min())
    return prices


def _room_prices(problem: Problem, kinds: Kinds, wanted: Iterable[ResourceList]) -> dict[ResourceList, float]:
    rows = list(wanted)
    demand = np.array([[row[name] for name in problem.resources] for row in rows], dtype=np.int64)
    prices = room_prices(problem, demand.reshape(len(rows), len(problem.resources)), ~kinds.spot)
    return dict(zip(rows, prices.tolist(), strict=True))


def _restart_seconds(workload: str | None, seconds: Mapping[str, float]) -> float:
    return seconds.get(workload or "", NOBODYS_RESTART_SECONDS)


def _cost(price_micro_usd_hour: float, seconds: float) -> float:
    return price_micro_usd_hour * seconds / SECONDS_AN_HOUR


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
