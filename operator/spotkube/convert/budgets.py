"""PodDisruptionBudgets of manifests: how many pods may be evicted, by their status or as the controller would count."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from spotkube.convert.selectors import to_label_selector
from spotkube.model.cluster import DisruptionBudget
from spotkube.model.pods import Pod

Json = Mapping[str, Any]


def to_disruption_budget(raw: Json, pods: Iterable[Pod]) -> DisruptionBudget:
    """One without a status is counted out over the pods that are there: those with a node count as healthy."""
    metadata, spec, told = raw["metadata"], raw.get("spec") or {}, (raw.get("status") or {}).get("disruptionsAllowed")
    found = DisruptionBudget(
        metadata["namespace"], metadata["name"], to_label_selector(spec.get("selector")), told or 0
    )
    if told is not None:
        return found
    covered = [pod for pod in pods if found.covers(pod)]
    healthy = sum(1 for pod in covered if pod.node is not None and not pod.deleting)
    allowed = max(0, healthy - _wanted(spec, len(covered)))
    return DisruptionBudget(found.namespace, found.name, found.selector, allowed)


def _wanted(spec: Json, pods: int) -> int:
    """How many pods must stay healthy; shares are rounded up, those of unavailable pods too."""
    if spec.get("maxUnavailable") is not None:
        return max(0, pods - _amount(spec["maxUnavailable"], pods))
    return _amount(spec.get("minAvailable") or 0, pods)


def _amount(value: int | str, pods: int) -> int:
    return value if isinstance(value, int) else math.ceil(int(value.removesuffix("%")) * pods / 100)
