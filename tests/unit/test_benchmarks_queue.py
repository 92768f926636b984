"""The benchmarks of the queue: what is drawn, and what is held to the targets."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import clock
import fair_queue
from spotkube.simulation.estimates import Estimates
from spotkube.simulation.jobs import Job, Trace


def load(trace: Trace, seconds: float) -> float:
    return sum(job.size for job in trace.jobs) / (trace.capacity * seconds)


def test_bursts_are_two_frequent_users_and_two_that_come_now_and_then() -> None:
    trace = fair_queue.bursts(seed=1)
    first = [job.tenant for job in trace.jobs if job.submit == 0]

    assert sorted(first) == ["frequent-1"] * 20 + ["frequent-2"] * 20
    assert {job.tenant for job in trace.jobs} == {*fair_queue.FREQUENT, *fair_queue.INFREQUENT}
    assert load(trace, 1800) == pytest.approx(0.9, abs=0.03)


def test_alike_users_come_to_the_same_load() -> None:
    trace = fair_queue.homogeneous(seed=0, jobs=20_000)

    assert load(trace, trace.jobs[-1].submit) == pytest.approx(0.9, abs=0.05)


def test_a_window_of_a_log_is_stretched_to_its_load() -> None:
    jobs = tuple(Job(str(i), "a", 100.0 + i, 2, 5) for i in range(50))
    window = fair_queue.at_load(Trace(4, jobs), 0.5, skip=10, count=21)

    assert [job.id for job in window.jobs] == [str(i) for i in range(10, 31)]
    assert window.jobs[0].submit == 0
    assert load(window, window.jobs[-1].submit) == pytest.approx(0.5)


def test_in_bursts_all_targets_are_met() -> None:
    scene = fair_queue.Scene("bursts", fair_queue.bursts(2, seconds=300), fair_queue.burst_targets)
    row = fair_queue.measure_scene(scene, Estimates.EXACT)

    assert [target["met"] for target in row["targets"]] == [True, True, True]
    assert "DVR: 0.000, target at most 0.3: met" in fair_queue.table(row)
    json.dumps(row, allow_nan=False)


def test_a_missed_target_says_so_and_how_far_one_could_come(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [{"id": i, "tenant": "a", "submit": 100 * i, "run_time": 10, "width": 1} for i in range(3)]
    file = tmp_path / "calm.json"
    file.write_text(json.dumps({"capacity": 9, "jobs": jobs}), encoding="utf-8")

    assert fair_queue.main(["--log", str(file), "--load", "0.01"]) == 1
    assert "1.000, target at most 0.6: MISSED (1.000 is what no wait at all would be)" in capsys.readouterr().out


def test_events_of_the_clock_are_measured_one_by_one() -> None:
    row = clock.measure(jobs=200, tenants=10, rounds=150, levels=2)

    assert row["events"] == 150 * 3 + 50
    assert clock.measure_published(200, 10, 5)["events"] == 5


def test_targets_are_met_at_their_limit() -> None:
    target = fair_queue.Target("x", 0.6, 0.6)

    assert target.met
    assert not replace(target, value=0.61).met
