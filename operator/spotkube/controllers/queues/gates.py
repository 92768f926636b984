"""The scheduling gate behind which pods wait for their queue."""

from spotkube.cluster.transport import Objects
from spotkube.model.labels import QUEUE_GATE
from spotkube.model.pods import Pod


def lift(pod: Pod) -> Objects:
    """A patch that lifts the queue's gate and no other; fails when gates have changed meanwhile."""
    path = f"/spec/schedulingGates/{pod.gates.index(QUEUE_GATE)}"
    return [
        {"op": "test", "path": "/metadata/uid", "value": pod.uid},
        {"op": "test", "path": path, "value": {"name": QUEUE_GATE}},
        {"op": "remove", "path": path},
    ]
