# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""Quotas over all nodes of a domain, and company that groups need on a node. All compiled."""

import numpy as np

from spotkube.planner.compiled import compiled, copy
from spotkube.planner.instance import Arrays
from spotkube.planner.problem import IntArray
from spotkube.planner.reduced.state import Nodes


@compiled
def count_quotas(a: Arrays, s: Nodes, h: int, g: int, pods: int) -> None:
    """Takes so many pods of group g on holder h off the quotas (gives back if negative)."""
    first = a.caps.shape[1] - a.quota_domain.shape[1]
    for i in range(a.cap_start[g], a.cap_start[g + 1]):
        q = a.cap_list[i] - first
        if q >= 0 and a.quota_domain[h, q] >= 0:
            s.quota_left[q, a.quota_domain[h, q]] -= pods * a.cap_use[i]


@compiled
def caps_now(a: Arrays, s: Nodes, h: int, own: IntArray) -> IntArray:
    """Into s.caps: what is left of the caps in `own` [K + Q] when what is left of the quotas counts as well."""
    copy(s.caps, own)
    first = a.caps.shape[1] - a.quota_domain.shape[1]
    for q in range(a.quota_domain.shape[1]):
        if a.quota_domain[h, q] >= 0:
            s.caps[first + q] = min(s.caps[first + q], s.quota_left[q, a.quota_domain[h, q]])
    return s.caps


@compiled
def quota_room(a: Arrays, s: Nodes, h: int, g: int, wanted: int) -> int:
    """How many pods of group g, up to `wanted`, the quotas let onto all nodes of holder h together."""
    pods = wanted
    first = a.caps.shape[1] - a.quota_domain.shape[1]
    for i in range(a.cap_start[g], a.cap_start[g + 1]):
        q = a.cap_list[i] - first
        if q >= 0 and a.quota_domain[h, q] >= 0:
            pods = min(pods, s.quota_left[q, a.quota_domain[h, q]] // a.cap_use[i])
    return max(pods, 0)


@compiled
def within_quotas(a: Arrays, s: Nodes, h: int, pattern: IntArray, times: int) -> int:
    """How many nodes of holder h with this pattern, up to `times`, the quotas allow."""
    first = a.caps.shape[1] - a.quota_domain.shape[1]
    for q in range(a.quota_domain.shape[1]):
        if a.quota_domain[h, q] < 0:
            continue
        use = np.int64(0)
        for g in range(pattern.shape[0]):
            if pattern[g] > 0:
                for i in range(a.cap_start[g], a.cap_start[g + 1]):
                    if a.cap_list[i] == first + q:
                        use += pattern[g] * a.cap_use[i]
        if use > 0:
            times = min(times, s.quota_left[q, a.quota_domain[h, q]] // use)
    return times


@compiled
def needs_met(a: Arrays, s: Nodes, row: int, g: int) -> bool:
    """Whether the pods on the row, and on the bin before, meet the needs of group g."""
    for i in a.need_list[a.need_start[g] : a.need_start[g + 1]]:
        if a.met[s.holder[row], i] == 0 and not has_helper(a, s, row, i):
            return False
    return True


@compiled
def has_helper(a: Arrays, s: Nodes, row: int, need: int) -> bool:
    """Whether a pod on the row meets the need."""
    for f in range(s.pods.shape[1]):
        if s.pods[row, f] > 0:
            for i in a.help_list[a.help_start[f] : a.help_start[f + 1]]:
                if i == need:
                    return True
    return False


@compiled
def met_now(a: Arrays, s: Nodes, row: int) -> IntArray:
    """Into s.met: for each need how many of the groups on the row meet it, and whether the bin did before."""
    copy(s.met, a.met[s.holder[row]])
    if s.met.shape[0] > 0:
        for f in range(s.pods.shape[1]):
            if s.pods[row, f] > 0:
                for i in a.help_list[a.help_start[f] : a.help_start[f + 1]]:
                    s.met[i] += 1
    return s.met
