"""No cloud at all: offerings out of a catalog, for planning what would be bought where nothing may be bought."""

from collections.abc import Sequence
from typing import Never

from spotkube.model.offerings import Offering
from spotkube.providers.port import Instance, InstanceOrder, ProviderUnavailable


class NoCloud(ProviderUnavailable):
    """There is no cloud to ask. Nothing may be concluded from that about instances that were bought before."""

    def __init__(self) -> None:
        super().__init__("no cloud is connected, so nothing can be bought or ended: set provider_url")


class CatalogOnly:
    """A CloudProvider whose every call but `offerings` raises NoCloud."""

    def __init__(self, offerings: Sequence[Offering]) -> None:
        self._offerings = tuple(offerings)

    async def create(self, order: InstanceOrder) -> Never:
        raise NoCloud

    async def delete(self, provider_id: str) -> Never:
        raise NoCloud

    async def get(self, provider_id: str) -> Instance | None:
        raise NoCloud

    async def list(self) -> tuple[Instance, ...]:
        """Raises rather than be empty: an empty answer would mean that all instances are gone."""
        raise NoCloud

    async def offerings(self) -> tuple[Offering, ...]:
        return self._offerings

    async def close(self) -> None:
        """There is nothing to let go of."""
