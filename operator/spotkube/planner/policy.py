"""Picks one plan of the front by the policy. Pure.

cheapest    the least dollars an hour
balanced    the least of dollars an hour + expected dollars an hour of interruptions
            + exchange rate * pods lost together
safest      of the plans that cost at most X % more than the cheapest, the one that loses the fewest pods together; of
            these the least expected cost of interruptions, and of these the cheapest

Dollars an hour are those of all nodes of the pools, with what unmet preferences count. A limit on pods lost together
leaves only the plans that keep it to pick from.
"""

from collections.abc import Callable, Sequence

from spotkube.model.policy import Pick, Policy, PolicyUnsatisfiable
from spotkube.planner.problem import Alternative

MICRO = 1e6


def pick(front: Sequence[Alternative], policy: Policy, staying: int) -> int:
    """The place of the plan among those of the front, the cheapest of which comes first.

    Args:
        front: not empty.
        policy: what is asked for.
        staying: micro-dollars an hour of the nodes that stay, which are part of what every plan costs.

    Raises PolicyUnsatisfiable.
    """
    costs = [staying + one.weighed for one in front]
    most = costs[0] * (1 + policy.within_percent / 100) if policy.pick is Pick.SAFEST else float("inf")
    affordable = [i for i, cost in enumerate(costs) if cost <= most]
    if not affordable:
        raise PolicyUnsatisfiable(
            f"policy {policy}: the objective usdPerHour blocks, since no plan costs less than the cheapest, "
            f"${costs[0] / MICRO:.4f} an hour; set within_percent to 0 or more"
        )
    limit = policy.max_pods_lost_together
    allowed = affordable if limit is None else [i for i in affordable if front[i].lost_together <= limit]
    if not allowed:
        raise PolicyUnsatisfiable(_why_too_many(front, costs, affordable, policy))
    return min(allowed, key=_order(front, costs, policy))


def _order(front: Sequence[Alternative], costs: Sequence[float], policy: Policy) -> Callable[[int], tuple[float, ...]]:
    def order(i: int) -> tuple[float, ...]:
        one = front[i]
        match policy.pick:
            case Pick.CHEAPEST:
                return costs[i], one.interruption, one.lost_together
            case Pick.BALANCED:
                return (costs[i] + risk_micro_usd_hour(one, policy), costs[i])
            case Pick.SAFEST:
                return one.lost_together, one.interruption, costs[i]

    return order


def risk_micro_usd_hour(one: Alternative, policy: Policy) -> float:
    """What the risk of a plan is worth beside its dollars: something under `balanced` only."""
    if policy.pick is not Pick.BALANCED:
        return 0.0
    return one.interruption + policy.exchange_rate_usd * MICRO * one.lost_together


def _why_too_many(front: Sequence[Alternative], costs: Sequence[float], affordable: list[int], policy: Policy) -> str:
    limit = policy.max_pods_lost_together
    least = min(front[i].lost_together for i in affordable)
    safe = [i for i, one in enumerate(front) if limit is not None and one.lost_together <= limit]
    words = f"policy {policy}: the objective podsLostTogether blocks, since the safest plan "
    if safe:
        more = min((costs[i] / costs[0] - 1) * 100 for i in safe)
        words += f"within {policy.within_percent:g} % loses {least:.1f} together, and one that keeps the limit costs "
        return f"{words}{more:.1f} % more than the cheapest; set within_percent to that, or the limit to {least:.1f}"
    return (
        f"{words}that was found loses {least:.1f} together; set max_pods_lost_together to that, or let more be bought"
    )
