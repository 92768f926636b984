"""The facts that ship with SpotKube: enough of them, true where we know them by heart, and what the sources say."""

import re
from pathlib import Path

import pytest

import make_catalog
from spotkube.catalog import Catalog, UnknownFamilyError, load_catalog
from spotkube.catalog.families import SHIPPED, linear_price, spot_price, usual_vcpus
from spotkube.model import labels as api_labels
from spotkube.model.offerings import ON_DEMAND, SPOT, Offering

GIB_IN_MIB = 1024
SOURCES = Path(__file__).parents[2].parent / "shared" / "data"
LABEL_VALUE = re.compile(r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def on_demand(catalog: Catalog, instance_type: str) -> Offering:
    offering = catalog.find(instance_type, "us-east-1a", ON_DEMAND)
    assert offering is not None
    return offering


def test_is_large_and_small_enough(catalog: Catalog) -> None:
    assert len(catalog.types) >= 500
    assert SHIPPED.stat().st_size < 250_000


@pytest.mark.parametrize("category", ["c", "m", "r", "t", "g", "i", "d", "x", "z", "p", "inf", "trn"])
def test_has_the_usual_categories(catalog: Catalog, category: str) -> None:
    found = {dict(one.labels)["spotkube.io/instance-category"] for one in catalog.offerings}
    assert category in found


def test_has_no_bare_metal(catalog: Catalog) -> None:
    assert not [spec.name for spec, _ in catalog.types if "metal" in spec.name]


@pytest.mark.parametrize(
    ("instance_type", "vcpu", "memory_gib", "usd_hour", "arch", "pods", "gpu"),
    [
        ("m5.large", 2, 8, 0.096, "amd64", 29, ""),
        ("m5.24xlarge", 96, 384, 4.608, "amd64", 250, ""),
        ("c5.xlarge", 4, 8, 0.17, "amd64", 58, ""),
        ("c5.18xlarge", 72, 144, 3.06, "amd64", 250, ""),
        ("c4.8xlarge", 36, 60, 1.591, "amd64", 234, ""),
        ("r5.2xlarge", 8, 64, 0.504, "amd64", 58, ""),
        ("r6g.medium", 1, 8, 0.0504, "arm64", 8, ""),
        ("t3.medium", 2, 4, 0.0416, "amd64", 17, ""),
        ("t4g.nano", 2, 0.5, 0.0042, "arm64", 4, ""),
        ("m7g.large", 2, 8, 0.0816, "arm64", 29, ""),
        ("i3.large", 2, 15.25, 0.156, "amd64", 29, ""),
        ("z1d.large", 2, 16, 0.186, "amd64", 29, ""),
        ("g4dn.xlarge", 4, 16, 0.526, "amd64", 29, "1 t4"),
        ("g5.48xlarge", 192, 768, 16.288, "amd64", 250, "8 a10g"),
        ("p5.48xlarge", 192, 2048, 55.04, "amd64", 250, "8 h100"),
    ],
)
def test_facts_known_by_heart(
    catalog: Catalog,
    *,
    instance_type: str,
    vcpu: int,
    memory_gib: float,
    usd_hour: float,
    arch: str,
    pods: int,
    gpu: str,
) -> None:
    offering = on_demand(catalog, instance_type)
    labels = dict(offering.labels)
    assert offering.price_micro_usd_hour == round(usd_hour * 1_000_000)
    assert offering.capacity["cpu"] == vcpu * 1000
    assert labels["spotkube.io/instance-memory"] == str(int(memory_gib * GIB_IN_MIB))
    assert offering.arch == labels["kubernetes.io/arch"] == arch
    assert offering.allocatable["pods"] == pods
    count = offering.allocatable["nvidia.com/gpu"]
    assert (f"{count} {labels['spotkube.io/instance-gpu-name']}" if count else "") == gpu


def test_neuron_devices_are_resources(catalog: Catalog) -> None:
    assert on_demand(catalog, "inf1.6xlarge").allocatable["aws.amazon.com/neuron"] == 4


def test_a_fraction_of_a_gpu_is_no_gpu(catalog: Catalog) -> None:
    offering = on_demand(catalog, "g6f.xlarge")
    assert offering.capacity["nvidia.com/gpu"] == 0
    assert "spotkube.io/instance-gpu-name" not in dict(offering.labels)


def test_spot_is_always_cheaper(catalog: Catalog) -> None:
    spot = [one for one in catalog.offerings if one.capacity_type == SPOT]
    assert len(spot) >= 1500
    for one in spot:
        regular = catalog.find(one.instance_type, one.zone, ON_DEMAND)
        assert regular is not None
        assert 0 < one.price_micro_usd_hour < regular.price_micro_usd_hour
        assert one.interruption_percent in (5, 10, 15, 20, 100)
        assert regular.interruption_percent == 0


def test_a_type_without_known_savings_has_no_spot_offering(catalog: Catalog) -> None:
    # the Spot Advisor gives 0 % for a1, which would be the on-demand price
    for instance_type in ("a1.large", "m8a.large"):
        assert catalog.find(instance_type, "us-east-1a", ON_DEMAND)
        assert catalog.find(instance_type, "us-east-1a", SPOT) is None


def test_every_node_keeps_something_back_and_has_something_left(catalog: Catalog) -> None:
    for one in catalog.offerings:
        for resource in ("cpu", "memory", "ephemeral-storage"):
            assert 0 < one.allocatable[resource] < one.capacity[resource], one.key
        assert one.allocatable["pods"] == one.capacity["pods"] > 0


def test_labels_are_sorted_and_valid(catalog: Catalog) -> None:
    for one in catalog.offerings:
        assert list(one.labels) == sorted(one.labels)
        for key, value in one.labels:
            assert LABEL_VALUE.match(value), (one.key, key, value)


def test_carries_every_label_that_a_requirement_may_name(catalog: Catalog) -> None:
    carried = {key for one in catalog.offerings for key, _ in one.labels}
    assert carried >= {*api_labels.OFFERING_LABELS, *api_labels.WELL_KNOWN_OFFERING_LABELS}


def test_labels_of_one_node(catalog: Catalog) -> None:
    offering = catalog.find("g4dn.xlarge", "us-east-1b", SPOT)
    assert offering is not None
    assert dict(offering.labels) == {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "g4dn.xlarge",
        "topology.kubernetes.io/region": "us-east-1",
        "topology.kubernetes.io/zone": "us-east-1b",
        "spotkube.io/capacity-type": "spot",
        "spotkube.io/instance-family": "g4dn",
        "spotkube.io/instance-category": "g",
        "spotkube.io/instance-generation": "4",
        "spotkube.io/instance-size": "xlarge",
        "spotkube.io/instance-cpu": "4",
        "spotkube.io/instance-memory": "16384",
        "spotkube.io/instance-cpu-manufacturer": "Intel",
        "spotkube.io/instance-gpu-count": "1",
        "spotkube.io/instance-gpu-name": "t4",
    }


@pytest.mark.parametrize(
    ("instance_type", "category", "generation"),
    [
        ("c7i-flex.large", "c", "7"),
        ("u-6tb1.56xlarge", "u", "1"),
        ("im4gn.large", "im", "4"),
        ("p4d.24xlarge", "p", "4"),
    ],
)
def test_category_and_generation(catalog: Catalog, instance_type: str, category: str, generation: str) -> None:
    labels = dict(on_demand(catalog, instance_type).labels)
    assert labels["spotkube.io/instance-category"] == category
    assert labels["spotkube.io/instance-generation"] == generation


def test_offerings_are_unique_and_sorted(catalog: Catalog) -> None:
    keys = [one.key for one in catalog.offerings]
    assert keys == sorted(set(keys))


def test_finds_nothing_that_is_not_offered(catalog: Catalog) -> None:
    assert catalog.find("m5.large", "eu-west-1a", ON_DEMAND) is None
    assert catalog.find("m5.huge", "us-east-1a", ON_DEMAND) is None


def test_digest_follows_the_content(catalog: Catalog) -> None:
    half = catalog.only_families(["m5", "c5"])
    again = Catalog(catalog.region, tuple(reversed(half.types)))
    assert half.digest != catalog.digest
    assert half.digest == again.digest, "the order of entries is no content"


def test_only_families(catalog: Catalog) -> None:
    assert catalog.only_families(["m7g"]).families == ("m7g",)
    with pytest.raises(UnknownFamilyError, match=r"'m7gg' .* did you mean m7g"):
        catalog.only_families(["m7gg"])


@pytest.mark.parametrize(
    ("size", "vcpus"), [("medium", 1), ("large", 2), ("xlarge", 4), ("18xlarge", 72), ("nano", None), ("metal", None)]
)
def test_usual_vcpus(size: str, vcpus: int | None) -> None:
    assert usual_vcpus(size) == vcpus


def test_prices_are_rounded_as_listed() -> None:
    assert str(linear_price(0.03625, 1)) == "0.03625"
    assert str(linear_price("0.083363125", 4)) == "0.33345"
    assert spot_price(96_000, 66) == 32_640
    assert spot_price(5_201, 50) == 2_601, "half a micro-dollar is paid, not saved"


def test_is_what_the_sources_compile_to() -> None:
    if not (SOURCES / "aws_instance_types.csv").exists():
        pytest.skip(f"the source tables are not in {SOURCES.name} beside the repository; nothing to compare with")
    assert make_catalog.compile_catalog(SOURCES) == SHIPPED.read_text(), "run hack/make_catalog.py"
