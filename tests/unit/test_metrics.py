"""The metrics: documented, with units, and apart from those of any other operator in the process."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from spotkube.metrics import Metrics, reference_markdown

ROOT = Path(__file__).parents[2]


def test_the_reference_is_up_to_date() -> None:
    remedy = "run `python -m spotkube.metrics > docs/reference/metrics.md`"
    assert (ROOT / "docs/reference/metrics.md").read_text() == reference_markdown(), remedy


def test_what_is_served_is_what_is_documented() -> None:
    metrics = Metrics()
    families = text_string_to_metric_families(metrics.render().decode())
    served = {family.name: family.type for family in families if not family.name.endswith("_created")}
    documented = {row.name.removesuffix("_total"): row.type for row in metrics.rows}
    assert served == documented


@pytest.mark.parametrize("row", Metrics().rows, ids=lambda row: row.name)
def test_counters_end_in_total_and_histograms_in_their_unit(row: object) -> None:
    name, kind = row.name, row.type  # type: ignore[attr-defined]
    assert name.startswith("spotkube_")
    assert name.endswith("_total") == (kind == "counter")
    assert kind != "histogram" or name.endswith(("_seconds", "_ratio"))


def test_two_sets_do_not_mix() -> None:
    one, other = Metrics(), Metrics()
    one.plan_cost_usd_per_hour.labels("after").set(1.25)
    one.cycles_total.labels("ok").inc()
    assert one.registry.get_sample_value("spotkube_plan_cost_usd_per_hour", {"state": "after"}) == 1.25
    assert one.registry.get_sample_value("spotkube_cycles_total", {"result": "ok"}) == 1
    assert other.registry.get_sample_value("spotkube_cycles_total", {"result": "ok"}) is None
