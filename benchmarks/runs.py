"""Runs of the planner, of Karpenter and of the independent checker on one problem file, each in its own process."""

import functools
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cases import CACHE, PEERS, ROOT
from results import Row

# Karpenter itself gives up after 60 s.
KARPENTER_SECONDS = 180


def planner(problem: Path, seconds: float, seed: int = 0) -> Row:
    """What benchmarks/planner.py says, and `verified`: see check."""
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.json"
        words = [str(problem), "--budget", str(seconds), "--seed", str(seed), "--plan", str(plan)]
        script = ROOT / "benchmarks" / "planner.py"
        done = subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"planner.py failed on {problem}: {done.stderr.strip()}")
        row: Row = json.loads(done.stdout)
        row["verified"] = check(problem, plan, row["cost_usd_hour"])
    return row


def check(problem: Path, plan: Path, cost_usd_hour: float) -> bool | None:
    """Whether the independent checker finds all pods placed, no rule broken, and that cost; None where it is absent."""
    checker = PEERS / "check_plan.py"
    if not checker.exists():
        return None
    words = [sys.executable, str(checker), str(problem), str(plan)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode == 0 and abs(float(done.stdout) - cost_usd_hour) <= 1e-4 * max(1.0, cost_usd_hour):
        return True
    print(f"REFUSED ({cost_usd_hour} $/h): {(done.stdout or done.stderr).strip()[:300]} ", end="", file=sys.stderr)
    return False


def check_document(problem: Path, plan: dict[str, Any], cost_usd_hour: float) -> bool | None:
    """The same for a plan that is in no file yet."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(plan, file)
        file.flush()
        return check(problem, Path(file.name), cost_usd_hour)


@functools.cache
def karpenter_binary() -> Path | None:
    """Karpenter's scheduler as a program, built once; None where its source or Go is missing."""
    source = PEERS / "karpenter"
    if not source.exists():
        return None
    digest = hashlib.sha256((source / "main.go").read_bytes() + (source / "go.mod").read_bytes()).hexdigest()[:12]
    binary = CACHE / f"karpsolve-{digest}"
    if binary.exists():
        return binary
    CACHE.mkdir(parents=True, exist_ok=True)
    print("(building Karpenter: minutes, once) ", end="", file=sys.stderr, flush=True)
    try:
        words = ["go", "build", "-o", str(binary), "."]
        subprocess.run(words, cwd=source, check=True, capture_output=True, timeout=1200)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"(Karpenter is left out: {error}) ", end="", file=sys.stderr)
        return None
    return binary


def karpenter(problem: Path | None) -> Row | None:
    """One Solve of Karpenter's scheduler; None where it is not to be had."""
    binary = karpenter_binary()
    if binary is None or problem is None:
        return None
    words = [str(binary), "-brief", str(problem)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=KARPENTER_SECONDS)
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {KARPENTER_SECONDS} s"}
    if done.returncode:
        return {"error": done.stderr.strip()[-300:]}
    said = json.loads(done.stdout)
    return {
        "version": said["version"],
        "cost_usd_hour": said["cost_usd_hour_cheapest"],
        "unschedulable": said["unschedulable"],
        "nodes": said["nodes"],
        "seconds": round(said["solve_seconds"], 3),
        "peak_rss_mib": said["max_rss_mib"],
    }
