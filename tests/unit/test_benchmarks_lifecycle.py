"""What is said of bursts of notices, and which targets they are held to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import lifecycle
from lifecycle_fleet import PODS_A_NODE, claims, pod
from lifecycle_play import Burst


def row(*bursts: Burst, memory: float = 500) -> dict[str, Any]:
    shown = [lifecycle.row_of(burst) for burst in bursts]
    return {"nodes": 20, "pods": 200, "memory_mib": memory, "tasks": 12, "bursts": shown}


def missed(**fields: Any) -> list[str]:
    burst = Burst(100, **{"cordons": [0.5] * 100, "claims": [2.0], "calls": 600, "bare_seconds": 0.2} | fields)
    return [target.what for target in lifecycle.targets(row(burst)) if not target.met]


def test_each_target_can_be_missed() -> None:
    assert missed() == []
    assert missed(cordons=[0.5] * 98 + [1.1] * 2) == ["p99 to cordon of 100, s"]
    assert missed(cordons=[0.5] * 99) == ["nodes left open of 100"]
    assert missed(claims=[31.0]) == ["p99 to replacement claim of 100, s"]
    assert missed(late_pods=1) == ["pods of 100 nodes told too late"]
    burst = Burst(1000, cordons=[2.1] * 1000, bare_seconds=1.0)
    assert [one.met for one in lifecycle.targets(row(burst, memory=2000))] == [False, False, True]


def test_the_table_has_a_line_for_each_burst() -> None:
    lines = lifecycle.table(row(Burst(1, [0.1], [1.0], 9), Burst(20, [0.1], [], 90))).splitlines()
    assert [line.split()[:3] for line in lines[2:]] == [["1", "1", "0.1"], ["20", "1", "0.1"]]


def test_half_of_the_fleet_is_of_one_zone_and_full_of_pods() -> None:
    fleet = claims(20)
    zones = [claim.spec.zone for claim in fleet]
    assert zones[:10] == [zones[0]] * 10
    assert zones[0] not in zones[10:]
    cpu = {claim.spec.allocatable["cpu"] for claim in fleet}
    asked = pod("p", "n")["spec"]["containers"][0]["resources"]["requests"]["cpu"]
    milli = {int(one[:-1]) if one.endswith("m") else 1000 * int(one) for one in cpu}
    assert all(PODS_A_NODE * int(asked[:-1]) <= one < (PODS_A_NODE + 1) * int(asked[:-1]) for one in milli)
