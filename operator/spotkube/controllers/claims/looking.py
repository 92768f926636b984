"""What a drain has to know besides its claim, node and pods."""

from collections.abc import Mapping

from spotkube.cluster.resources import PODS
from spotkube.controllers.claims.surging import succeeded_later
from spotkube.controllers.toolbox import Toolbox
from spotkube.controllers.view import View
from spotkube.convert.pods import to_pod
from spotkube.convert.workloads import key_of, source_key
from spotkube.model.pods import Pod
from spotkube.model.termination import TerminationRule


async def pods_on_node(tools: Toolbox, node: str) -> tuple[Pod, ...]:
    """The live pods of a Node as the API server has them at this moment. Raises ApiError."""
    found, _ = await tools.client.list(PODS, field_selector=f"spec.nodeName={node}")
    for raw in found:
        tools.cache.feed(PODS, "MODIFIED", raw)
    return tuple(pod for raw in found if (pod := to_pod(raw)) is not None)


def waiting_for_successors(view: View, rules: Mapping[str, TerminationRule]) -> frozenset[str]:
    """See `succeeded_later`; a Workload without its Deployment has nobody to make successors."""
    if not view.leaving_nodes or not any(rule.surge for rule in rules.values()):
        return frozenset()
    replicas = {
        key_of(workload): source.replicas
        for workload in view.workloads
        if (rule := rules.get(key_of(workload))) is not None
        and rule.surge
        and (source := view.sources.get(source_key(workload))) is not None
    }
    return succeeded_later(view.pods.values(), view.leaving_nodes, rules, replicas)
