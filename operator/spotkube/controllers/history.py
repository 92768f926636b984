"""What this cluster sees of spot: how long nodes of each spot pool ran, and how many of them were taken back.

A claim that lives tells of itself; what has ended is kept in a ConfigMap of our namespace. A claim is counted there
once its instance is being taken back, at once and with its uid, so that a restart counts it neither twice nor never;
else when it is gone.
"""

import logging
from collections.abc import Iterable

from spotkube.api import NodeClaim
from spotkube.api.nodeclaim import CapacityType, Phase
from spotkube.cluster.errors import Forbidden, NotFound
from spotkube.cluster.resources import CONFIGMAPS, NODECLAIMS
from spotkube.controllers.toolbox import Toolbox
from spotkube.controllers.view import View
from spotkube.convert.history import CONFIG_MAP, KEY, History, format_history, parse_history
from spotkube.model.history import SpotPool, SpotRecord
from spotkube.model.kept import Kept
from spotkube.model.notices import NoticeKind
from spotkube.model.offerings import SPOT, Offering, OfferingKey
from spotkube.providers.port import InstanceState

# Nodes that ended by themselves need not be known at once.
WRITE_SECONDS = 60.0
# Not the market's doing.
_OTHER_ENDS = frozenset(
    {
        NoticeKind.SCHEDULED_MAINTENANCE.value,
        NoticeKind.OUT_OF_SERVICE.value,
        NoticeKind.INSTANCE_TERMINATION.value,  # another controller's, or somebody's at the cloud's console
    }
)
logger = logging.getLogger(__name__)


class InterruptionHistory:
    """Owned by the leader; it forgets when it no longer leads, and reads anew what another wrote meanwhile."""

    def __init__(self, tools: Toolbox, namespace: str) -> None:
        self._tools = tools
        self._namespace = namespace
        self._ended: dict[SpotPool, SpotRecord] = {}
        self._counted: set[str] = set()
        self._living: dict[str, NodeClaim] = {}
        self._loaded = False
        self._unwritten, self._urgent, self._forbidden = False, False, False
        self._written_at = 0.0
        self._rested: dict[str, list[float]] = {}
        self._strangers: set[SpotPool] = set()
        self._offered: Kept[tuple[Offering, ...], frozenset[SpotPool]] = Kept(_spot_pools)

    def forget(self) -> None:
        self._loaded = False
        self._living.clear()

    async def reconcile(self, view: View) -> None:
        """Counts what ended since last time and writes it. Raises ApiError: then it is written in a later cycle."""
        try:
            if not self._loaded:
                await self._load()
            self._count(view)
            # A restart must not buy at once what has just failed.
            self._urgent |= any(self._rested.get(key) != rest for key, rest in self._tools.resting.state().items())
            if self._urgent or (self._unwritten and view.now >= self._written_at + WRITE_SECONDS):
                await self._write()
                self._unwritten, self._urgent, self._written_at = False, False, view.now
        except Forbidden as error:
            # An older chart gave no such right; that is no reason to hold up anything.
            if not self._forbidden:
                logger.warning("what is seen of spot can't be kept, and a restart forgets it: %s", error)
            self._loaded, self._forbidden, self._urgent, self._written_at = True, True, False, view.now

    def records(
        self, claims: Iterable[NodeClaim], offerings: tuple[Offering, ...], now: float
    ) -> tuple[SpotRecord, ...]:
        """All that was seen of the spot pools that are offered, with the nodes that run, in a stable order."""
        found = dict(self._ended)
        for claim in claims:
            if _is_spot_instance(claim) and claim.metadata.uid not in self._counted:
                _add(found, _life(claim, now))
        (known,) = self._offered.of_all([offerings])
        self._tell_of_strangers(found.keys() - known if known else set())
        return tuple(found[pool] for pool in sorted(found.keys() & known))

    def _count(self, view: View) -> None:
        living = {c.metadata.uid or "": c for c in view.claims.values() if _is_spot_instance(c)}
        for uid in self._living.keys() - living.keys() - self._counted:
            self._end(_life(self._living[uid], view.now))
        for uid, claim in living.items():
            taken = was_taken_back(claim, view)
            if uid not in self._counted and (taken or claim.status.phase is Phase.TERMINATED):
                self._end(_life(claim, view.now, interruptions=int(taken)))
                self._counted.add(uid)
                self._urgent |= taken
        gone = self._counted - living.keys()
        self._counted -= gone
        self._unwritten |= bool(gone)
        self._living = living

    def _end(self, record: SpotRecord) -> None:
        _add(self._ended, record)
        self._unwritten = True

    async def _load(self) -> None:
        found = await self._tools.client.get(CONFIGMAPS, CONFIG_MAP, self._namespace)
        text = ((found or {}).get("data") or {}).get(KEY)
        history = parse_history(text) if text is not None else History()
        for sentence in history.refused:
            logger.warning("ConfigMap %s/%s: %s", self._namespace, CONFIG_MAP, sentence)
        self._ended, self._counted = dict(history.records), set(history.counted)
        self._tools.resting.restore(history.resting)
        # Who was killed between giving a node back and writing this.
        for claim in self._tools.cache.stores[NODECLAIMS].values():
            if claim.status.notice is not None and claim.spec.capacity_type is CapacityType.SPOT:
                spec = claim.spec
                self._tools.resting.rest(OfferingKey(spec.instance_type, spec.zone, spec.capacity_type.value))
        self._rested = self._tools.resting.state()
        self._loaded, self._unwritten, self._urgent = True, False, False

    async def _write(self) -> None:
        self._tools.require_leader()
        self._rested = self._tools.resting.state()
        body = {"data": {KEY: format_history(self._ended.values(), self._counted, self._rested)}}
        try:
            await self._tools.client.patch(CONFIGMAPS, CONFIG_MAP, body, namespace=self._namespace)
        except NotFound:
            body["metadata"] = {"name": CONFIG_MAP, "namespace": self._namespace}
            await self._tools.client.create(CONFIGMAPS, body, self._namespace)

    def _tell_of_strangers(self, pools: Iterable[SpotPool]) -> None:
        for pool in sorted(set(pools) - self._strangers):
            logger.warning("the history of %s is left out: no such spot is offered", pool)
        self._strangers |= set(pools)


def was_taken_back(claim: NodeClaim, view: View) -> bool:
    """Whether the cloud ends the instance, or has ended it; not what we or its owner gave back."""
    notice = claim.status.notice
    if notice is not None:
        return notice.kind not in _OTHER_ENDS
    if claim.metadata.deletion_timestamp is not None or view.instances is None:
        return False
    instance = view.instances.get(claim.metadata.uid or "")
    return instance is None or instance.state is InstanceState.TERMINATED


def _spot_pools(offerings: tuple[Offering, ...]) -> frozenset[SpotPool]:
    return frozenset(SpotPool(one.instance_type, one.zone) for one in offerings if one.capacity_type == SPOT)


def _is_spot_instance(claim: NodeClaim) -> bool:
    return claim.spec.capacity_type is CapacityType.SPOT and Phase.LAUNCHED in claim.status.phase_times


def _life(claim: NodeClaim, now: float, interruptions: int = 0) -> SpotRecord:
    """One node, from its launch until now, or until its instance ends."""
    times, notice = claim.status.phase_times, claim.status.notice
    ends = [time.timestamp() for time in (times.get(Phase.TERMINATED), notice and notice.deadline) if time]
    seconds = max(0.0, min(ends, default=now) - times[Phase.LAUNCHED].timestamp())
    pool = SpotPool(claim.spec.instance_type, claim.spec.zone)
    return SpotRecord(pool, seconds / 3600, 1, interruptions)


def _add(records: dict[SpotPool, SpotRecord], record: SpotRecord) -> None:
    records[record.pool] = records[record.pool] + record if record.pool in records else record
