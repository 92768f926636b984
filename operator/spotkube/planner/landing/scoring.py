"""How kube-scheduler's default profile ranks the nodes that take a pod.

By its documentation (https://kubernetes.io/docs/reference/scheduling/config/): TaintToleration weighs 3, NodeAffinity,
PodTopologySpread and InterPodAffinity 2, NodeResourcesFit (LeastAllocated) and NodeResourcesBalancedAllocation 1.
Left out: ImageLocality, since images are not known; spreads with ScheduleAnyway and preferred terms between pods, which
the model does not have. Instead of the former every pod without a spread has the cluster's defaults (hosts with a skew
of 3, zones of 5), by its owner.
"""

import math

import numpy as np
from numpy.typing import NDArray

from spotkube.model import labels as keys
from spotkube.model.resources import CPU, MEMORY
from spotkube.model.selectors import TaintEffect
from spotkube.planner.landing.site import Kind
from spotkube.planner.landing.state import State
from spotkube.planner.problem import IntArray

Floats = NDArray[np.float64]
# Key and skew of the spreads that a pod without any has.
_DEFAULT_SPREADS = ((keys.HOSTNAME, 3), (keys.ZONE, 5))
_SPREAD_OWNERS = ("Deployment/", "ReplicaSet/", "StatefulSet/", "ReplicationController/")


def scores(state: State, guest: int, rows: IntArray) -> IntArray:
    """[rows] the sum of all scores, each from 0 to 100 times its weight."""
    kind = state.kind_of(guest)
    total = 3 * _taints(state, kind, rows) + 2 * _preferences(state, kind, rows)
    total += 2 * _spread(state, kind, rows) + 2 * _company(state, kind, rows)
    return total + _room(state, kind, rows)


def _room(state: State, kind: Kind, rows: IntArray) -> IntArray:
    """The more is left the better, and the better the more alike the shares of cpu and memory become."""
    columns = [state.site.resources.index(name) for name in (CPU, MEMORY)]
    asked, room = kind.demand[columns], np.maximum(state.site.room[rows][:, columns], 1)
    before = state.used[rows][:, columns]
    counted = before + asked + state.assumed[rows][:, columns] + kind.assumed[columns]
    least: IntArray = np.where(counted > room, 0, (room - counted) * 100 // room).sum(axis=1) // len(columns)
    if not asked.any():
        return least
    gain = _evenness((before + asked) / room) - _evenness(before / room)
    least += 50 + np.trunc((50 + gain) / 2).astype(np.int64)
    return least


def _evenness(shares: Floats) -> IntArray:
    evenness: IntArray = ((1 - np.minimum(shares, 1).std(axis=1)) * 100).astype(np.int64)
    return evenness


def _taints(state: State, kind: Kind, rows: IntArray) -> IntArray:
    tolerations = kind.pod.shape.tolerations
    shy = [
        sum(
            taint.effect is TaintEffect.PREFER_NO_SCHEDULE and not any(one.tolerates(taint) for one in tolerations)
            for taint in state.site.table.taints[row]
        )
        for row in rows.tolist()
    ]
    most = max(shy)
    return np.array([100 - 100 * one // most if most else 100 for one in shy], dtype=np.int64)


def _preferences(state: State, kind: Kind, rows: IntArray) -> IntArray:
    total = np.zeros(len(rows), dtype=np.int64)
    for weight, term in kind.pod.shape.preferred:
        total += weight * state.site.table.all_of(term)[rows]
    most = int(total.max(initial=0))
    return total * 100 // most if most else total


def _company(state: State, kind: Kind, rows: IntArray) -> IntArray:
    """Pods that require its company draw a pod near."""
    total = np.zeros(len(rows), dtype=np.int64)
    for term in kind.drawn:
        codes = state.site.codes[state.site.terms[term].key][rows]
        total += np.where(codes >= 0, state.owners[term][codes], 0)
    low, high = int(total.min()), int(total.max())
    return (total - low) * 100 // (high - low) if high > low else np.zeros(len(rows), dtype=np.int64)


def _spread(state: State, kind: Kind, rows: IntArray) -> IntArray:
    if kind.spreads or not kind.pod.owner.startswith(_SPREAD_OWNERS):
        return np.zeros(len(rows), dtype=np.int64)
    mates = state.mates.get(kind.mates)
    if mates is None:
        mates = np.zeros(len(state.site.places), dtype=np.int64)
    raw = np.zeros(len(rows), dtype=np.float64)
    for key, skew in _DEFAULT_SPREADS:
        column = state.site.table.column(key)
        values = np.array([column[row] or "" for row in rows.tolist()])
        if key == keys.HOSTNAME:
            counts, size = mates[rows], len(rows)
        else:
            everywhere = np.array([one or "" for one in column])
            fits = kind.fits & state.joined
            counts = np.array([mates[fits & (everywhere == value)].sum() for value in values])
            size = len(set(values.tolist()))
        raw += counts * math.log(size + 2) + (skew - 1)
    total = np.rint(raw).astype(np.int64)
    low, high = int(total.min()), int(total.max())
    return (high + low - total) * 100 // high if high else np.full(len(rows), 100, dtype=np.int64)
