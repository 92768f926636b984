"""Running without a cloud: plans are possible, purchases are not, and nothing is concluded about instances."""

from __future__ import annotations

import pytest

from spotkube.assemble import _provider
from spotkube.catalog import load_catalog
from spotkube.metrics import Metrics
from spotkube.model.cluster import Mode
from spotkube.providers.catalogonly import CatalogOnly, NoCloud
from spotkube.providers.measured import MeasuredProvider
from spotkube.providers.port import CloudProvider
from spotkube.settings import Settings, SettingsError


async def test_the_catalog_is_on_offer_and_everything_else_is_unavailable() -> None:
    offerings = load_catalog(None).offerings
    provider: CloudProvider = CatalogOnly(offerings)

    assert await provider.offerings() == tuple(offerings)
    for call in (provider.list(), provider.get("i-1"), provider.delete("i-1")):
        with pytest.raises(NoCloud, match="set provider_url"):
            await call


@pytest.mark.parametrize("mode", [Mode.RECOMMEND, Mode.PAUSED])
def test_no_cloud_is_needed_where_nothing_is_bought(mode: Mode) -> None:
    assert isinstance(_provider(Settings(mode_override=mode), Metrics()), CatalogOnly)


@pytest.mark.parametrize("mode", [None, Mode.APPLY])
def test_a_cloud_is_needed_where_something_may_be_bought(mode: Mode | None) -> None:
    with pytest.raises(SettingsError, match=r"provider_url is not set: .* or set mode_override to Recommend"):
        _provider(Settings(mode_override=mode), Metrics())


async def test_a_cloud_that_is_named_is_used_in_every_mode() -> None:
    provider = _provider(Settings(provider_url="http://127.0.0.1:9090", mode_override=Mode.RECOMMEND), Metrics())

    assert isinstance(provider, MeasuredProvider)
    await provider.close()
