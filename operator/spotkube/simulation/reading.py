"""Files of jobs: which of the formats a file is in, and the one of our own."""

import gzip
import json
import lzma
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from spotkube.simulation.jobs import Job, Trace
from spotkube.simulation.swf import read_swf


class Format(StrEnum):
    JSON = "json"
    SWF = "swf"


_OPENERS: Mapping[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}
_FIELDS = ("id", "tenant", "weight", "submit", "size", "width", "run_time")
_MOST = 1e15


def read_trace(path: Path, form: Format | None = None, capacity: float | None = None, first: int = 0) -> Trace:
    """The jobs of a file, which may be packed (.gz, .xz). Left out, the format is told by the first character.
    `capacity` is used instead of what the file says; with `first`, only so many jobs that come first are taken.

    Raises ValueError naming the place, the field, its value and what to do.
    """
    text = _text(path)
    if not text.strip():
        raise ValueError(f"{path}: is empty; give a file with jobs")
    if form is None:
        form = Format.JSON if text.lstrip()[0] in "{[" else Format.SWF
    trace = read_json(str(path), text, capacity) if form is Format.JSON else read_swf(str(path), text, capacity)
    jobs = sorted(trace.jobs, key=lambda job: job.submit)[: first or None]
    if not jobs:
        raise ValueError(f"{path}: has no job that can be played; {'; '.join(trace.notes) or 'give some in jobs'}")
    return replace(trace, jobs=tuple(jobs))


def read_json(name: str, text: str, capacity: float | None = None) -> Trace:
    """`{"capacity": R, "jobs": [{"id", "tenant", "weight", "submit", "size", "width", "run_time"}]}`.

    What runs is width times run_time; `size` is what the job says, which is the same unless it is wrong. Any one of the
    three may be left out, and width with run_time for a job that takes all. Raises ValueError.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name}: line {error.lineno}: is no JSON ({error.msg}); correct it there") from error
    if not isinstance(document, dict) or not isinstance(document.get("jobs"), list):
        raise ValueError(f'{name}: has no list of jobs; write {{"capacity": 1, "jobs": [{{"id": "a", ...}}]}}')
    units = _number(f"{name}: ", {"capacity": capacity or document.get("capacity")}, "capacity", above_zero=True)
    if units is None:
        raise ValueError(f"{name}: capacity: is missing; give the units that there are, or --capacity")
    seen: set[str] = set()
    jobs = tuple(_job(f"{name}: jobs[{i}]: ", told, units, seen) for i, told in enumerate(document["jobs"]))
    return Trace(units, jobs, told_sizes=True)


def _job(place: str, told: Any, capacity: float, seen: set[str]) -> Job:
    if not isinstance(told, dict):
        raise ValueError(f"{place}{told!r} is no job; write an object with {', '.join(_FIELDS)}")
    if unknown := next((field for field in told if field not in _FIELDS), None):
        raise ValueError(f"{place}{unknown}: is no field of a job; the fields are {', '.join(_FIELDS)}")
    name, tenant = _name(place, told, "id"), _name(place, told, "tenant")
    if name in seen:
        raise ValueError(f"{place}id: {name!r} is given twice; give each job an id of its own")
    seen.add(name)
    submit = _number(place, told, "submit")
    weight = _number(place, told, "weight")
    width, run_time, size = _shape(place, told, capacity)
    return Job(name, tenant, submit or 0.0, width, run_time, size, 1.0 if weight is None else weight)


def _shape(place: str, told: Mapping[str, Any], capacity: float) -> tuple[float, float, float]:
    """Width, run time and the size told. Of the three two are enough, or the size alone for a job that takes all."""
    size, run_time = _number(place, told, "size"), _number(place, told, "run_time")
    width = _number(place, told, "width", above_zero=True)
    if size is None and run_time is None:
        raise ValueError(f"{place}size: is missing, and so is run_time; give one of the two")
    if width is None:
        width = size / run_time if size and run_time else capacity
    if width > capacity * (1 + 1e-9):
        raise ValueError(f"{place}width: {width:g} is more than the capacity of {capacity:g}; it could never run")
    if run_time is None:
        run_time = (size or 0.0) / width
    return width, run_time, width * run_time if size is None else size


def _name(place: str, told: Mapping[str, Any], field: str) -> str:
    value = told.get(field)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        what = "is missing" if value is None else f"{value!r} is no name"
        raise ValueError(f"{place}{field}: {what}; give some text")
    return str(value)


def _number(place: str, told: Mapping[str, Any], field: str, above_zero: bool = False) -> float | None:
    value = told.get(field)
    if value is None:
        return None
    least = "above zero" if above_zero else "of zero or more"
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < 0 or (above_zero and value == 0) or value > _MOST:
        raise ValueError(f"{place}{field}: {value!r} can't be; give a number {least}")
    return float(value)


def _text(path: Path) -> str:
    try:
        with _OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8-sig") as file:
            return str(file.read())
    except FileNotFoundError as error:
        raise ValueError(f"{path}: there is no such file; check the path") from error
    except (OSError, EOFError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise ValueError(f"{path}: can't be read ({error}); give a file that you may read") from error
