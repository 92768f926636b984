"""A plan put to the test of landing, and mended where pods would be lost: they get a node with room to spare."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spotkube.model.cluster import Pool, Snapshot
from spotkube.model.offerings import Offering
from spotkube.model.plan import Landing as Report
from spotkube.model.plan import Plan, PlannedNode
from spotkube.model.pods import Pod
from spotkube.model.resources import ResourceList
from spotkube.planner.clock import Stop
from spotkube.planner.formulation.bins import KeptBins
from spotkube.planner.formulation.kinds import Kinds, make_kinds, shape_mask
from spotkube.planner.formulation.limits import within_limits
from spotkube.planner.formulation.namespaces import with_namespaces
from spotkube.planner.formulation.quotas import counted_apart
from spotkube.planner.formulation.volumes import reach_mask
from spotkube.planner.landing.check import Landing, check_landing, misfits
from spotkube.planner.landing.scene import daemons_of, labels_of, site_of
from spotkube.planner.landing.site import Site

# Nodes that a plan may be given beyond its own; for each of them so many offerings are tried.
MOST_ADDED, MOST_TRIED = 3, 6
REASON = "room to spare: kube-scheduler might put other pods where these were planned"


@dataclass(frozen=True, slots=True)
class _Attempt:
    plan: Plan
    site: Site
    landing: Landing


class _Trial:
    """Plans put to the test, until the time is used up."""

    def __init__(self, snapshot: Snapshot, pools: Sequence[Pool], seed: int, stop: Stop, kept: KeptBins) -> None:
        self._snapshot, self._pools, self._seed, self._kept = snapshot, pools, seed, kept
        self.over = stop
        self.done = 0

    def of(self, plan: Plan) -> _Attempt:
        site = site_of(self._snapshot, plan, self._pools, self._kept)
        landing = check_landing(site, seed=self._seed, stop=self.over)
        self.done += landing.tries
        return _Attempt(plan, site, landing)


def with_landing(
    snapshot: Snapshot, plan: Plan, pools: Sequence[Pool], *, seed: int, stop: Stop, kept: KeptBins | None = None
) -> Plan:
    """The plan with the report of its landing. Where pods found no place in one of the tries, it is given the cheapest
    node with which more tries go well and rules between pods are kept, again and again, until `stop` or as far as
    limits of pools allow. `kept` as for `make_bins`.
    """
    snapshot = with_namespaces(snapshot)
    trial = _Trial(snapshot, pools, seed, stop, kept or KeptBins())
    best = first = trial.of(plan)
    while best.landing.failed and len(best.plan.additions) < len(plan.additions) + MOST_ADDED and not trial.over():
        better = _better(trial, best, _with_more_room(snapshot, best, pools))
        if better is None:
            break
        best = better
    report = Report(
        tries=best.landing.tries,
        failed=best.landing.failed,
        failed_before=first.landing.failed,
        nodes_added=len(best.plan.additions) - len(plan.additions),
        micro_usd_hour_added=best.plan.cost_after_micro_usd_hour - plan.cost_after_micro_usd_hour,
    )
    work = replace(plan.work, landing_tries=trial.done)
    return replace(best.plan, landing=report, work=work)


def _better(trial: _Trial, best: _Attempt, plans: Iterable[Plan]) -> _Attempt | None:
    """The first that fails in a smaller part of its tries."""
    known = misfits(best.site)
    for plan in plans:
        tried = trial.of(plan)
        fewer = tried.landing.failed * best.landing.tries < best.landing.failed * tried.landing.tries
        if fewer and misfits(tried.site) <= known:
            return tried
        if trial.over():
            break
    return None


def _with_more_room(snapshot: Snapshot, attempt: _Attempt, pools: Sequence[Pool]) -> Iterator[Plan]:
    """The plan with one more node for the pod that was lost most often and others like it, the cheapest first."""
    lost = [attempt.site.guests[number] for number, _ in attempt.landing.lost]
    like = [one.pod for one in lost if (one.pod.shape, one.pod.workload) == (lost[0].pod.shape, lost[0].pod.workload)]
    # Whose share of a spot pool is limited may have no more of it.
    spot = attempt.site.places[lost[0].target].spot and like[0].workload not in counted_apart(snapshot, pools)
    kinds = make_kinds(snapshot, pools)
    seen: set[str] = set()
    for kind in _suitable(kinds, like[0], spot=spot):
        offering, pool = kinds.offerings[kind], kinds.pools[kinds.pool[kind]]
        room = offering.allocatable - daemons_of(snapshot, pool, labels_of("", pool, offering))
        more = _moved(attempt.plan, pool, offering, _that_fit(like, room))
        fits = like[0].shape.requests.fits(room) and within_limits(snapshot, pool, more.additions)
        if offering.zone in seen or not fits:
            continue
        seen.add(offering.zone)
        yield more
        if len(seen) >= MOST_TRIED:
            return


def _suitable(kinds: Kinds, pod: Pod, *, spot: bool) -> list[int]:
    """By price; on demand unless spot is allowed to it, as where the pod was planned on spot."""
    mask = shape_mask(kinds.table, pod.shape) & reach_mask(kinds.table, pod.shape)
    if not spot:
        mask = mask & ~kinds.spot
    return sorted(np.flatnonzero(mask).tolist(), key=lambda kind: kinds.offerings[kind].price_micro_usd_hour)


def _that_fit(pods: Sequence[Pod], room: ResourceList) -> tuple[str, ...]:
    chosen = []
    for pod in pods:
        if pod.shape.requests.fits(room):
            chosen.append(pod.uid)
            room = room - pod.shape.requests
    return tuple(chosen)


def _moved(plan: Plan, pool: Pool, offering: Offering, pods: tuple[str, ...]) -> Plan:
    """These pods onto a node of their own; the nodes that they were planned onto keep their room."""
    moving = frozenset(pods)
    kept = [replace(node, pods=tuple(pod for pod in node.pods if pod not in moving)) for node in plan.additions]
    return replace(
        plan,
        additions=(*kept, PlannedNode(pool.name, offering, pods, REASON)),
        placements=tuple(placement for placement in plan.placements if placement.pod not in moving),
        cost_after_micro_usd_hour=plan.cost_after_micro_usd_hour + offering.price_micro_usd_hour,
    )
