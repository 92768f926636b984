"""Job logs in the Standard Workload Format (Feitelson, Parallel Workloads Archive), also as a table with a header line.

A line a job, 18 numbers apart by blanks, -1 meaning unknown; comments begin with a semicolon. Tenants are users.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from spotkube.simulation.jobs import Job, Trace

_COLUMNS: Mapping[str, int] = {
    "job_id": 0, "submit_s": 1, "runtime_s": 3, "procs": 4, "req_procs": 7, "req_time_s": 8, "user": 11,
}  # fmt: skip
_FIELDS = 18
_MAX_PROCS = re.compile(r";\s*MaxProcs:\s*(\d+)")
UNKNOWN_USER = "unknown"


def read_swf(name: str, text: str, capacity: float | None = None) -> Trace:
    """Left out, the capacity is MaxProcs of the header, else what the widest job takes. Jobs that never ran, or of whom
    nobody knows for how long or how wide, are left out, as are those wider than the capacity; `notes` count them.
    Raises ValueError."""
    lines = text.splitlines()
    told = next((int(match[1]) for line in lines if (match := _MAX_PROCS.match(line))), None)
    jobs, left_out = [], Counter[str]()
    for place, fields in _records(name, lines):
        job = _job(place, fields)
        if job is None:
            left_out["with unknown run time or width, or that never ran"] += 1
        else:
            jobs.append(job)
    units = capacity or told or max((job.width for job in jobs), default=1.0)
    fitting = [job for job in jobs if job.width <= units]
    left_out["wider than the capacity"] = len(jobs) - len(fitting)
    if doubled := next((name for name, count in Counter(job.id for job in fitting).items() if count > 1), None):
        raise ValueError(f"{name}: job_id: {doubled} is given twice; give each job a number of its own")
    notes = tuple(f"{count} jobs are left out: {what}" for what, count in left_out.items() if count)
    return Trace(float(units), tuple(fitting), notes)


def _records(name: str, lines: list[str]) -> Iterator[tuple[str, Mapping[str, float]]]:
    """The place and the numbers of each job."""
    columns, separator, wanted = _COLUMNS, None, _FIELDS
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith(";"):
            continue
        words = line.split(separator)
        place = f"{name}: line {number}: "
        if "job_id" in line:
            words = line.strip().split(",")
            if missing := next((column for column in _COLUMNS if column not in words), None):
                raise ValueError(f"{place}{missing}: is not in the header; name a column so")
            columns, separator, wanted = {column: words.index(column) for column in _COLUMNS}, ",", len(words)
            continue
        if len(words) != wanted:
            raise ValueError(f"{place}has {len(words)} fields and not {wanted}; give -1 for what is unknown")
        yield place, {column: _number(place, column, words[index]) for column, index in columns.items()}


def _number(place: str, column: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError as error:
        raise ValueError(f"{place}{column}: {word!r} is no number; give one, -1 for unknown") from error
    if not -1 <= value < 1e15:
        raise ValueError(f"{place}{column}: {word} can't be; give a number of zero or more, -1 for unknown")
    return value


def _job(place: str, fields: Mapping[str, float]) -> Job | None:
    width = fields["procs"] if fields["procs"] > 0 else fields["req_procs"]
    if fields["runtime_s"] <= 0 or width <= 0:
        return None
    if fields["submit_s"] < 0:
        raise ValueError(f"{place}submit_s: is unknown; give the second at which the job came")
    told = fields["req_time_s"] * width if fields["req_time_s"] > 0 else None
    user = f"{fields['user']:g}" if fields["user"] >= 0 else UNKNOWN_USER
    return Job(f"{fields['job_id']:.0f}", user, fields["submit_s"], width, fields["runtime_s"], told)
