"""When nodes of a NodePool are given back or replaced though nothing forces it."""

from enum import StrEnum

from spotkube.api.fields import Duration, PositiveDuration
from spotkube.api.rules import SpecModel


class ConsolidationPolicy(StrEnum):
    WHEN_EMPTY = "WhenEmpty"
    WHEN_EMPTY_OR_UNDERUTILIZED = "WhenEmptyOrUnderutilized"
    NEVER = "Never"


class Disruption(SpecModel):
    """When nodes are given back."""

    consolidation_policy: ConsolidationPolicy = ConsolidationPolicy.WHEN_EMPTY
    """WhenEmpty: a node on which only daemons run is given back. WhenEmptyOrUnderutilized: other nodes may also be
    given back, or replaced by cheaper ones, where that pays for moving their pods; so far that is only recommended, in
    CapacityPlans. Never: nodes stay until their claim is deleted. In mode Recommend, where nothing is given back, what
    WhenEmptyOrUnderutilized would do is shown unless this is Never."""
    consolidate_after: Duration = "30s"
    """How long a node must have been empty before it is given back, such as 30s or 10m."""
    pay_back_within: PositiveDuration = "1h"
    """Pods are moved only where what that saves pays for the moves within so long, such as 30m or 4h. A move costs what
    a restart costs the pod: its room on demand for the restartTime of its Workload; more with a high priority or
    controller.kubernetes.io/pod-deletion-cost. Where a plan moves pods of several NodePools, the shortest
    time holds."""
