"""What is said of bursts of notices, and which targets they are held to."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import lifecycle
from lifecycle_fleet import NODE_CPU_MILLI, claims, pod
from lifecycle_play import Burst, Told, late_pods


def row(*bursts: Burst, memory: float = 500) -> dict[str, Any]:
    shown = [lifecycle.row_of(burst) for burst in bursts]
    head = {"nodes": 20, "pods": 200, "memory_mib": memory, "threads": 12, "bare_evictions_a_second": 90}
    return {**head, "bursts": shown}


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


def test_a_pod_was_told_when_its_first_deletion_said_so() -> None:
    """A kubelet's own deletion, without grace, comes when the pod has ended: it took that for a pod told too late."""
    told, pods = Told(), {name: {"spec": {"nodeName": "n"}} for name in ("in-time", "late", "never")}

    def deleted(name: str, ends: str, grace: int) -> bool:
        meta = {"uid": name, "deletionTimestamp": ends, "deletionGracePeriodSeconds": grace}
        return told({"metadata": meta})

    assert not told({"metadata": {"uid": "never"}})
    assert deleted("in-time", "2026-01-01T00:01:00Z", 30)
    assert deleted("in-time", "2026-01-01T00:01:40Z", 0)
    assert deleted("late", "2026-01-01T00:02:10Z", 30)
    deadline = datetime(2026, 1, 1, 0, 2, tzinfo=UTC).timestamp()
    assert late_pods(pods, told, {"n"}, deadline) == 2
    assert late_pods(pods, told, {"other"}, deadline) == 0
    del pods["never"]
    assert late_pods(pods, told, {"n"}, deadline) == 1


def test_the_first_of_the_fleet_are_of_one_zone_and_pods_fill_it() -> None:
    fleet = claims(20, 12)
    zones = [claim.spec.zone for claim in fleet]
    assert zones[:12] == [zones[0]] * 12
    assert zones[0] not in zones[12:]
    asked = NODE_CPU_MILLI // 10
    assert pod(0, "n", asked)["spec"]["containers"][0]["resources"]["requests"]["cpu"] == f"{asked}m"
    for claim in fleet:
        room = claim.spec.allocatable["cpu"]
        milli = int(room[:-1]) if room.endswith("m") else 1000 * int(room)
        assert 10 * asked <= milli < 11 * asked


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--bursts", "1,x"), "must be numbers"),
        (("--nodes", "10", "--pods", "0", "--bursts", "11"), "together at most 10 nodes"),
        (("--nodes", "10", "--pods", "401"), "at most 40 on each of 10 nodes"),
    ],
)
def test_bad_arguments(
    words: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(sys, "argv", ["lifecycle.py", *words])
    with pytest.raises(SystemExit) as ended:
        lifecycle.main()
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
