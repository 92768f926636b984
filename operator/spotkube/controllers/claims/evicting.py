"""Asks pods to leave, through the Eviction API as long as there is time."""

import logging

from spotkube.cluster.errors import ApiError, TooManyRequests
from spotkube.cluster.resources import PODS
from spotkube.controllers.claims.draining import PodAction
from spotkube.controllers.toolbox import Toolbox, each

# A budget that refuses now will most likely refuse a moment later too.
ASK_AGAIN_SECONDS = 1.0
logger = logging.getLogger(__name__)


class Evictor:
    """Remembers in memory whom it asked last, only to spare the API server; a restart asks once more."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        self._asked_at: dict[str, float] = {}

    async def act(self, actions: tuple[PodAction, ...]) -> None:
        now = self._tools.clock()
        self._asked_at = {uid: at for uid, at in self._asked_at.items() if now - at < ASK_AGAIN_SECONDS}
        due = [action for action in actions if action.pod.uid not in self._asked_at]
        self._asked_at |= {action.pod.uid: now for action in due}

        async def one(action: PodAction) -> None:
            self._tools.require_leader()
            self._tools.metrics.evictions_total.labels(await self._ask(action)).inc()

        # Side by side: near a deadline, one slow answer must not cost the other pods their grace.
        await each(due, one)

    async def _ask(self, action: PodAction) -> str:
        """Returns the result by the name that the metric gives it."""
        pod = action.pod
        try:
            if action.forced:
                await self._force(action)
                self._tools.displaced.add(pod, self._tools.clock())
                return "forced"
            there = await self._tools.client.evict(pod.namespace, pod.name, uid=pod.uid)
            self._tools.displaced.add(pod, self._tools.clock())
        except TooManyRequests as error:
            logger.info("pod %s may not be evicted yet: %s", pod.key, error.message)
            return "refused"
        except ApiError as error:
            logger.warning("pod %s was not evicted, which is tried again: %s", pod.key, error)
            return "error"
        return "evicted" if there else "gone"

    async def _force(self, action: PodAction) -> None:
        """Deletes the pod with the grace that is left, marked so that a Job does not count it as a failure."""
        pod = action.pod
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "TerminationNotice",
            "message": "SpotKube: the node's instance ends before the pod's grace would",
        }
        body = {"metadata": {"uid": pod.uid}, "status": {"conditions": [condition]}}
        try:
            await self._tools.client.patch(
                PODS, pod.name, body, namespace=pod.namespace, subresource="status", kind="strategic"
            )
        except ApiError as error:
            logger.warning("pod %s could not be marked as disrupted: %s", pod.key, error)
        await self._tools.client.delete(
            PODS, pod.name, namespace=pod.namespace, uid=pod.uid, grace_seconds=action.grace_seconds
        )
