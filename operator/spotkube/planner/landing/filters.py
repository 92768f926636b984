"""Whether kube-scheduler lets a pod onto a node: its filters, with the room that it keeps for nominated pods.

It asks twice (pod priority and preemption, https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/):
as if the pods nominated onto that node stood there, and as if they did not; both must hold.
"""

import numpy as np

from spotkube.planner.landing.site import Kind, SpreadRule
from spotkube.planner.landing.state import State
from spotkube.planner.problem import BoolArray, IntArray


def admitted(state: State, guest: int, rows: IntArray) -> IntArray:
    """Of the places `rows` those that take the guest, which must not be nominated just now."""
    kind, target = state.kind_of(guest), state.site.guests[guest].target
    rows = rows[(state.open[rows] | (state.ready[rows] & (rows == target))) & kind.fits[rows]]
    if not len(rows):
        return rows
    rows = rows[(state.free(kind, rows) >= kind.demand).all(axis=1)]
    if not kind.tangled or not len(rows):
        return rows
    return rows[_by_rules(state, kind, rows)]


def _by_rules(state: State, kind: Kind, rows: IntArray) -> BoolArray:
    mask = np.ones(len(rows), dtype=np.bool_)
    for term in kind.anti:
        mask &= _count(state, state.counts[term], term, rows) + state.coming(kind, term, rows) == 0
    for term in kind.shunned:
        mask &= _count(state, state.owners[term], term, rows) + state.coming_owners(kind, term, rows) == 0
    if kind.company:
        mask &= _in_company(state, kind, rows)
    for rule in kind.spreads:
        mask &= _evenly(state, kind, rule, rows)
    if kind.pod.shape.host_ports:
        mask &= state.ports_free(kind, rows)
    return mask


def _count(state: State, counts: IntArray, term: int, rows: IntArray) -> IntArray:
    codes = state.site.codes[state.site.terms[term].key][rows]
    return np.where(codes >= 0, counts[codes], 0)


def _in_company(state: State, kind: Kind, rows: IntArray) -> BoolArray:
    """Each term finds somebody in the node's domain; where there is nobody at all, a pod is its own company."""
    mask = np.ones(len(rows), dtype=np.bool_)
    nobody = True
    for term in kind.company:
        codes = state.site.codes[state.site.terms[term].key][rows]
        mask &= (codes >= 0) & (state.counts[term][codes] > 0)
        nobody &= not state.counts[term][:-1].any()
    return mask if not (nobody and kind.alone) else np.ones(len(rows), dtype=np.bool_)


def _evenly(state: State, kind: Kind, rule: SpreadRule, rows: IntArray) -> BoolArray:
    """The skew with the pod on the node stays within bounds, also once the pods nominated there have come."""
    site, constraint = state.site, rule.constraint
    codes = site.codes[constraint.topology_key]
    domains = state.domains(rule.term, open_only=constraint.honor_taints)
    counts = state.counts[rule.term]
    here = counts[codes[rows]] + int(rule.own)
    coming = state.coming(kind, rule.term, rows)
    if len(domains) < constraint.min_domains:
        return here + coming <= constraint.max_skew
    present = np.sort(counts[domains])
    least = int(present[0]) if len(present) else 0
    # Pods that come to the only domain with the fewest lift the fewest.
    second = int(present[1]) if len(present) > 1 else np.iinfo(np.int64).max
    alone = (counts[codes[rows]] == least) & (second > least)
    lifted = np.where(alone, np.minimum(least + coming, second), least)
    fine = here - least <= constraint.max_skew
    return fine & (here + coming - lifted <= constraint.max_skew)
