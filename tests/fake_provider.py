"""A cloud in memory, and its queue of notices."""

from __future__ import annotations

import asyncio

from builders import make_offering
from fake_kube import Clock
from spotkube.model.offerings import Offering, OfferingKey
from spotkube.providers.port import Instance, InstanceOrder, InstanceState, InsufficientCapacity
from spotkube.providers.sqs import Message, QueueError

OFFERING = make_offering("m.large", 0.03, spot=True)


class FakeCloud:
    """Sells one offering unless told otherwise; nothing happens by itself.

    Attributes:
        sold: orders in their order, repeated ones not counted.
        sold_out: offerings of which there is none.
        error: raised by each call.
    """

    def __init__(self, clock: Clock) -> None:
        self.for_sale: tuple[Offering, ...] = (OFFERING,)
        self.instances: dict[str, Instance] = {}
        self.sold: list[InstanceOrder] = []
        self.sold_out: set[OfferingKey] = set()
        self.error: Exception | None = None
        self.ended: list[str] = []
        self._clock = clock

    async def create(self, order: InstanceOrder) -> Instance:
        self._answer()
        if order.token in self.instances:
            return self.instances[order.token]
        if order.offering in self.sold_out:
            raise InsufficientCapacity(order.offering)
        self.sold.append(order)
        instance = Instance(
            f"i-{order.name}", order.token, order.name, order.offering, InstanceState.RUNNING, self._clock()
        )
        self.instances[order.token] = instance
        return instance

    async def delete(self, provider_id: str) -> None:
        self._answer()
        self.ended.append(provider_id)
        self.become(provider_id, InstanceState.TERMINATING)

    async def get(self, provider_id: str) -> Instance | None:
        self._answer()
        return next((i for i in self.instances.values() if i.provider_id == provider_id), None)

    async def list(self) -> tuple[Instance, ...]:
        self._answer()
        return tuple(self.instances.values())

    async def offerings(self) -> tuple[Offering, ...]:
        self._answer()
        return self.for_sale

    async def close(self) -> None:
        return None

    def become(self, provider_id: str, state: InstanceState) -> None:
        for token, instance in self.instances.items():
            if instance.provider_id == provider_id:
                self.instances[token] = _with_state(instance, state)

    def _answer(self) -> None:
        if self.error is not None:
            raise self.error


def _with_state(instance: Instance, state: InstanceState) -> Instance:
    return Instance(instance.provider_id, instance.token, instance.name, instance.offering, state, instance.launched_at)


class FakeMessages:
    """A queue of notices; what was received stays until it is deleted, and comes again only when asked to."""

    def __init__(self) -> None:
        self.waiting: list[Message] = []
        self.deleted: list[str] = []
        self.hidden: dict[str, int] = {}
        self.broken = ""

    async def receive(self, wait_seconds: int, hidden_seconds: int) -> tuple[Message, ...]:
        await asyncio.sleep(0)
        found, self.waiting = tuple(self.waiting), []
        return found

    async def hide(self, receipt: str, seconds: int) -> None:
        self._answer()
        self.hidden[receipt] = seconds

    async def delete(self, receipt: str) -> None:
        self._answer()
        self.deleted.append(receipt)

    async def close(self) -> None:
        return

    def _answer(self) -> None:
        if self.broken:
            raise QueueError(self.broken)
