"""Compiles the shipped catalog, facts by family, from the tables of types and spot savings in ../shared/data.

    python hack/make_catalog.py [--data FOLDER] [--check]

Needed only when the facts are renewed: `spotkube` reads operator/spotkube/catalog/data alone. `--check` writes nothing
and fails when the shipped file differs from what would be written.
"""

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "operator"))

from spotkube.catalog.families import SHIPPED, linear_price, usual_vcpus  # noqa: E402

DEFAULT_DATA = ROOT.parent / "shared" / "data"
REGION = "us-east-1"
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")

# Types that an EKS node cannot be, or that nobody gets by asking: paravirtual generations, one-zone HPC, and VT1 and
# F2, whose devices have no resource name that we plan for.
LEFT_OUT = ("c1", "m1", "m2", "t1", "hpc7g", "vt1", "f2")

# The source's band_max_pct mixes 11, 16 and 22 for the same bands; these are the ends that the labels name.
INTERRUPTION_OF_BAND = {"0": 5, "1": 10, "2": 15, "3": 20, "4": 100}
NEURON_ACCELERATORS = ("Inferentia", "Inferentia2", "Trainium")
# With more exceptions than this, a price for one vCPU says nothing, and every size gives its own.
MAX_PRICE_EXCEPTIONS = 2
# A rate that takes more digits is a division that doesn't come out even, not a fact.
MAX_RATE_DIGITS = 11

Row = dict[str, str]

HEADER = """\
# AWS instance types of us-east-1, Linux: what SpotKube plans with when it has no cloud account to ask.
# Written by hack/make_catalog.py; formulas, sources, dates and traps: docs/reference/catalog.md.
#
# family: memory_gib_per_vcpu and usd_hour_per_vcpu (on demand) hold for every size without its own memory_gib, usd_hour
# size:   vcpu                given where it isn't the usual: medium 1, large 2, xlarge 4, Nxlarge 4 N
#         eni: 3x10           3 network interfaces with 10 IPv4 addresses each
#         spot_savings: 61    percent below on demand; sizes without it have no known spot price
#         interruption: 5     upper end of the Spot Advisor's band of interruptions a month, in percent (100: over 20)
#
# Compiled from data under the Apache License 2.0: moto (types), karpenter-provider-aws (prices, interfaces) and
# spotinfo (spot).
"""


def compile_catalog(data: Path) -> str:
    """The text of the shipped file."""
    families: dict[str, list[Row]] = defaultdict(list)
    for row in _read(data / "aws_instance_types.csv"):
        if row["bare_metal"] == "0" and row["od_usd_us_east_1"] and row["family"] not in LEFT_OUT:
            families[row["family"]].append(row)
    spot = {
        row["instance_type"]: row
        for row in _read(data / "spot_interruption.csv")
        # A saving of 0 is the advisor's "not known": such a spot price would be the on-demand price.
        if row["region"] == REGION and row["os"] == "Linux" and int(row["savings_pct"]) > 0
    }
    lines = [HEADER, f"region: {REGION}", f"zones: [{', '.join(ZONES)}]", "families:"]
    for name in sorted(families):
        lines += _family_lines(name, sorted(families[name], key=_size_order), spot)
    return "\n".join(lines) + "\n"


def _read(path: Path) -> Iterable[Row]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)


def _size_order(row: Row) -> tuple[int, int, str]:
    return int(row["vcpu"]), int(row["memory_mib"]), row["size"]


def _family_lines(name: str, rows: list[Row], spot: dict[str, Row]) -> list[str]:
    first = rows[0]
    memory_gib_per_vcpu = _memory_rate(rows)
    usd_per_vcpu = _price_rate(rows)
    common = {
        "arch": {"x86_64": "amd64", "arm64": "arm64"}[first["arch"]],
        "cpu": first["cpu_manufacturer"],
        # Fractions of a GPU (g6f, gr6f) cannot be asked for as nvidia.com/gpu.
        "gpu": _label_value(first["gpu_name"]) if any(int(row["gpu_count"] or 0) for row in rows) else None,
        "memory_gib_per_vcpu": memory_gib_per_vcpu,
        "usd_hour_per_vcpu": usd_per_vcpu,
    }
    lines = [f"  {name}:", *(f"    {key}: {value}" for key, value in common.items() if value is not None), "    sizes:"]
    for row in rows:
        own = _own_facts(row, memory_gib_per_vcpu, usd_per_vcpu, spot.get(row["instance_type"]))
        lines.append(f"      {row['size']}: {{{', '.join(f'{key}: {value}' for key, value in own.items())}}}")
    return lines


def _own_facts(row: Row, memory_gib_per_vcpu: str | None, usd_per_vcpu: str | None, spot: Row | None) -> dict[str, Any]:
    vcpu = int(row["vcpu"])
    facts: dict[str, Any] = {}
    if usual_vcpus(row["size"]) != vcpu:
        facts["vcpu"] = vcpu
    if memory_gib_per_vcpu is None or Decimal(memory_gib_per_vcpu) * vcpu != _gib(row):
        facts["memory_gib"] = _plain(_gib(row))
    if usd_per_vcpu is None or linear_price(usd_per_vcpu, vcpu) != Decimal(row["od_usd_us_east_1"]):
        facts["usd_hour"] = _plain(Decimal(row["od_usd_us_east_1"]))
    if int(row["gpu_count"] or 0):
        facts["gpus"] = int(row["gpu_count"])
    if row["accelerator_name"] in NEURON_ACCELERATORS:
        facts["neuron_devices"] = int(row["accelerator_count"])
    facts["eni"] = f"{row['eni_max']}x{row['ipv4_per_eni']}"
    if spot:
        facts |= {"spot_savings": int(spot["savings_pct"]), "interruption": INTERRUPTION_OF_BAND[spot["band_index"]]}
    return facts


def _memory_rate(rows: list[Row]) -> str | None:
    """GiB for one vCPU as most sizes have it; None where no two sizes agree, or where it has no end."""
    rates = [_gib(row) / int(row["vcpu"]) for row in rows]
    rate = max(rates, key=rates.count)
    return _plain(rate) if rates.count(rate) > 1 and len(_plain(rate)) <= MAX_RATE_DIGITS else None


def _price_rate(rows: list[Row]) -> str | None:
    """Dollars an hour for one vCPU, where that gives nearly all prices of the family to the last digit."""
    exact = (Fraction(row["od_usd_us_east_1"]) / int(row["vcpu"]) for row in rows)
    rates = {str(Decimal(rate.numerator) / Decimal(rate.denominator)) for rate in exact}
    finite = sorted((rate for rate in rates if len(rate) <= MAX_RATE_DIGITS), key=lambda rate: (len(rate), rate))
    if len(rows) == 1 or not finite:
        return None
    misses = {
        rate: sum(linear_price(rate, int(row["vcpu"])) != Decimal(row["od_usd_us_east_1"]) for row in rows)
        for rate in finite
    }
    best = min(finite, key=misses.__getitem__)
    return best if misses[best] <= min(MAX_PRICE_EXCEPTIONS, len(rows) - 2) else None


def _gib(row: Row) -> Decimal:
    return Decimal(row["memory_mib"]) / 1024


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")


def _label_value(name: str) -> str:
    return name.lower().replace(" ", "-")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder of the source tables")
    parser.add_argument("--check", action="store_true", help="compare only")
    arguments = parser.parse_args()
    text = compile_catalog(arguments.data)
    if arguments.check:
        same = SHIPPED.read_text() == text
        print("the shipped catalog is up to date" if same else f"{SHIPPED} differs; run {Path(__file__).name}")
        return 0 if same else 1
    SHIPPED.write_text(text)
    print(f"wrote {SHIPPED} ({len(text) // 1024} KiB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
