"""`spotkube catalog` as its users see it."""

import json
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from spotkube.catalog import load_catalog
from spotkube.catalog.command import catalog

app = typer.Typer()
app.command()(catalog)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def types_of(result: Result) -> list[str]:
    """The first column of the rows of a table."""
    rows = (line.split() for line in result.stdout.splitlines())
    return [row[0] for row in rows if row and "." in row[0] and row[0] != "..."]


def test_the_cheapest_first_and_not_all() -> None:
    result = run()
    assert result.exit_code == 0
    assert len(types_of(result)) == 20
    assert types_of(result)[0] == "t3.nano"
    assert "--limit 0 shows all" in result.stdout


def test_one_row_for_all_zones_at_one_price() -> None:
    result = run("--family", "m5", "--capacity-type", "on-demand", "--limit", "0")
    assert types_of(result)[:3] == ["m5.large", "m5.xlarge", "m5.2xlarge"]
    assert len(types_of(result)) == 8
    assert "more" not in result.stdout


def test_filters_join() -> None:
    content = json.loads(run("--arch", "arm64", "--min-cpu", "16", "--zone", "us-east-1b", "-o", "json").stdout)
    assert content["types"]
    for one in content["types"]:
        assert one["arch"] == "arm64"
        assert one["cpu"] >= 16
        assert {offering["zone"] for offering in one["offerings"]} == {"us-east-1b"}


@pytest.mark.parametrize(("sort", "field"), [("cpu", "cpu"), ("memory", "memory")])
def test_sorting_by_size(sort: str, field: str) -> None:
    content = json.loads(run("--family", "g5", "--capacity-type", "spot", "--sort", sort, "-o", "json").stdout)
    amounts = [int(str(one[field]).removesuffix("Mi")) for one in content["types"]]
    assert amounts == sorted(amounts)
    assert len(set(amounts)) > 3


def test_sorting_by_price() -> None:
    content = json.loads(run("--family", "g5", "--capacity-type", "spot", "-o", "json").stdout)
    prices = [one["offerings"][0]["priceUSDPerHour"] for one in content["types"]]
    assert prices == sorted(prices)


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_what_is_printed_can_be_a_catalog(tmp_path: Path, output: str) -> None:
    path = tmp_path / f"mine.{output}"
    path.write_text(run("--family", "m7g", "--family", "g5", "-o", output).stdout)
    assert load_catalog(path).digest == load_catalog().only_families(["m7g", "g5"]).digest
    assert types_of(run("--catalog", str(path), "--limit", "0")) == types_of(
        run("--family", "m7g", "--family", "g5", "--limit", "0")
    )


def test_machines_get_all_unless_they_limit() -> None:
    assert len(yaml.safe_load(run("--family", "m5", "-o", "yaml").stdout)["types"]) == 8
    assert len(yaml.safe_load(run("--family", "m5", "-o", "yaml", "--limit", "1").stdout)["types"]) == 1


def test_gpus_are_shown_where_there_are_any() -> None:
    assert "GPUS" in run("--family", "g5").stdout
    assert "GPUS" not in run("--family", "m5").stdout


def test_nothing_found_is_said() -> None:
    result = run("--min-cpu", "100000")
    assert result.exit_code == 0
    assert "No offering meets all of these conditions." in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--family", "m7gg"), "error: family: 'm7gg' is not in the catalog; did you mean m7g"),
        (("--zone", "us-west-2a"), "error: zone: 'us-west-2a' is not in the catalog; it has us-east-1a, us-east-1b"),
        (("--catalog", "nowhere.yaml"), "error: nowhere.yaml: cannot be read"),
    ],
)
def test_bad_input_is_named(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith(message)
    assert result.stdout == ""
