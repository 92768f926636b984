"""What lets a pod onto its node: a toleration of its taint, our gate off, and on old clusters a node selector."""

from spotkube.cluster.transport import Object, Objects
from spotkube.model.cluster import Node
from spotkube.model.labels import HOSTNAME, NODECLAIM, PLACEMENT_GATE, UNREGISTERED_TAINT
from spotkube.model.pods import Pod


def release_patch(pod: Pod) -> Objects:
    """Lifts our gate; fails when gates have changed meanwhile."""
    gates, path = [{"name": gate} for gate in pod.gates], "/spec/schedulingGates"
    others = [gate for gate in gates if gate["name"] != PLACEMENT_GATE]
    change: Object = {"op": "replace", "path": path, "value": others} if others else {"op": "remove", "path": path}
    return [{"op": "test", "path": path, "value": gates}, change]


def admission_patch(pod: Pod, claim_uid: str) -> Objects:
    """Lets the pod onto the claim's node while that is closed to others."""
    toleration = {"key": UNREGISTERED_TAINT, "operator": "Equal", "value": claim_uid, "effect": "NoSchedule"}
    path = "/spec/tolerations"
    if pod.shape.tolerations or pod.admitted_by:
        return [{"op": "add", "path": f"{path}/-", "value": toleration}]
    return [{"op": "test", "path": path, "value": None}, {"op": "add", "path": path, "value": [toleration]}]


def selector_of(pod: Pod, node: Node) -> dict[str, str]:
    """What brings the pod onto the node by its node selector; that of a gated pod may be narrowed.

    Nothing where the pod is spread: kube-scheduler counts only nodes that the selector leaves, so that the rule would
    be broken in silence, or with minDomains never met.
    """
    label = next((key for key in (NODECLAIM, HOSTNAME) if key in dict(node.labels)), None)
    if label is None or pod.shape.spread or not pod.shape.is_pinnable:
        return {}
    return {label: dict(node.labels)[label]}


def selector_patch(pod: Pod, selector: dict[str, str]) -> Objects:
    if not selector:
        return []
    return [{"op": "add", "path": "/spec/nodeSelector", "value": {**dict(pod.shape.node_selector), **selector}}]
