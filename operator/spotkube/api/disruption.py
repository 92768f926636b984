"""When nodes of a NodePool are given back or replaced though nothing forces it."""

import re
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from spotkube.api.fields import Duration, PositiveDuration
from spotkube.api.rules import Rule, SpecModel
from spotkube.model.disruption import DisruptionReason

_NODES = Rule(
    "self.matches('^((100|[0-9]{1,2})%|[0-9]{1,6})$')",
    "write a number of nodes such as '3', or a share of them from 0% to 100% such as 10%",
    lambda text: re.fullmatch("(100|[0-9]{1,2})%|[0-9]{1,6}", text) is not None,
)


class ConsolidationPolicy(StrEnum):
    WHEN_EMPTY = "WhenEmpty"
    WHEN_EMPTY_OR_UNDERUTILIZED = "WhenEmptyOrUnderutilized"
    NEVER = "Never"


class Budget(SpecModel):
    """How many nodes may be on their way out at the same time."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.schedule) == has(self.duration)",
            "schedule and duration belong together: write both, or leave both out for a budget that is always in force",
            lambda budget: (budget.schedule is None) == (budget.duration is None),
        ),
    )

    nodes: Annotated[
        str,
        Field(max_length=7),
        BeforeValidator(lambda value: str(value) if type(value) is int else value),
        _NODES,
    ] = "10%"
    """A number of nodes such as "3", or a share of the pool's nodes such as 10%, rounded up. 0 lets none go. Nodes that
    are leaving for whatever reason count, and nodes that are not Ready, but not against the repair of such (reason
    Unhealthy)."""
    reasons: Annotated[tuple[DisruptionReason, ...], Field(max_length=6)] = ()
    """For what: Empty, Underutilized, Drifted, Expired, Unhealthy, RebalanceRecommendation. Left out: for all of
    them."""
    schedule: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """When it begins to be in force, in UTC, as a cron expression such as "0 9 * * mon-fri" or @daily. Left out: it is
    always in force. One that can't be read lets no node go, as the pool's condition DisruptionAllowed says."""
    duration: PositiveDuration | None = None
    """How long it stays in force from then on, such as 8h."""


class Disruption(SpecModel):
    """When nodes are given back."""

    consolidation_policy: ConsolidationPolicy = ConsolidationPolicy.WHEN_EMPTY
    """WhenEmpty: a node on which only daemons run is given back. WhenEmptyOrUnderutilized: other nodes are also given
    back, or replaced by cheaper ones, where that pays for moving their pods. Never: nodes stay until their claim is
    deleted. In mode Recommend, where nothing is given back, what WhenEmptyOrUnderutilized would do is shown unless this
    is Never."""
    consolidate_after: Duration = "30s"
    """How long no pod must have come to a node or left it before it is given back or its pods are moved, such as 30s or
    10m."""
    budgets: Annotated[tuple[Budget, ...], Field(max_length=50)] = (Budget(),)
    """How many of the pool's nodes may be on their way out at the same time though nothing forces them to; of the
    budgets in force, the strictest holds. Termination notices, and claims that somebody deletes, ask no budget."""
    expire_after: Duration = "0s"
    """How old a node may become, such as 720h, before it is replaced; a fleet that was bought at once is spread over
    the last tenth of that. 0s: as old as it likes."""
    repair_after: Duration = "10m"
    """How long a node may be not Ready before it is replaced. When more than a fifth of the pool's nodes are, but at
    least two, none is: then it is not the nodes. 0s: never."""
    pay_back_within: PositiveDuration = "1h"
    """Pods are moved only where what that saves pays for the moves within so long, such as 30m or 4h. A move costs what
    a restart costs the pod: its room on demand for the restartTime of its Workload; more with a high priority or
    controller.kubernetes.io/pod-deletion-cost. Where a plan moves pods of several NodePools, the shortest
    time holds."""
