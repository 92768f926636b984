"""What the metrics say of calls to the cloud."""

from __future__ import annotations

import pytest

from spotkube.metrics import Metrics
from spotkube.providers.catalogonly import CatalogOnly, NoCloud
from spotkube.providers.measured import MeasuredProvider


async def test_each_call_is_counted_by_how_it_ended_and_timed() -> None:
    metrics = Metrics()
    provider = MeasuredProvider(CatalogOnly([]), metrics)

    assert await provider.offerings() == ()
    for answer in (provider.list(), provider.get("i-1"), provider.delete("i-1")):
        with pytest.raises(NoCloud):
            await answer

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"spotkube_provider_{name}", labels)

    assert value("calls_total", call="offerings", result="ok") == 1
    assert value("calls_total", call="offerings", result="error") is None
    for call in ("list", "get", "delete"):
        assert value("calls_total", call=call, result="error") == 1
        assert value("call_seconds_count", call=call) == 1
