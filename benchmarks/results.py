"""Runs the jobs of one part and leaves a row for each in results/, as they come: an interrupted run can go on."""

import argparse
import datetime
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cases import PEERS, ROOT

RESULTS = ROOT / "benchmarks" / "results"
LIBRARIES = ("numba", "numpy", "highspy", "deap")
Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One row: its name, how it is measured (None where that can't be done here), and what to say of it."""

    name: str
    measure: Callable[[], Row | None]
    line: Callable[[Row], str]


def folder(quick: bool) -> Path:
    """Where results are; those of quick runs are apart, so that they never replace those of a whole run."""
    return RESULTS / "quick" if quick else RESULTS


def arguments(description: str | None, epilog: str, quick: str) -> argparse.ArgumentParser:
    """What all parts understand."""
    parser = argparse.ArgumentParser(
        description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--resume", action="store_true", help="keep rows of the same code on the same machine")
    parser.add_argument("--only", metavar="WORDS", help="measure again the rows whose name has these words in it")
    parser.add_argument("--list", action="store_true", help="print the names of the rows and measure nothing")
    return parser


def run_part(part: str, jobs: Sequence[Job], args: argparse.Namespace) -> int:
    """Measures the jobs, writing after each; the exit code."""
    if args.list:
        print("\n".join(job.name for job in jobs))
        return 0
    if args.only and not any(args.only in job.name for job in jobs):
        print(f"{part}: no row's name has {args.only!r} in it; --list prints the names", file=sys.stderr)
        return 2
    file = folder(args.quick) / f"{part}.json"
    about = {"command": f"benchmarks/{part}.py" + " --quick" * args.quick, **provenance()}
    there = json.loads(file.read_text(encoding="utf-8")) if file.exists() and (args.resume or args.only) else {}
    same = not there or all(there[key] == about[key] for key in ("code", "machine"))
    if args.only and not same:
        print(f"{file}: made by other code or on another machine; measure all of it, without --only", file=sys.stderr)
        return 2
    rows = {row["name"]: row for row in there.get("rows", [])} if same else {}
    for number, job in enumerate(jobs, 1):
        if args.only not in job.name if args.only else job.name in rows:
            continue
        print(f"{part} {number}/{len(jobs)} {job.name}: ", end="", file=sys.stderr, flush=True)
        started = time.perf_counter()
        row = job.measure()
        took = time.perf_counter() - started
        print(f"{'skipped' if row is None else job.line(row)} [{took:.0f} s]", file=sys.stderr, flush=True)
        if row is not None:
            rows[job.name] = {"name": job.name, "date": _now(), "took_seconds": round(took, 1), **row}
            ordered = [rows[job.name] for job in jobs if job.name in rows]
            _write(file, {**about, "rows": ordered})
    print(file)
    return 0


def _write(file: Path, document: Row) -> None:
    """Whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_suffix(".half")
    half.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    half.replace(file)


def provenance() -> Row:
    """What ran where: commit, a digest of the code that was measured, the machine, versions, and how busy it was."""
    return {"commit": _commit(), "code": _code(), "machine": machine(), "load": round(os.getloadavg()[0], 2)}


def machine() -> Row:
    """The machine and the libraries that the time depends on."""
    cpu = next((line for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ":" + platform.processor())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": cpu.partition(":")[2].strip(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(memory, 1),
        "os": platform.platform(terse=True),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
    }


def _commit() -> str:
    words = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.run([*words, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        paths = ["operator", "benchmarks/*.py"]
        changes = subprocess.run([*words, "status", "--porcelain", "--", *paths], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "no commit"
    return head.stdout.strip() + (" with changes" if changes.stdout.strip() else "")


def _code() -> str:
    """Digest of all that is measured and of what measures it; the page is neither."""
    files = sorted((ROOT / "operator" / "spotkube").rglob("*.py"))
    files += sorted(file for file in (ROOT / "benchmarks").glob("*.py") if not file.name.startswith("page"))
    files += sorted(file for file in PEERS.rglob("*") if file.suffix in (".py", ".go", ".mod"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
