"""From what the metadata says to what the Node says: read, compare, write, for ever."""

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Protocol

from spotkube.agent.metadata import MetadataUnavailable
from spotkube.cluster.errors import ClusterError, NotFound
from spotkube.cluster.resources import NODES, Resource
from spotkube.cluster.transport import Object
from spotkube.convert.metadata import DOCUMENTS, UnreadableDocument, read_metadata
from spotkube.model.labels import TERMINATION_DEADLINE, TERMINATION_NOTICE
from spotkube.model.notices import Notice, storable

LONGEST_PAUSE_SECONDS = 30.0
logger = logging.getLogger(__name__)

Annotations = dict[str, str | None]


class Metadata(Protocol):
    """See `MetadataService`."""

    async def read(self, path: str) -> str | None: ...


class NodeWriter(Protocol):
    """What the agent needs of `KubeClient`."""

    async def patch(self, resource: Resource, name: str, body: Object) -> Object: ...


def annotations_of(notices: Iterable[Notice]) -> Annotations:
    """What a Node's annotations say of these: the gravest, the sooner first; null takes back what was said before."""
    ordered = sorted(notices, key=lambda one: (not one.ends_instance, one.deadline or 0.0, one.id))
    if not ordered:
        return {TERMINATION_NOTICE: None, TERMINATION_DEADLINE: None}
    first = ordered[0]
    deadline = datetime.fromtimestamp(storable(first.deadline or 0.0), UTC).isoformat(timespec="seconds")
    return {TERMINATION_NOTICE: first.kind.value, TERMINATION_DEADLINE: deadline}


class Agent:
    """Writes to its own Node alone. What it wrote last is in memory: a restart writes once more."""

    def __init__(self, metadata: Metadata, cluster: NodeWriter, node: str) -> None:
        self._metadata = metadata
        self._cluster = cluster
        self._node = node
        self._written: Annotations | None = None
        self._told = ""

    async def run(self, every_seconds: float, stopping: asyncio.Event) -> None:
        """Until `stopping` is set. What fails is tried again, at first soon."""
        failures = 0
        while not stopping.is_set():
            failures = 0 if await self.turn() else failures + 1
            pause = min(every_seconds * 2 ** min(failures, 10), LONGEST_PAUSE_SECONDS) if failures else every_seconds
            try:
                await asyncio.wait_for(stopping.wait(), pause)
            except TimeoutError:
                continue

    async def turn(self) -> bool:
        """One look; whether all went well."""
        try:
            read = [await self._read(path) for path in DOCUMENTS]
            found = annotations_of(notice for notices in read for notice in notices or ())
            if None in read and found[TERMINATION_NOTICE] is None:
                return False  # what can't be read takes nothing back
            if found != self._written:
                await self._cluster.patch(NODES, self._node, {"metadata": {"annotations": dict(found)}})
                logger.info("Node %s: %s", self._node, found[TERMINATION_NOTICE] or "no notice")
                self._written = found
        except (MetadataUnavailable, ClusterError) as error:
            words = f"Node {self._node} is not there" if isinstance(error, NotFound) else str(error)
            if words != self._told:
                logger.warning("not told, which is tried again: %s", words)
            self._told = words
            return False
        self._told = ""
        return True

    async def _read(self, path: str) -> tuple[Notice, ...] | None:
        """None where it can't be read: what the other documents say counts all the same."""
        text = await self._metadata.read(path)
        if text is None:
            return ()
        try:
            return read_metadata(path, text)
        except UnreadableDocument as error:
            logger.warning("the metadata can't be read: %s", error)
            return None
