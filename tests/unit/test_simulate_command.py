"""`spotkube queue simulate`: files of jobs, what is printed, and what is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from spotkube.cli import app
from spotkube.simulation.play import POLICIES
from spotkube.simulation.reading import read_trace

JOBS = [
    {"id": "A1", "tenant": "A", "submit": 0, "size": 10},
    {"id": "A2", "tenant": "A", "submit": 0, "size": 10},
    {"id": "B1", "tenant": "B", "submit": 10, "size": 5},
]
SWF = """\
; Computer: a small one
; MaxProcs: 4
 1 0 0 10 4 -1 -1 4 100 -1 1 7 1 -1 1 -1 -1 -1
 2 0 0 10 -1 -1 -1 2 100 -1 1 7 1 -1 1 -1 -1 -1
 3 5 0 -1 1 -1 -1 1 100 -1 5 8 1 -1 1 -1 -1 -1
 4 6 0 2 1 -1 -1 1 -1 -1 1 -1 1 -1 1 -1 -1 -1
"""


def written(folder: Path, content: Any, name: str = "jobs.json") -> Path:
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


def simulate(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["queue", "simulate", *words])
    return done.exit_code, done.stdout, done.stderr


def test_json_has_an_object_for_each_policy_with_the_times_of_each_job(tmp_path: Path) -> None:
    file = written(tmp_path, {"capacity": 1, "jobs": JOBS})
    code, out, _ = simulate(str(file), "--policy", "uwfq", "--policy", "fifo", "--json")
    ours, fifo = json.loads(out)

    assert code == 0
    assert [ours["policy"], fifo["policy"]] == ["uwfq", "fifo"]
    assert ours["jobs"] == [
        {"id": "A1", "tenant": "A", "submit": 0, "virtual_deadline": 10, "start": 0, "end": 10},
        {"id": "B1", "tenant": "B", "submit": 10, "virtual_deadline": 15, "start": 10, "end": 15},
        {"id": "A2", "tenant": "A", "submit": 0, "virtual_deadline": 20, "start": 15, "end": 25},
    ]
    assert [job["end"] for job in fifo["jobs"]] == [10, 20, 25]
    assert fifo["jobs"][0]["virtual_deadline"] is None
    assert fifo["metrics"]["dvr"] == 0.5


def test_people_see_a_line_a_policy_and_the_jobs_if_they_ask(tmp_path: Path) -> None:
    file = str(written(tmp_path, {"capacity": 1, "jobs": JOBS}))
    code, out, _ = simulate(file)

    assert code == 0
    assert all(f"\n{policy} " in out for policy in POLICIES)
    assert "A1" not in out
    assert "A1" in simulate(file, "--jobs", "--policy", "uwfq")[1]


def test_width_and_run_time_say_what_runs_and_size_what_it_is_taken_for(tmp_path: Path) -> None:
    jobs = [
        {"id": 1, "tenant": "liar", "width": 2, "run_time": 10, "size": 1},
        {"id": 2, "tenant": "short", "run_time": 4, "size": 8},
        {"id": 3, "tenant": "wide", "width": 4, "size": 8, "weight": 2, "submit": 1},
    ]
    trace = read_trace(written(tmp_path, {"capacity": 4, "jobs": jobs}))

    assert [(job.id, job.width, job.run_time, job.told, job.weight) for job in trace.jobs] == [
        ("1", 2, 10, 1, 1),
        ("2", 2, 4, 8, 1),
        ("3", 4, 2, 8, 2),
    ]


@pytest.mark.parametrize("name", ["log.swf", "log.swf.gz", "log.txt"])
def test_logs_are_known_by_what_they_look_like(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(gzip.compress(SWF.encode()) if name.endswith(".gz") else SWF.encode())
    trace = read_trace(file)

    assert trace.capacity == 4
    assert [(job.id, job.tenant, job.width, job.run_time, job.told) for job in trace.jobs] == [
        ("1", "7", 4, 10, 400),
        ("2", "7", 2, 10, 200),
        ("4", "unknown", 1, 2, None),
    ]
    assert trace.notes == ("1 jobs are left out: with unknown run time or width, or that never ran",)
    assert read_trace(file, capacity=2).notes[1] == "1 jobs are left out: wider than the capacity"
    assert len(read_trace(file, first=1).jobs) == 1


def test_a_log_may_be_a_table_with_a_header(tmp_path: Path) -> None:
    text = "job_id,submit_s,runtime_s,procs,req_procs,req_time_s,user\n1,5,10,2,2,-1,3\n2,4,1,1,1,60,3\n"
    trace = read_trace(written(tmp_path, text, "log.csv"))

    assert [(job.id, job.submit) for job in trace.jobs] == [("2", 4), ("1", 5)]
    assert trace.capacity == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": -1}, "jobs[0]: width: -1 can't be; give a number above zero"),
        ({"width": 9}, "jobs[0]: width: 9 is more than the capacity of 4"),
        ({"weight": -0.5}, "jobs[0]: weight: -0.5 can't be; give a number of zero or more"),
        ({"run_time": float("nan")}, "jobs[0]: run_time: nan can't be"),
        ({"submit": "now"}, "jobs[0]: submit: 'now' can't be"),
        ({"size": None}, "jobs[0]: size: is missing, and so is run_time"),
        ({"tenant": None}, "jobs[0]: tenant: is missing"),
        ({"id": "twice"}, "jobs[1]: id: 'twice' is given twice"),
        ({"runtime": 3}, "jobs[0]: runtime: is no field of a job; the fields are id,"),
    ],
)
def test_bad_jobs_are_named_with_field_value_and_remedy(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    jobs = [{"id": "a", "tenant": "A", "size": 1} | change, {"id": "twice", "tenant": "A", "size": 1}]
    code, out, err = simulate(str(written(tmp_path, {"capacity": 4, "jobs": jobs})))

    assert (code, out) == (1, "")
    assert words in err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty; give a file with jobs"),
        ("{", "line 1: is no JSON"),
        ("[]", "has no list of jobs"),
        ('{"jobs": []}', "capacity: is missing"),
        ('{"capacity": 0, "jobs": []}', "capacity: 0 can't be; give a number above zero"),
        ('{"capacity": 1, "jobs": []}', "has no job that can be played"),
        ("1 2 3\n", "line 1: has 3 fields and not 18; give -1 for what is unknown"),
        (SWF.replace("100", "soon", 1), "line 3: req_time_s: 'soon' is no number"),
        (SWF.replace(" 2 0", " 1 0", 1), "job_id: 1 is given twice"),
    ],
)
def test_bad_files_are_named_with_the_place(tmp_path: Path, content: str, words: str) -> None:
    code, _, err = simulate(str(written(tmp_path, content)))

    assert code == 1
    assert words in err


def test_unknown_policies_and_missing_files_end_with_one(tmp_path: Path) -> None:
    assert "there is no such file" in simulate(str(tmp_path / "none.json"))[2]
    file = str(written(tmp_path, {"capacity": 1, "jobs": JOBS}))
    assert "the policies are fifo," in simulate(file, "--policy", "lottery")[2]
