# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# (numba types numbers by itself; numpy's stubs tell its integers from int.)
"""The tail: how many pods are lost together when it goes badly.

One event takes all spot nodes of one spot pool (instance type and zone). Events come with the pools' rates, so that
the next one hits pool d with the chance rate[d] over the sum of the rates of the pools in use. The tail is the CVaR at
95 % of the pods that such an event takes: the mean over the worst 5 % of events. It is exact: pools are taken from the
one with the most pods on until 5 % of the chance is used up.
"""

from spotkube.planner.compiled import compiled
from spotkube.planner.problem import FloatArray, IntArray

# What is left of all events above the 95 % quantile.
WORST = 0.05


@compiled
def pods_lost_together(pods: IntArray, rate: FloatArray) -> float:
    """CVaR at 95 %.

    Args:
        pods: [D] in each spot pool; used up.
        rate: [D] events an hour.
    """
    total = 0.0
    for d in range(pods.shape[0]):
        if pods[d] > 0:
            total += rate[d]
    if total <= 0.0:
        return 0.0
    left, lost = WORST * total, 0.0
    while left > 0.0:
        worst = -1
        for d in range(pods.shape[0]):
            if pods[d] > 0 and rate[d] > 0.0 and (worst < 0 or pods[d] > pods[worst]):
                worst = d
        if worst < 0:
            break
        taken = min(left, rate[worst])
        lost += taken * pods[worst]
        left -= taken
        pods[worst] = 0
    return lost / (WORST * total)
