"""Whether all pods of a plan land, in whatever order its nodes arrive and whichever way kube-scheduler's dice fall."""

import random
from collections import Counter
from dataclasses import dataclass

import numpy as np

from spotkube.planner.clock import Stop
from spotkube.planner.landing.filters import admitted
from spotkube.planner.landing.scheduler import Scheduler
from spotkube.planner.landing.site import Site
from spotkube.planner.landing.state import State

TRIES = 100


@dataclass(frozen=True, slots=True)
class Landing:
    """What came of `tries`: how many `failed`, and how often each guest (its number) found no place it may have.

    `tries` 0: none was needed, since nothing can go wrong.
    """

    tries: int = 0
    failed: int = 0
    lost: tuple[tuple[int, int], ...] = ()


def check_landing(site: Site, *, seed: int, stop: Stop, tries: int = TRIES) -> Landing:
    """Lets the guests land so many times, each with other dice and another order of the nodes' arrival; every other
    time the dice fall but once for equally good nodes (see Scheduler).

    Once `stop` says so no further try is begun; the answer says how many there were.
    """
    if is_safe(site):
        return Landing()
    lost, failed, done = Counter[int](), 0, 0
    for number in range(tries):
        if number and stop():
            break
        missing = land_once(site, random.Random(f"{seed}/{number}"), listed=number % 2 == 1)
        done += 1
        failed += bool(missing)
        lost.update(missing)
    return Landing(done, failed, tuple(sorted(lost.items(), key=lambda item: (-item[1], item[0]))))


def is_safe(site: Site) -> bool:
    """Whether nothing can go wrong.

    Only its own pods may enter a new node, so that a pod which no rule binds to others always finds its room. On nodes
    that are open the room of nominated pods is kept from all of no higher priority.
    """
    if any(site.kinds[kind].tangled for kind in site.kind):
        return False
    return len(site.levels) < 2 or not any(
        guest.target >= 0 and site.places[guest.target].there for guest in site.guests
    )


def land_once(site: Site, rng: random.Random, *, listed: bool = False) -> list[int]:
    """One try: the guests that have no place in the end, or one on spot that they may not have."""
    state = State(site)
    scheduler = Scheduler(state, rng, listed=listed)
    waiting = list(range(len(site.guests)))
    rng.shuffle(waiting)
    waiting.sort(key=lambda guest: -state.kind_of(guest).priority)
    waiting = _let_in(state, scheduler, waiting)
    for joins, place in _arrivals(site, rng):
        if joins:
            state.join(place)
            continue
        state.get_ready(place)
        waiting = _let_in(state, scheduler, waiting)
    for place in np.flatnonzero(state.ready & ~state.open).tolist():
        state.open_up(place)
    waiting = _let_in(state, scheduler, waiting)
    missing = [guest for guest in waiting if site.guests[guest].target >= 0]
    return [*missing, *(guest for guest, place in enumerate(state.where) if _is_astray(site, guest, place))]


def misfits(site: Site) -> frozenset[int]:
    """Guests that rules keep from where they were planned, though all nodes are there and everybody goes only where
    planned: nobody, of a plan that keeps the rules."""
    state = State(site)
    for place, one in enumerate(site.places):
        if not one.closed:
            state.join(place)
            state.open_up(place)
    waiting = [guest for guest, one in enumerate(site.guests) if one.target >= 0]
    while True:
        left = [guest for guest in waiting if not _goes_home(state, guest)]
        if len(left) == len(waiting):
            return frozenset(left)
        waiting = left


def _goes_home(state: State, guest: int) -> bool:
    target = state.site.guests[guest].target
    if not len(admitted(state, guest, np.array([target]))):
        return False
    state.bind(guest, target)
    return True


def _is_astray(site: Site, guest: int, place: int) -> bool:
    one = site.guests[guest]
    return one.off_spot and place >= 0 and place != one.target and site.places[place].spot


def _let_in(state: State, scheduler: Scheduler, waiting: list[int]) -> list[int]:
    """Every nomination is there again, as we write it anew, and whoever has no gate any more is tried."""
    guests = state.site.guests
    for guest in waiting:
        one = guests[guest]
        kept = one.target >= 0 and (one.is_nominated or (state.open[one.target] and not one.pod.shape.spread))
        state.nominate(guest, one.target if kept else -1)
    free = [g for g in waiting if not guests[g].gated or guests[g].target < 0 or state.ready[guests[g].target]]
    left = {*scheduler.run(free), *waiting} - {g for g in free if state.where[g] >= 0}
    return [guest for guest in waiting if guest in left]


def _arrivals(site: Site, rng: random.Random) -> list[tuple[bool, int]]:
    """(whether it joins, or else is ready; place), as time goes by."""
    events = []
    for number, place in enumerate(site.places):
        if not (place.there or place.closed):
            joined = rng.random()
            events += [(joined, True, number), (joined + rng.random(), False, number)]
    return [(joins, number) for _, joins, number in sorted(events)]
