"""The problems that are measured, with the targets set for them, and where their files come from."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import generate

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT.parent / "shared" / "peers"
CACHE = Path.home() / ".cache" / "spotkube-bench"


@dataclass(frozen=True)
class Case:
    """`target` is cost over the proven bound after 5 s that may not be passed; with 60 s half of the gap, or `long`."""

    family: str
    pods: int
    catalog: str
    target: float
    seed: int = 0
    long: float | None = None

    @property
    def name(self) -> str:
        return f"{self.family}{f' {self.pods}' if self.pods else ''} {self.catalog}"

    def target_at(self, seconds: float) -> float:
        if seconds < 60:
            return self.target
        return self.long if self.long is not None else 1 + (self.target - 1) / 2


CASES = (
    *(Case("synthetic", 200, "cmrs32", 1.03, seed) for seed in range(10)),
    Case("synthetic", 1000, "cmrs32", 1.008),
    Case("synthetic", 3000, "cmrs32", 1.004),
    Case("synthetic", 10000, "cmrs32", 1.0015),
    Case("synthetic", 10000, "cmrs", 1.0015),
    Case("synthetic", 10000, "all", 1.0015),
    Case("openb-cpu", 0, "cmrs", 1.003),
    Case("openb-gpu", 0, "all", 1.003),
    Case("diverse", 2000, "cmrs32", 1.10, long=1.05),
    Case("diverse-shared", 500, "all", 1.10, long=1.05),
)
QUICK = (Case("synthetic", 200, "cmrs32", 1.03), Case("diverse", 500, "cmrs32", 1.10, long=1.05))
OWN = {"synthetic", "diverse", "diverse-shared"}


def problem_file(case: Case, pin_spot: bool = False) -> Path | None:
    """Makes the file, from the neutral maker beside the checkout or, without it, by ourselves; None if neither can."""
    folder = CACHE / "problems"
    folder.mkdir(parents=True, exist_ok=True)
    source = "peers" if maker_python() else "own"
    file = folder / f"{source}-{case.name.replace(' ', '-')}-{case.seed}{'-pinned' if pin_spot else ''}.json"
    if file.exists():
        return file
    python = maker_python()
    if python:
        words = [case.family, *([str(case.pods)] if case.pods else []), "--seed", str(case.seed)]
        words += ["--catalog", case.catalog, *(["--pin-spot"] if pin_spot else []), "-o", str(file)]
        subprocess.run([python, str(PEERS / "make_problem.py"), *words], check=True, capture_output=True)
        return file
    if case.family not in OWN:
        return None
    file.write_text(json.dumps(own_problem(case, pin_spot)), encoding="utf-8")
    return file


def own_problem(case: Case, pin_spot: bool = False) -> dict[str, list[dict[str, object]]]:
    """Like the neutral one of that name, though not the same: the shipped catalog, and pods drawn by us."""
    if case.family == "synthetic":
        groups = generate.synthetic(case.pods, max(5, min(100, int(case.pods**0.5))), case.seed)
    else:
        groups = generate.diverse(case.pods, case.seed, shared=case.family == "diverse-shared")
    if pin_spot:
        groups = [{**group, "capacity_type": group["capacity_type"] or "spot"} for group in groups]
    most_vcpu = 32 if case.catalog.endswith("32") else 10_000
    return {"offerings": generate.offerings(most_vcpu), "groups": groups}


def maker_python() -> str | None:
    """A Python that has what the neutral maker needs, if it is there: this one, or that of the cache."""
    if not (PEERS / "make_problem.py").exists():
        return None
    for python in (CACHE / "peers-venv" / "bin" / "python", Path(sys.executable)):
        if python.exists():
            done = subprocess.run([str(python), "-c", "import numpy, pandas"], capture_output=True, check=False)
            if done.returncode == 0:
                return str(python)
    return None
