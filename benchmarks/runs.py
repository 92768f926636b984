"""Runs of the planner and of Karpenter on one problem file, each in its own process, and the results they leave."""

import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cases import CACHE, PEERS, ROOT

RESULTS = ROOT / "benchmarks" / "results"
Row = dict[str, Any]


def planner(problem: Path, seconds: float, seed: int = 0) -> Row:
    """What benchmarks/planner.py says, and `verified`: by the independent checker, or None where that is absent."""
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.json"
        words = [str(problem), "--budget", str(seconds), "--seed", str(seed), "--plan", str(plan)]
        script = ROOT / "benchmarks" / "planner.py"
        done = subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"planner.py failed on {problem}: {done.stderr.strip()}")
        row: Row = json.loads(done.stdout)
        row["verified"] = _verified(problem, plan, row["cost_usd_hour"])
    return row


def _verified(problem: Path, plan: Path, cost: float) -> bool | None:
    checker = PEERS / "check_plan.py"
    if not checker.exists():
        return None
    words = [sys.executable, str(checker), str(problem), str(plan)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.returncode == 0 and abs(float(done.stdout) - cost) <= 1e-4 * max(1.0, cost)


def karpenter_binary() -> Path | None:
    """Karpenter's scheduler as a program, built once; None where its source or Go is missing."""
    binary = CACHE / "karpsolve"
    if binary.exists():
        return binary
    if not (PEERS / "karpenter").exists():
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        words = ["go", "build", "-o", str(binary), "."]
        subprocess.run(words, cwd=PEERS / "karpenter", check=True, capture_output=True, timeout=1200)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"Karpenter is left out: go build failed ({error})", file=sys.stderr)
        return None
    return binary


def karpenter(problem: Path | None) -> Row | None:
    """One Solve of Karpenter's scheduler; None where it is not to be had."""
    binary = karpenter_binary()
    if binary is None or problem is None:
        return None
    done = subprocess.run([str(binary), "-brief", str(problem)], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": done.stderr.strip()[-300:]}
    said = json.loads(done.stdout)
    return {
        "version": said["version"],
        "cost_usd_hour": said["cost_usd_hour_cheapest"],
        "unschedulable": said["unschedulable"],
        "nodes": said["nodes"],
        "seconds": said["solve_seconds"],
        "peak_rss_mib": said["max_rss_mib"],
    }


def save(name: str, rows: list[Row]) -> Path:
    """Writes results/NAME.json with the machine, versions, date and command."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{name}.json"
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    document = {"command": "benchmarks/" + " ".join(words), "machine": machine(), "rows": rows}
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return file


def machine() -> Row:
    """Where and when, and with what."""
    cpu = next((line for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ":" + platform.processor())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "cpu": cpu.partition(":")[2].strip(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "os": platform.platform(terse=True),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("numba", "numpy", "highspy", "deap")},
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
