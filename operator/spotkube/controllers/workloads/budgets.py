"""The PodDisruptionBudget of a Workload's `minAvailable`."""

from collections.abc import Mapping
from typing import Any

from spotkube.api.workload import Workload
from spotkube.controllers.workloads.children import Object, child_metadata
from spotkube.convert.workloads import digest
from spotkube.model import labels as keys


def desired_budget(workload: Workload, target_selector: Mapping[str, Any] | None = None) -> Object | None:
    """The budget of the Workload's name; None when it asks for none, or when its target is not there.

    The pods of a `targetRef` do not carry our label, so that its own selector (`Source.selector`) must be given.
    """
    spec = workload.spec
    if spec.min_available is None or (spec.target_ref is not None and not target_selector):
        return None
    selector = dict(target_selector or {}) if spec.target_ref else {"matchLabels": {keys.WORKLOAD: workload.name}}
    budget: Object = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": child_metadata(workload),
        "spec": {
            "minAvailable": spec.min_available,
            "selector": selector,
            # The default lets a pod that runs but is not ready block a drain for ever, though it serves nobody.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
    budget["metadata"]["annotations"] = {keys.APPLIED: digest(budget)}
    return budget
