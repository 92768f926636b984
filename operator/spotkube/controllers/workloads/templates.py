"""What of ours a pod template may hold that a user writes in a Workload: the same that the chart's policy for names of
ours (ownpolicy.yaml) lets him write on pods himself. We make the pods, so that the policy does not see who wrote it."""

from typing import Any

from spotkube.model import labels as keys

Object = dict[str, Any]
_PREFIX = f"{keys.GROUP}/"


def forbidden_names(template: Object, workload: str) -> list[str]:
    """Labels, annotations and scheduling gates that only the operator sets, in the order of their names. Raises
    AttributeError, TypeError for a template with values of a wrong type."""
    metadata, spec = template.get("metadata") or {}, template["spec"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    written = {*labels, *annotations} - {*keys.SET_BY_USERS}
    if labels.get(keys.WORKLOAD) == workload:  # as one finds it on pods that were made
        written -= {keys.WORKLOAD} - {*annotations}
    gates = {gate.get("name") for gate in spec.get("schedulingGates") or ()} - {keys.PLACEMENT_GATE}
    return sorted(name for name in written | gates if isinstance(name, str) and name.startswith(_PREFIX))
