"""A cloud whose calls are counted and timed, whatever makes them."""

from collections.abc import Iterator
from contextlib import contextmanager

from spotkube.metrics import Metrics
from spotkube.model.offerings import Offering
from spotkube.providers.port import CloudProvider, Instance, InstanceOrder


class MeasuredProvider:
    """Records each call to `provider`; answers and errors stay what they are."""

    def __init__(self, provider: CloudProvider, metrics: Metrics) -> None:
        self._provider = provider
        self._metrics = metrics

    async def create(self, order: InstanceOrder) -> Instance:
        with self._measured("create"):
            return await self._provider.create(order)

    async def delete(self, provider_id: str) -> None:
        with self._measured("delete"):
            await self._provider.delete(provider_id)

    async def get(self, provider_id: str) -> Instance | None:
        with self._measured("get"):
            return await self._provider.get(provider_id)

    async def list(self) -> tuple[Instance, ...]:
        with self._measured("list"):
            return await self._provider.list()

    async def offerings(self) -> tuple[Offering, ...]:
        with self._measured("offerings"):
            return await self._provider.offerings()

    async def close(self) -> None:
        await self._provider.close()

    @contextmanager
    def _measured(self, call: str) -> Iterator[None]:
        result = "error"
        try:
            with self._metrics.provider_call_seconds.labels(call).time():
                yield
            result = "ok"
        finally:
            self._metrics.provider_calls_total.labels(call, result).inc()
