"""Where the queue's memory outlives the operator: a ConfigMap of our namespace, which no tenant can write."""

import asyncio
import base64
import json
import logging
import lzma
from collections.abc import Hashable
from typing import Any

from spotkube.cluster.errors import Forbidden, NotFound
from spotkube.cluster.resources import CONFIGMAPS
from spotkube.controllers.queues.kinds.successors import Successors
from spotkube.controllers.queues.places import MOST_EXPLAINED
from spotkube.controllers.toolbox import Toolbox
from spotkube.convert.places import CONFIG_MAP, PLACES_KEY, PLACES_VERSION
from spotkube.queueing.book import Book
from spotkube.queueing.spending import Spending

KEY = "state.json.xz"
VERSION = 1
# The API server takes 1 MiB of values in a ConfigMap, not counting base64.
MOST_BYTES = 1_000_000
# Of each queue, if there is room for no more.
FEW_PLACES = (MOST_EXPLAINED, 50, 0)
# Dollars grow all the time.
SPENDING_SECONDS = 30.0
logger = logging.getLogger(__name__)


class Keeper:
    """Owned by the leader; it forgets when it no longer leads, and reads anew what another wrote meanwhile."""

    def __init__(self, tools: Toolbox, namespace: str, successors: Successors) -> None:
        """What `successors` know is kept and recalled with the rest."""
        self._tools = tools
        self._namespace = namespace
        self._successors = successors
        self._written: Hashable = frozenset()
        self._written_at = 0.0
        self._told: set[str] = set()

    async def load(self) -> tuple[Book, Spending]:
        """What was kept; new ones if nothing was, or nothing that can be read. Raises ApiError."""
        try:
            found = await self._tools.client.get(CONFIGMAPS, CONFIG_MAP, self._namespace)
        except Forbidden as error:
            self._tell_once(f"the queue's memory can't be kept, and a restart forgets it: {error}")
            found = None
        self._successors.recall(None, self._tools.clock())
        text = ((found or {}).get("binaryData") or {}).get(KEY)
        if text is None:
            return Book(), Spending()
        try:
            state = json.loads(lzma.decompress(base64.b64decode(text)))
            if state["version"] != VERSION:
                raise ValueError(f"version {state['version']}, and not {VERSION}")
            restored = Book.restored(state["book"]), Spending.restored(state["spending"])
            self._successors.recall(state.get("successors"), self._tools.clock())
            return restored
        except (ValueError, KeyError, TypeError, AttributeError, lzma.LZMAError) as error:
            logger.warning("ConfigMap %s/%s is begun anew: %r", self._namespace, CONFIG_MAP, error)
            return Book(), Spending()

    async def keep(self, book: Book, spending: Spending, places: list[dict[str, Any]], now: float) -> None:
        """Writes what has changed; `places` are for `spotkube queue`, which reads them there. Raises ApiError: then it
        is written in a later cycle."""
        decided = book.gist
        due = SPENDING_SECONDS if decided == self._written else 0.0
        if 0 <= now - self._written_at < due or not (decided or self._written or spending.rates_usd_hour):
            return
        state = {"version": VERSION, "book": book.state(), "spending": spending.state()}
        state["successors"] = self._successors.state(now)
        whole = await _compressed(state)
        if len(whole) > MOST_BYTES:
            self._tell_once("too many jobs wait for the queue's memory to be kept: a restart forgets what came since")
            return
        shown = await _shown(places, now, MOST_BYTES - len(whole))
        try:
            await self._write({"binaryData": {KEY: _text(whole), PLACES_KEY: _text(shown)}})
        except Forbidden as error:
            self._tell_once(f"the queue's memory can't be kept, and a restart forgets it: {error}")
        self._written, self._written_at = decided, now

    async def _write(self, body: dict[str, Any]) -> None:
        self._tools.require_leader()
        try:
            await self._tools.client.patch(CONFIGMAPS, CONFIG_MAP, body, namespace=self._namespace)
        except NotFound:
            body["metadata"] = {"name": CONFIG_MAP, "namespace": self._namespace}
            await self._tools.client.create(CONFIGMAPS, body, self._namespace)

    def _tell_once(self, sentence: str) -> None:
        if sentence not in self._told:
            logger.warning("%s", sentence)
        self._told.add(sentence)


async def _shown(places: list[dict[str, Any]], now: float, most_bytes: int) -> bytes:
    """As many of the places as there is room for."""
    shown = b""
    for most in FEW_PLACES:
        some = [place for place in places if place["position"] <= most]
        shown = await _compressed({"version": PLACES_VERSION, "asOf": now, "places": some})
        if len(shown) <= most_bytes:
            break
    return shown


async def _compressed(value: dict[str, Any]) -> bytes:
    """Other threads can run meanwhile: of thousands of jobs it takes a good part of a second."""
    packed = json.dumps(value, separators=(",", ":")).encode()
    # Preset 3 looks back 4 MiB, and so finds the UID of a job in each place that it is named.
    return await asyncio.to_thread(lzma.compress, packed, preset=3)


def _text(data: bytes) -> str:
    """For binaryData."""
    return base64.b64encode(data).decode()
