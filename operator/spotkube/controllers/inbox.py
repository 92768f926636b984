"""Termination notices from a queue of messages: kept in mind until they are stored on claims and dealt with.

A message is deleted last: when the instance that it tells of is gone. It comes again soon until what it says is stored,
and else seldom; one that comes twice is nothing new. So whoever dies between any two steps, no notice is lost.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from spotkube.api import NodeClaim
from spotkube.controllers.view import View
from spotkube.convert.messages import UnknownKind, UnreadableMessage, read_message
from spotkube.metrics import Metrics
from spotkube.model.notices import Notice
from spotkube.providers.port import Instance, InstanceState
from spotkube.providers.sqs import Message, QueueError

WAIT_SECONDS = 10
"""How long a reading waits for messages."""
FRESH_SECONDS = 10
"""An unstored notice is given to whoever leads next after so long."""
STORED_SECONDS = 300
"""Some queues put aside what came too often."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
FORGOTTEN_SECONDS = 900.0
"""Messages that were not seen again for so long are somebody else's by now."""
logger = logging.getLogger(__name__)


class Queue(Protocol):
    """See `SqsQueue`."""

    async def receive(self, wait_seconds: int, hidden_seconds: int) -> tuple[Message, ...]: ...
    async def hide(self, receipt: str, seconds: int) -> None: ...
    async def delete(self, receipt: str) -> None: ...
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that was read: its notices, and when it came last (Unix time)."""

    message: Message
    notices: tuple[Notice, ...]
    received_at: float
    stored: bool = False


@dataclass(slots=True)
class Inbox:
    """Without a queue it is always empty. `wake` is called for each notice that is new."""

    queue: Queue | None
    metrics: Metrics
    is_leader: Callable[[], bool]
    clock: Callable[[], float]
    wake: Callable[[], None] = lambda: None
    _letters: dict[str, Letter] = field(default_factory=dict)
    _by_instance: dict[str, tuple[Notice, ...]] = field(default_factory=dict)
    _refused_until: float = 0.0

    @property
    def instances(self) -> Collection[str]:
        """Of which messages say something, as the cloud names them."""
        return self._by_instance.keys()

    def of(self, provider_id: str | None) -> tuple[Notice, ...]:
        """What messages say of an instance."""
        return self._by_instance.get(instance_of(provider_id), ()) if provider_id else ()

    async def run(self) -> None:
        """Reads as long as we lead, and for ever. Failures are told once each, and end by themselves."""
        pause, told = FIRST_PAUSE_SECONDS, ""
        while self.queue is not None:
            if not self.is_leader():
                self._letters.clear()
                self._index()
                await asyncio.sleep(FIRST_PAUSE_SECONDS)
                continue
            try:
                received = await self.queue.receive(WAIT_SECONDS, FRESH_SECONDS)
                await self._discard(self.queue, [message for message in received if not self._keep(message)])
            except QueueError as error:
                self.metrics.notice_messages_total.labels("error").inc()
                if str(error) != told:
                    logger.warning("notices in the queue are not read, which is tried again: %s", error)
                told = str(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                continue
            except Exception:
                # Whatever it was: nobody else would ever read notices again.
                self.metrics.notice_messages_total.labels("error").inc()
                logger.exception("notices in the queue are not read, which is tried again")
                await asyncio.sleep(LONGEST_PAUSE_SECONDS)
                continue
            if told:
                logger.info("notices in the queue are read again")
            pause, told = FIRST_PAUSE_SECONDS, ""

    async def _discard(self, queue: Queue, useless: list[Message]) -> None:
        """A queue that lets nothing be deleted is read on: notices must not wait for that."""
        try:
            for message in useless:
                await queue.delete(message.receipt)
        except QueueError as error:
            self.metrics.notice_messages_total.labels("error").inc()
            logger.warning("what is no notice can't be deleted, which is tried again when it comes again: %s", error)

    def _keep(self, message: Message) -> bool:
        """Takes in what it says; False where that is nothing."""
        known = self._letters.get(message.id)
        if known is not None:  # the latest receipt is the one to delete it by
            self._letters[message.id] = Letter(message, known.notices, self.clock(), False)
            return True
        notices = self._read(message)
        if not notices:
            return False
        self._letters[message.id] = Letter(message, notices, self.clock())
        self._index()
        self.wake()
        return True

    def _read(self, message: Message) -> tuple[Notice, ...]:
        """What can't be read is counted and told: nobody would ever be able to read it."""
        try:
            notices = read_message(message.body)
        except (UnknownKind, UnreadableMessage) as error:
            result = "unknown" if isinstance(error, UnknownKind) else "unreadable"
            self.metrics.notice_messages_total.labels(result).inc()
            logger.warning("a message in the queue of notices is no notice and is deleted: %s", error)
            return ()
        self.metrics.notice_messages_total.labels("notice" if notices else "nothing").inc()
        return notices

    async def close(self) -> None:
        if self.queue is not None:
            await self.queue.close()

    async def acknowledge(self, view: View) -> None:
        """Deletes messages of which all is done, and lets those come again later whose notices are stored."""
        if self.queue is None or view.instances is None or not self._letters or view.now < self._refused_until:
            return
        claims, gone = claims_by_instance(view), _gone(view.instances)
        for id_, letter in list(self._letters.items()):
            receipt = letter.message.receipt
            try:
                if is_done(letter.notices, claims, gone, view.now):
                    await self.queue.delete(receipt)
                    del self._letters[id_]
                elif not letter.stored and may_wait(letter.notices, claims, view.now):
                    await self.queue.hide(receipt, STORED_SECONDS)
                    self._letters[id_] = Letter(letter.message, letter.notices, letter.received_at, True)
            except QueueError as error:
                logger.warning("a notice in the queue is not acknowledged yet, which is tried again: %s", error)
                self._refused_until = view.now + FRESH_SECONDS
                break
        old = view.now - FORGOTTEN_SECONDS
        self._letters = {id_: one for id_, one in self._letters.items() if one.received_at > old}
        self._index()

    def _index(self) -> None:
        found: dict[str, list[Notice]] = {}
        for letter in self._letters.values():
            for notice in letter.notices:
                found.setdefault(notice.instance or "", []).append(notice)
        self._by_instance = {instance: tuple(notices) for instance, notices in found.items()}


def instance_of(provider_id: str) -> str:
    """The cloud's name of an instance: the last part of its provider ID."""
    return provider_id.rpartition("/")[2]


def claims_by_instance(view: View) -> dict[str, NodeClaim]:
    """Of instances that live. The cloud knows whose an instance is before the claim does."""
    by_uid = {claim.metadata.uid: claim for claim in view.claims.values()}
    return {
        instance_of(instance.provider_id): by_uid[token]
        for token, instance in (view.instances or {}).items()
        if token in by_uid and instance.state is not InstanceState.TERMINATED
    }


def _gone(instances: Mapping[str, Instance]) -> frozenset[str]:
    ended = (one for one in instances.values() if one.state is InstanceState.TERMINATED)
    return frozenset(instance_of(one.provider_id) for one in ended)


def is_done(notices: Iterable[Notice], claims: Mapping[str, NodeClaim], gone: Container[str], now: float) -> bool:
    """Whether nothing is left to do about them: their instances are gone, or not ours and their time is over. A
    warning is done once it is stored, since the instance may run on for ever."""

    def is_over(notice: Notice) -> bool:
        claim = claims.get(notice.instance or "")
        if claim is None:
            return notice.instance in gone or now > (notice.deadline or 0.0)
        return not notice.ends_instance and claim.status.warning is not None

    return all(map(is_over, notices))


def may_wait(notices: Iterable[Notice], claims: Mapping[str, NodeClaim], now: float) -> bool:
    """Whether it does no harm that a message comes again late: whoever leads next finds on the claims what it says, or
    it is none of ours so far, and its end is far off. Those of other clusters else come every few seconds for days."""

    def waits(notice: Notice) -> bool:
        claim = claims.get(notice.instance or "")
        if claim is None:
            return (notice.deadline or 0.0) > now + 2 * STORED_SECONDS
        return not notice.ends_instance or claim.status.notice is not None

    return all(map(waits, notices))
