"""What is asked of one pod, as calls to the API server."""

import asyncio
import logging
from datetime import UTC, datetime

from spotkube.cluster.errors import ApiError
from spotkube.cluster.resources import PODS
from spotkube.controllers.claims.draining import How, PodAction
from spotkube.controllers.toolbox import Toolbox
from spotkube.model.labels import POD_TEMPLATE_HASH, RELEASED, WORKLOAD
from spotkube.model.pods import Pod

# The mark on a pod is for its Job's sake; a webhook that hangs on it must not cost the pod its grace.
MARK_SECONDS = 2.0
logger = logging.getLogger(__name__)


async def ask(tools: Toolbox, action: PodAction) -> str:
    """Does it, and returns what came of it by the name that the metric gives it. Raises ApiError."""
    pod = action.pod
    match action.how:
        case How.TELL:
            await _patch(tools, pod, {"annotations": dict(action.annotations)})
            return "told"
        case How.RELEASE:
            # Its successor takes the place that is planned for it.
            tools.displaced.add(pod, tools.clock())
            await _patch(tools, pod, {"labels": _released(pod)})
            return "released"
        case How.EVICT:
            there = await tools.client.evict(pod.namespace, pod.name, uid=pod.uid, grace_seconds=action.grace_seconds)
        case How.FORCE:
            await _mark(tools, pod)
            grace, of = action.grace_seconds, pod.namespace
            left = await tools.client.delete(PODS, pod.name, namespace=of, uid=pod.uid, grace_seconds=grace)
            there = left is not None
    tools.displaced.add(pod, tools.clock())
    if not there:
        return "gone"
    return "forced" if action.how is How.FORCE else "evicted"


def _released(pod: Pod) -> dict[str, str]:
    """Another hash, so that the ReplicaSet lets go of it while Services and budgets still count it; and the name of
    its Workload, which could else not be told any more of one that a targetRef leads to."""
    workload = (pod.workload or "").partition("/")[2]
    return {POD_TEMPLATE_HASH: RELEASED, WORKLOAD: workload}


async def _patch(tools: Toolbox, pod: Pod, metadata: dict[str, dict[str, str]]) -> None:
    body = {"metadata": {"uid": pod.uid, **metadata}}
    raw = await tools.client.patch(PODS, pod.name, body, namespace=pod.namespace)
    tools.cache.feed(PODS, "MODIFIED", raw)


async def _mark(tools: Toolbox, pod: Pod) -> None:
    """So that a Job does not count the pod as a failure, as the Eviction API does it by itself.

    Of pods that are not being deleted yet, kube-controller-manager takes back marks that are older than two minutes,
    or that do not say how old they are.
    """
    condition = {
        "lastTransitionTime": datetime.fromtimestamp(tools.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "TerminationNotice",
        "message": "SpotKube: the node's instance ends before the pod's grace would",
    }
    body = {"metadata": {"uid": pod.uid}, "status": {"conditions": [condition]}}
    try:
        async with asyncio.timeout(MARK_SECONDS):
            await tools.client.patch(
                PODS, pod.name, body, namespace=pod.namespace, subresource="status", kind="strategic"
            )
    except (ApiError, TimeoutError) as error:
        logger.warning("pod %s could not be marked as disrupted: %s", pod.key, error)
