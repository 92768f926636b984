"""What nobody owns: instances without a claim, and Nodes of ours without claim and instance."""

import logging

from spotkube.cluster.errors import ApiError
from spotkube.cluster.resources import NODECLAIMS
from spotkube.controllers.claims.acting import ClaimActor
from spotkube.controllers.toolbox import Toolbox, each
from spotkube.controllers.view import View
from spotkube.model.cluster import Node
from spotkube.providers.port import Instance, InstanceState, ProviderError

# The cloud may know of an instance a moment before the cache knows of its claim.
ORPHAN_SECONDS = 30.0
logger = logging.getLogger(__name__)


def orphaned_instances(view: View) -> list[Instance]:
    """Running instances whose claim is gone. Claims are written before they are bought, so none is merely late."""
    owners = {claim.metadata.uid for claim in view.claims.values()}
    return [
        instance
        for token, instance in (view.instances or {}).items()
        if token not in owners
        and instance.state in (InstanceState.PENDING, InstanceState.RUNNING)
        and view.now - instance.launched_at > ORPHAN_SECONDS
    ]


def orphaned_nodes(view: View) -> list[Node]:
    """Nodes with our label whose claim is gone and that no instance stands behind."""
    if view.instances is None:
        return []
    alive = {i.provider_id for i in view.instances.values() if i.state is not InstanceState.TERMINATED}
    return [
        node
        for node in view.nodes.values()
        if node.claim is not None and node.claim not in view.claims and node.provider_id not in alive
    ]


class GarbageCollector:
    def __init__(self, tools: Toolbox, actor: ClaimActor) -> None:
        self._tools = tools
        self._actor = actor

    async def collect(self, view: View) -> None:
        """Ends and removes what has no owner. What fails is tried again in the next cycle."""
        await each(orphaned_instances(view), self._end)
        await each(orphaned_nodes(view), self._remove)

    async def _end(self, instance: Instance) -> None:
        try:
            # Asked of the API server itself: a cache that lags must not cost a node.
            claim = await self._tools.client.get(NODECLAIMS, instance.name)
            if claim is not None and claim["metadata"]["uid"] == instance.token:
                return
            self._tools.require_leader()
            logger.warning("instance %s has no NodeClaim any more and is ended", instance.provider_id)
            await self._tools.provider.delete(instance.provider_id)
        except (ApiError, ProviderError) as error:
            logger.warning("instance %s could not be ended, which is tried again: %s", instance.provider_id, error)

    async def _remove(self, node: Node) -> None:
        self._tools.require_leader()
        logger.warning("Node %s has neither NodeClaim nor instance and is removed", node.name)
        try:
            await self._actor.remove_node(node)
        except ApiError as error:
            logger.warning("Node %s could not be removed, which is tried again: %s", node.name, error)
