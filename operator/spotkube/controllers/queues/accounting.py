"""Whose pods run in the cluster: what queues' pods cost, and which are nobody's."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from spotkube.controllers.queues.kinds import Kind
from spotkube.controllers.view import View
from spotkube.controllers.workloads.status import cost_micro_usd_hour, node_facts
from spotkube.model.pods import Pod
from spotkube.queueing.jobs import MICRO
from spotkube.queueing.spending import Account
from spotkube.queueing.tenants import Tenants


def rates_usd_hour(view: View, kinds: Sequence[Kind], tenants: Tenants) -> dict[Account, float]:
    """What the pods of queues cost now, by queue and tenant: their share of the price of the nodes that they run on."""
    pods: dict[Account, list[Pod]] = defaultdict(list)
    for pod in view.pods.values():
        if pod.node is not None and (queue := _queue_of(pod, view, kinds)) is not None:
            pods[queue, tenants.of(pod.namespace)].append(pod)
    nodes = node_facts(view.snapshot.nodes, view.snapshot.claims)
    return {account: cost_micro_usd_hour(some, nodes) / MICRO for account, some in pods.items()}


def pods_of_others(view: View, kinds: Sequence[Kind]) -> Iterable[Pod]:
    """Pods that no queue admitted."""
    return (pod for pod in view.snapshot.pods if _queue_of(pod, view, kinds) is None)


def _queue_of(pod: Pod, view: View, kinds: Sequence[Kind]) -> str | None:
    return next((queue for kind in kinds if (queue := kind.queue_of(pod, view)) is not None), None)
