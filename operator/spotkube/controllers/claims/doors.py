"""Closes the Nodes whose instances end, beside the cycle: in a large cluster one cycle takes longer than the pods that
still come to such a node should have to find out.

It needs nothing but the Node, its claim and what messages say. To close a Node is harmless to repeat, and whatever told
of its end stays where it was found until the cycle has stored it on the claim.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from weakref import WeakValueDictionary

from spotkube.api import NodeClaim
from spotkube.cluster.errors import ApiError, NotFound
from spotkube.cluster.resources import NODECLAIMS, NODES
from spotkube.cluster.store import Store
from spotkube.controllers.claims.leaving import is_cordoned
from spotkube.controllers.claims.patches import cordon_patch
from spotkube.controllers.inbox import Inbox
from spotkube.controllers.ongoing import Ongoing
from spotkube.controllers.toolbox import NotLeading, Toolbox
from spotkube.convert.nodes import to_node
from spotkube.model.cluster import Node
from spotkube.model.kept import Kept

# Between two looks: in a storm of events each would otherwise be followed by one.
PAUSE_SECONDS = 0.05
# What failed is tried again after so long, though nothing changes.
RETRY_SECONDS = 1.0
logger = logging.getLogger(__name__)


class EndingNodes:
    """Which Nodes will end and are still open, asked again and again: it does not look each time at thousands that were
    closed long ago."""

    def __init__(self) -> None:
        self._closed: Kept[Node, bool] = Kept(is_cordoned)

    def open_ones(
        self, nodes: Iterable[Node], claim_named: Callable[[str], NodeClaim | None], inbox: Inbox
    ) -> list[Node]:
        """Nodes of ours that a sign on them or a message says will end, and that are still open."""
        messages = bool(inbox.instances)
        told = [node for node in nodes if (node.notice or messages) and node.claim]
        still_open = (node for node, closed in zip(told, self._closed.of_all(told), strict=True) if not closed)
        return [node for node in still_open if _ends(node, claim_named, inbox)]


def _ends(node: Node, claim_named: Callable[[str], NodeClaim | None], inbox: Inbox) -> bool:
    claim = claim_named(node.claim or "")
    if claim is None or (claim.status.node_name or claim.name) != node.name:
        return False
    signs = (*((node.notice,) if node.notice else ()), *inbox.of(claim.status.provider_id))
    return any(sign.ends_instance for sign in signs)


class Doors:
    """Shared by all who close Nodes, so that no two of them close the same one at the same time."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        self._nodes: Store[Node] = tools.cache.stores[NODES]
        self._claims: Store[NodeClaim] = tools.cache.stores[NODECLAIMS]
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._closing = Ongoing(self._try_to_close)
        self._ending = EndingNodes()
        self._fine = True
        self.closed = 0
        """How many so far, by whomever of us."""

    async def run(self) -> None:
        """For ever; without the lease it does nothing."""
        seen, fine = 0, True
        while True:
            seen = await self._tools.cache.next_batch(
                seen, idle_seconds=0.0, max_seconds=0.0, timeout_seconds=None if fine else RETRY_SECONDS
            )
            try:
                fine = await self.close_all()
            except NotLeading:
                fine = False
            except Exception:
                # Whatever it was: the cycle closes them too, only later.
                fine = False
                logger.exception("nodes that are about to end were not closed at once, which is tried again")
            await asyncio.sleep(PAUSE_SECONDS)

    async def close_all(self, seconds: float = 0.0) -> bool:
        """Closes all that are to be closed now, and waits for that so long; whether all is done and well, else it has
        to be looked at again. Raises NotLeading."""
        if not self._tools.is_leader():
            return False
        found = self._ending.open_ones(self._nodes.values(), self._claims.get, self._tools.inbox)
        await self._closing.go_on({node.name: node.name for node in found}, seconds)
        fine, self._fine = self._fine, True
        return fine and not self._closing.busy

    async def settled(self, seconds: float) -> None:
        """Returns once none is being closed, or after so long. Raises NotLeading."""
        now = asyncio.get_running_loop().time
        deadline = now() + seconds
        await self.close_all(seconds)
        while self._closing.busy and (left := deadline - now()) > 0:
            await self.close_all(left)

    async def _try_to_close(self, name: str) -> None:
        try:
            await self.close(name)
        except NotFound:
            return
        except ApiError as error:
            self._fine = False
            logger.warning("Node %s could not be closed, which is tried again: %s", name, error)

    async def close(self, name: str) -> Node | None:
        """Taint, cordon and off the load balancers. The Node as it is then; None where it is gone.

        Raises ApiError, NotLeading.
        """
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:
            node = self._nodes.get(name)
            if node is None or is_cordoned(node):
                return node
            self._tools.require_leader()
            raw = await self._tools.client.patch(NODES, name, cordon_patch(node), kind="json")
            self._tools.cache.feed(NODES, "MODIFIED", raw)
            self.closed += 1
            return to_node(raw)
