"""A catalog of the user's own: what is read from it, and what is said about mistakes."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from spotkube.catalog import Catalog, CatalogFileError, load_catalog
from spotkube.catalog.userfile import to_file_format

GIB = 1024**3

GOOD: dict[str, Any] = {
    "region": "eu-west-1",
    "types": [
        {
            "instanceType": "m5.large",
            "arch": "amd64",
            "cpu": 2,
            "memory": "8Gi",
            "pods": 29,
            "offerings": [
                {"zone": "eu-west-1a", "capacityType": "on-demand", "priceUSDPerHour": 0.107},
                {"zone": "eu-west-1a", "capacityType": "spot", "priceUSDPerHour": 0.04, "interruptionPercent": 5},
                {"zone": "eu-west-1b", "capacityType": "spot", "priceUSDPerHour": 0.052},
            ],
        },
        {
            "instanceType": "n2-standard-4",
            "arch": "amd64",
            "cpu": 4,
            "memory": "16Gi",
            "pods": 110,
            "gpus": 1,
            "gpuName": "l4",
            "allocatable": {"cpu": "3920m", "memory": "13Gi", "example.com/fpga": 2},
            "offerings": [{"zone": "eu-west-1a", "capacityType": "on-demand", "priceUSDPerHour": 0.2}],
        },
    ],
}


@pytest.fixture
def load(tmp_path: Path) -> Callable[[Any], Catalog]:
    def write_and_load(content: Any) -> Catalog:
        path = tmp_path / "prices.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return load_catalog(path)

    return write_and_load


def spoiled(spoil: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    content = copy.deepcopy(GOOD)
    spoil(content)
    return content


def test_prices_may_differ_by_zone(load: Callable[[Any], Catalog]) -> None:
    catalog = load(GOOD)
    dear = catalog.find("m5.large", "eu-west-1b", "spot")
    cheap = catalog.find("m5.large", "eu-west-1a", "spot")
    assert dear and cheap
    assert (cheap.price_micro_usd_hour, dear.price_micro_usd_hour) == (40_000, 52_000)
    assert catalog.find("m5.large", "eu-west-1b", "on-demand") is None


def test_unknown_interruptions_count_as_the_worst_band(load: Callable[[Any], Catalog]) -> None:
    catalog = load(GOOD)
    assert [one.interruption_percent for one in catalog.offerings] == [0, 5, 100, 0]


def test_formulas_hold_where_nothing_else_is_said(load: Callable[[Any], Catalog]) -> None:
    ours = load(GOOD).find("m5.large", "eu-west-1a", "on-demand")
    shipped = load_catalog().find("m5.large", "us-east-1a", "on-demand")
    assert ours and shipped
    assert ours.allocatable == shipped.allocatable


def test_own_allocatable_replaces_the_formulas(load: Callable[[Any], Catalog]) -> None:
    offering = load(GOOD).find("n2-standard-4", "eu-west-1a", "on-demand")
    assert offering
    assert offering.allocatable["cpu"] == 3920
    assert offering.allocatable["memory"] == 13 * GIB
    assert offering.allocatable["example.com/fpga"] == offering.capacity["example.com/fpga"] == 2
    assert offering.allocatable.fits(offering.capacity)
    assert dict(offering.labels)["spotkube.io/instance-gpu-name"] == "l4"


def test_json_reads_like_yaml(tmp_path: Path, load: Callable[[Any], Catalog]) -> None:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(GOOD, indent="\t"))
    assert load_catalog(path).digest == load(GOOD).digest


def test_what_is_written_reads_back_the_same(load: Callable[[Any], Catalog]) -> None:
    for catalog in (load(GOOD), load_catalog().only_families(["m5", "t3", "g4dn", "inf1"])):
        written = to_file_format(catalog.region, catalog.types)
        assert load(written).digest == catalog.digest


@pytest.mark.parametrize("price", [0, -0.1, float("nan"), float("inf"), True, "cheap", None, 1e-9, 107_000])
def test_a_price_that_is_none_is_refused(load: Callable[[Any], Catalog], price: object) -> None:
    content = spoiled(lambda whole: whole["types"][0]["offerings"][1].update(priceUSDPerHour=price))
    with pytest.raises(CatalogFileError) as caught:
        load(content)
    message = str(caught.value)
    assert f"types[0] (m5.large).offerings[1].priceUSDPerHour: {price!r} is " in message
    assert "dollars" in message.partition("; ")[2], "the remedy says what to write"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda whole: whole.pop("region"), "region: is missing; add it"),
        (lambda whole: whole.update(types=[]), "types: [] is empty; give at least one"),
        (lambda whole: whole.update(types={}), "types: {} is not a list"),
        (lambda whole: whole["types"].append(7), "types[2]: 7 is not a map of fields"),
        (lambda whole: whole["types"].append(whole["types"][0]), "instanceType m5.large is given twice; remove one"),
        (lambda whole: whole["types"][0].pop("pods"), "types[0] (m5.large).pods: is missing; add it"),
        (
            lambda whole: whole["types"][0].update(pod=4),
            "types[0] (m5.large).pod: is no field here; did you mean pods?",
        ),
        (lambda whole: whole["types"][0].update(arch="x86"), "(m5.large).arch: 'x86' is not known; use 'amd64' or"),
        (lambda whole: whole["types"][0].update(cpu="two"), "(m5.large).cpu: 'two' is no quantity; write it as"),
        (lambda whole: whole["types"][0].update(cpu=-2), "(m5.large).cpu: -2 is negative; give zero or more"),
        (lambda whole: whole["types"][0].update(cpu=0), "(m5.large).cpu: 0 is zero; give what the type has"),
        (lambda whole: whole["types"][0].update(memory=8), "(m5.large).memory: 8 is less than 1 MiB; add the unit"),
        (lambda whole: whole["types"][0].update(memory="300Mi"), "(m5.large): no memory is left for pods after"),
        (
            lambda whole: whole["types"][0].update(pods=0),
            "(m5.large).pods: 0: input should be greater than or equal to 1",
        ),
        (
            lambda whole: whole["types"][0].update(instanceType="m5 large"),
            "instanceType: 'm5 large' can't be a label's",
        ),
        (lambda whole: whole["types"][0].update(offerings=[]), "(m5.large).offerings: [] is empty; give at least one"),
        (lambda whole: whole["types"][0].update(allocatable={"cpu": 3}), "(m5.large): allocatable is more than cpu or"),
        (
            lambda whole: whole["types"][0].update(allocatable={"memmory": "6Gi"}),
            "(m5.large).allocatable: memmory is no resource; use cpu, memory, pods",
        ),
        (lambda whole: whole["types"][0].update(allocatable=3), "(m5.large).allocatable: 3 is no map of resources"),
        (
            lambda whole: whole["types"][0]["offerings"][0].update(capacityType="reserved"),
            "(m5.large).offerings[0].capacityType: 'reserved' is not known; use 'spot' or 'on-demand'",
        ),
        (
            lambda whole: whole["types"][0]["offerings"][0].update(interruptionPercent=5),
            "(m5.large).offerings[0]: interruptionPercent is for spot; remove it",
        ),
        (
            lambda whole: whole["types"][0]["offerings"][2].update(zone="eu-west-1a"),
            "(m5.large): offering spot in eu-west-1a is given twice; remove one",
        ),
    ],
)
def test_mistakes_are_named_with_their_remedy(
    load: Callable[[Any], Catalog], spoil: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(CatalogFileError) as caught:
        load(spoiled(spoil))
    text = str(caught.value)
    assert message in text
    assert len(text.splitlines()) == 1, "one mistake, one line"


def test_all_mistakes_are_told_at_once(load: Callable[[Any], Catalog]) -> None:
    def spoil(whole: dict[str, Any]) -> None:
        whole["types"][0]["arch"] = "x86"
        whole["types"][1]["offerings"][0]["priceUSDPerHour"] = -1

    with pytest.raises(CatalogFileError) as caught:
        load(spoiled(spoil))
    assert [line.partition(": ")[2].partition(": ")[0] for line in str(caught.value).splitlines()] == [
        "types[0] (m5.large).arch",
        "types[1] (n2-standard-4).offerings[0].priceUSDPerHour",
    ]


def test_a_flood_of_mistakes_is_cut(load: Callable[[Any], Catalog]) -> None:
    content = {"region": "x", "types": [{"instanceType": f"a{number}"} for number in range(10)]}
    with pytest.raises(CatalogFileError, match=r"and 40 more$"):
        load(content)


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "is neither YAML nor JSON"), ("", "the file: None is not a map of fields")]
)
def test_what_is_no_catalog_at_all(load: Callable[[Any], Catalog], text: str, message: str) -> None:
    with pytest.raises(CatalogFileError, match=message):
        load(text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CatalogFileError, match=r"nowhere\.yaml: cannot be read .* check the path"):
        load_catalog(tmp_path / "nowhere.yaml")
