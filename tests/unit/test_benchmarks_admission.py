"""The load of the admission benchmark is Kueue's, and less of it comes at the same pace."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import admission_load


def test_the_load_is_that_of_kueues_benchmark() -> None:
    load = admission_load.jobs(1.0)

    assert Counter(job.kind.name for job in load) == {"small": 10_500, "medium": 3_000, "large": 1_500}
    assert Counter(job.queue for job in load).most_common(1)[0][1] == 500
    assert len({job.name for job in load}) == 15_000
    assert admission_load.floor_seconds(load) == pytest.approx(66.0)


def test_a_part_of_it_comes_at_the_same_pace() -> None:
    part = admission_load.jobs(0.1)

    assert len(part) == 1_500
    assert [job.due_seconds for job in part] == sorted(job.due_seconds for job in part)
    of_one = [job.due_seconds for job in part if job.queue == "c0-q0" and job.kind.name == "large"]
    assert of_one == pytest.approx([0.0, 1.2, 2.4, 3.6, 4.8])
