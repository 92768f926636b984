"""kube-scheduler in virtual time: pod after pod, its nominated node first, else the best of those that take it.

Source of what it does: https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/ and
https://kubernetes.io/docs/concepts/scheduling-eviction/scheduler-perf-tuning/.
"""

import random
from collections.abc import Iterable

import numpy as np

from spotkube.planner.landing.filters import admitted
from spotkube.planner.landing.scoring import scores
from spotkube.planner.landing.state import State
from spotkube.planner.problem import IntArray

# Below so many nodes all are looked at, and so many that take a pod are always looked for.
_FEWEST_NODES = 100
# Of more nodes this share, less a percent for each 125 nodes, but never below 5 %.
_SHARE_PERCENT, _NODES_A_PERCENT, _LEAST_PERCENT = 50, 125, 5


class Scheduler:
    """Gives the pods that wait their places, as far as there are any now.

    Of places that are equally good, kube-scheduler throws dice in some releases and in others (1.36) takes the first
    of its list. With `listed` it is the latter, in an order drawn once, since nobody knows the list's.
    """

    def __init__(self, state: State, rng: random.Random, *, listed: bool = False) -> None:
        self._state, self._rng = state, rng
        places = list(range(len(state.site.places)))
        self._list = rng.sample(places, len(places)) if listed else None
        # Kinds of pods that no node takes, apart from those that they are nominated onto, and when that was found.
        self._refused: dict[int, tuple[int, int]] = {}
        self._bound = 0
        # Places where room is no longer kept for somebody.
        self._freed: list[int] = []

    def run(self, queue: Iterable[int]) -> list[int]:
        """Tries the guests in this order, and those left again as long as one finds a place; those still left.

        A guest that finds none loses its nomination, as kube-scheduler takes it away.
        """
        waiting = list(queue)
        self._refused.clear()
        self._freed.clear()
        while waiting:
            left = [guest for guest in waiting if not self.attempt(guest)]
            if len(left) == len(waiting):
                break
            waiting = left
        return waiting

    def attempt(self, guest: int) -> bool:
        """Binds the guest, if a node takes it."""
        state = self._state
        target = state.nominated[guest]
        state.clear(guest)
        if target >= 0 and state.ready[target]:
            if len(admitted(state, guest, np.array([target]))):
                self._bind(guest, target)
                return True
            self._freed.append(target)
        number = state.site.kind[guest]
        rows, own = self._worth_asking(number), state.site.guests[guest].target
        if own >= 0 and own != target and state.ready[own] and not state.open[own]:
            rows = np.append(rows, own)
        if len(rows):
            rows = admitted(state, guest, rows)
        if not len(rows):
            self._refused[number] = self._bound, len(self._freed)
            return False
        self._bind(guest, self._best(guest, self._sample(rows)))
        return True

    def _worth_asking(self, kind: int) -> IntArray:
        """Open places, without those that have refused such a pod since anything changed there: pods that are bound
        only take room, but rules between pods may allow more than before."""
        bound, freed = self._refused.get(kind, (-1, 0))
        if bound == self._bound or (bound >= 0 and not self._state.site.kinds[kind].tangled):
            return np.array(sorted(set(self._freed[freed:])), dtype=np.int64)
        return np.flatnonzero(self._state.open)

    def _bind(self, guest: int, place: int) -> None:
        self._state.bind(guest, place)
        self._bound += 1

    def _best(self, guest: int, rows: IntArray) -> int:
        if len(rows) == 1:
            return int(rows[0])
        ranked = scores(self._state, guest, rows)
        best = rows[ranked == ranked.max()].tolist()
        return int(self._rng.choice(best) if self._list is None else min(best, key=self._list.__getitem__))

    def _sample(self, rows: IntArray) -> IntArray:
        """Where there are many nodes it stops looking once enough take the pod: any of them, as far as we know."""
        nodes = int(self._state.joined.sum())
        enough = enough_nodes(nodes)
        if len(rows) <= enough:
            return rows
        return np.array(sorted(self._rng.sample(rows.tolist(), enough)))


def enough_nodes(nodes: int) -> int:
    """How many nodes that take a pod kube-scheduler looks for, of so many in the cluster."""
    if nodes < _FEWEST_NODES:
        return nodes
    percent = max(_LEAST_PERCENT, _SHARE_PERCENT - nodes // _NODES_A_PERCENT)
    return max(_FEWEST_NODES, nodes * percent // 100)
