"""The benchmark of told starts: what is asked, and how it is measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import estimated_start
from estimated_start_play import LAST, OURS, UNCORRECTED, WORK, Observer, Saying, measure
from fair_queue import at_load
from spotkube.simulation.estimates import Estimates


def observed(*sayings: Saying) -> Observer:
    observer = Observer(cores=1, gap_seconds=0)
    observer.sayings[OURS]["j"] = list(sayings)
    return observer


def test_an_error_is_relative_to_the_wait_that_was_left() -> None:
    row = measure(observed(Saying(0, 900, 500, 1100), Saying(500, 1300, 1200, 1400)), {"j": 1000})[OURS]

    assert row["at_submission"]["median_error"] == 0.1
    assert row["at_submission"]["inside"] == 1
    assert row["while_waiting"]["p90_error"] == 0.6
    assert row["while_waiting"]["inside"] == 0


def test_a_wait_below_a_minute_counts_as_one() -> None:
    row = measure(observed(Saying(0, 31, 31, 31)), {"j": 1})[OURS]

    assert row["at_submission"]["median_error"] == 0.5


def test_a_move_is_what_goes_by_a_fifth_of_what_is_left() -> None:
    starts = (1000, 1100, 1250, 1250, 700)
    row = measure(observed(*(Saying(100 * n, start) for n, start in enumerate(starts))), {"j": 1000})[OURS]

    assert row["moves_a_job"] == 2  # to 1250 and to 700


def test_a_small_office_is_told_better_than_by_rivals_and_in_numbers_only() -> None:
    trace = at_load(estimated_start.office(1, 300), 0.9, 0, 300)
    scene = estimated_start.Scene("office", trace, 60.0)
    row = estimated_start.measure_scene(scene, Estimates.EXACT, 1, lambda started: None)

    told = {who: it["at_submission"]["median_seconds"] for who, it in row["told"].items()}
    assert set(told) == {OURS, UNCORRECTED, WORK, LAST}
    assert told[OURS] < min(told[WORK], told[LAST])
    json.dumps(row, allow_nan=False)
    assert "office, 1 queue, run times exact" in estimated_start.table(row)


def test_a_range_that_does_not_hold_what_it_promises_is_a_miss() -> None:
    first = {"told": 200, "median_error": 0.1, "p90_error": 1.0, "median_seconds": 1, "p90_seconds": 2}
    told = {OURS: {"at_submission": first | {"inside": 0.6, "median_width": 1.0}, "while_waiting": {"told": 0}}}
    row = {"name": "x", "queues": 4, "estimates": "exact", "jobs": 9, "waited": 9, "seconds": 1.0, "told": told}

    assert not estimated_start.fits(row)
    assert "MISSED: inside at submission is to be 75% to 90%" in estimated_start.table(row)


def test_its_own_log_is_played_and_printed_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [{"id": i, "tenant": f"t{i % 3}", "submit": 5 * i, "run_time": 9 + i % 5, "width": 2} for i in range(60)]
    file = tmp_path / "log.json"
    file.write_text(json.dumps({"capacity": 4, "jobs": jobs}), encoding="utf-8")

    assert estimated_start.main(["--log", str(file), "--quick", "--json", "--estimates", "exact"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["queues"] for row in document["scenes"]] == [1, 4]
    assert document["cost"]["telling_seconds"] > 0
