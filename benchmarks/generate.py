"""Problems of our own in the neutral format, for a checkout that has no others: the shipped catalog, drawn pods."""

import random
from typing import Any

ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
CPU_MILLI = (50, 100, 250, 500, 1000, 2000, 4000)
CPU_WEIGHTS = (10, 20, 25, 20, 15, 7, 3)


def offerings(most_vcpu: int = 32) -> list[dict[str, Any]]:
    """Offerings of the shipped catalog's c, m and r families, of types whose spot price is known."""
    from spotkube.catalog import load_catalog  # noqa: PLC0415

    found = [o for o in load_catalog().offerings if o.instance_type[0] in "cmr" and "nvidia.com/gpu" not in o.capacity]
    spot = {o.instance_type for o in found if o.capacity_type == "spot"}
    return [
        {
            "instance_type": o.instance_type, "zone": o.zone, "capacity_type": o.capacity_type, "arch": o.arch,
            "gpu": 0, "price_usd_hour": o.price_micro_usd_hour / 1e6, "cpu_milli": o.allocatable["cpu"],
            "memory_mib": o.allocatable["memory"] // 2**20, "pods": o.allocatable["pods"],
        }
        for o in found
        if o.instance_type in spot and o.capacity["cpu"] <= most_vcpu * 1000
    ]  # fmt: skip


def scaled(source: list[dict[str, Any]], wanted: int, seed: int) -> list[dict[str, Any]]:
    """So many offerings: the first of the source, or copies of all in further zones, at prices up to 15 % off."""
    chance = random.Random(seed)
    made = [dict(offering) for offering in source[:wanted]]
    copy = 0
    while len(made) < wanted and source:
        copy += 1
        for offering in source[: wanted - len(made)]:
            price = round(offering["price_usd_hour"] * chance.uniform(0.85, 1.15), 6)
            made.append({**offering, "zone": f"{offering['zone']}-{copy}", "price_usd_hour": price})
    return made


def synthetic(pods: int, groups: int, seed: int) -> list[dict[str, Any]]:
    """Groups with sizes like those of services: mostly small, three in ten on demand, half of them amd64 alone."""
    chance = random.Random(seed)
    shares = [chance.gammavariate(0.7, 1.0) for _ in range(groups)]
    counts = _counts(pods, shares)
    made = []
    for i, count in enumerate(counts):
        cpu = chance.choices(CPU_MILLI, CPU_WEIGHTS)[0]
        memory = max(1, round(cpu * chance.choice((1, 2, 4, 8)) * 1.024 * chance.uniform(0.5, 1.5)))
        capacity_type = "on-demand" if chance.random() < 0.3 else ""
        made.append(_group(f"g{i}", count, cpu, memory, capacity_type=capacity_type, arch=chance.choice(("amd64", ""))))
    return [group for group in made if group["count"]]


def diverse(pods: int, seed: int, shared: bool) -> list[dict[str, Any]]:
    """Five equal parts: plain, spread over zones, one of a kind on a node (twice), and bound to a zone."""
    chance = random.Random(seed)
    made = []
    for part in ("plain", "zone-spread", "host-spread", "zonal", "host-anti"):
        sizes: dict[tuple[int, int], int] = {}
        for _ in range(pods // 5):
            size = (chance.choice((100, 250, 500, 1000, 1500)), chance.choice((100, 256, 512, 1024, 2048, 4096)))
            sizes[size] = sizes.get(size, 0) + 1
        for i, ((cpu, memory), count) in enumerate(sorted(sizes.items())):
            made.append(_group(f"{part}-{i}", count, cpu, memory, **_rules(part, i, shared)))
    return made


def _rules(part: str, index: int, shared: bool) -> dict[str, Any]:
    if part == "zone-spread":
        return {"spread_zone_max_skew": 1}
    if part == "zonal":
        return {"zone": ZONES[index % len(ZONES)]}
    if part == "plain":
        return {}
    label = ("anti" if part == "host-anti" else f"spread-{index % 7}") if shared else ""
    return {"anti_affinity_host": True, "selector_label": label}


def _counts(pods: int, shares: list[float]) -> list[int]:
    """Whole numbers in these proportions that add up to the pods."""
    total = sum(shares)
    counts = [int(pods * share / total) for share in shares]
    for i in range(pods - sum(counts)):
        counts[i % len(counts)] += 1
    return counts


def _group(name: str, count: int, cpu: int, memory: int, **rules: Any) -> dict[str, Any]:
    group = {"name": name, "count": count, "cpu_milli": cpu, "memory_mib": memory, "gpu": 0, "arch": "", "zone": ""}
    return {**group, "capacity_type": "", "spread_zone_max_skew": 0, "anti_affinity_host": False, **rules}
