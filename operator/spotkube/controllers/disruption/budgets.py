"""How many more nodes of a pool may begin to leave now though nothing forces them to. Pure.

As Karpenter's budgets of a NodePool: of all that are in force for a reason the strictest holds, and nodes that are
leaving or not Ready for whatever reason use them up. For the repair of sick nodes only those that are leaving do: what
is not Ready is away already, and would else stand in the way of its own replacement. One that can't be read lets no
node go: who wrote it wanted to hold something back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from spotkube.controllers.view import View
from spotkube.convert.kinds import to_node_budgets
from spotkube.model.cluster import Claim, ClaimPhase, Mode
from spotkube.model.disruption import DisruptionReason, NodeBudget

_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# Claims whose node has been in use: those on their way are no capacity yet that a share could be taken of.
_COUNTED = (ClaimPhase.READY, ClaimPhase.DRAINING, ClaimPhase.TERMINATED)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Of one pool: how many `nodes` it has, and how many of them are away."""

    nodes: int
    away: int


def allowed(budgets: Sequence[NodeBudget], reason: DisruptionReason, fleet: Fleet, now: float) -> int:
    """How many more nodes may begin to leave for `reason` at `now` (seconds since the epoch); without budgets, all."""
    limits = [_limit(budget, fleet.nodes, now) for budget in budgets if not budget.reasons or reason in budget.reasons]
    return max(0, min([fleet.nodes, *(limit for limit in limits if limit is not None)]) - fleet.away)


def unreadable(budgets: Sequence[NodeBudget]) -> str:
    """What of them can't be read, and the remedy; "" where all can be."""
    for index, budget in enumerate(budgets):
        if budget.schedule is not None and (error := _cron_error(budget.schedule)):
            return (
                f"spec.disruption.budgets[{index}].schedule {budget.schedule!r} is no cron expression ({error}), so no "
                "node is given back: write minute, hour, day, month and weekday, such as 0 9 * * mon-fri"
            )
    return ""


def fleet_of(pool: str, reason: DisruptionReason, view: View, leaving: frozenset[str] = frozenset()) -> Fleet:
    """The pool's nodes; `leaving` names claims that are on their way out besides those that the claims tell of."""
    counted = [claim for claim in view.snapshot.claims if claim.pool == pool and claim.phase in _COUNTED]
    sick_count = reason is not DisruptionReason.UNHEALTHY
    away = [c for c in counted if c.name in leaving or c.leaving or (sick_count and not _is_ready(c, view))]
    return Fleet(len(counted), len(away))


def allowed_now(pool: str, reason: DisruptionReason, view: View, leaving: frozenset[str] = frozenset()) -> int:
    """The same of a pool as it is seen; 0 where it is not in mode Apply, gone or can't be read."""
    model = view.pool_model(pool)
    if pool not in view.pools or model is None or model.mode is not Mode.APPLY:
        return 0
    return allowed(to_node_budgets(view.pools[pool]), reason, fleet_of(pool, reason, view, leaving), view.now)


def _is_ready(claim: Claim, view: View) -> bool:
    node = view.nodes.get(claim.node or claim.name)
    return node is not None and node.ready and not node.deleting


def _limit(budget: NodeBudget, nodes: int, now: float) -> int | None:
    """How many nodes it lets be away, None where it is not in force."""
    try:
        if not _in_force(budget, now):
            return None
    except CronSimError:
        return 0
    if budget.count is not None:
        return budget.count
    return -(-nodes * (budget.percent or 0) // 100)


def _in_force(budget: NodeBudget, now: float) -> bool:
    if budget.schedule is None:
        return True
    # The search backwards begins before its start, and a budget is in force in the minute that its schedule names.
    soon = datetime.fromtimestamp(int(now) + 1, UTC)
    began = next(_cron(budget.schedule, soon), None)
    return began is not None and now - began.timestamp() < budget.duration_seconds


def _cron(schedule: str, before: datetime) -> CronSim:
    return CronSim(_ALIASES.get(schedule, schedule), before, reverse=True)


def _cron_error(schedule: str) -> str:
    try:
        _cron(schedule, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        return str(error)
    return ""
