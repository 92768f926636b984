"""The problems that are measured, with the targets set for them, and where their files come from."""

import functools
import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import generate

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT.parent / "shared" / "peers"
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
CACHE = Path.home() / ".cache" / "spotkube-bench"
# From these many seconds on the target of a minute holds.
LONG = 60


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
        if seconds < LONG:
            return self.target
        return self.long if self.long is not None else 1 + (self.target - 1) / 2


S200 = tuple(Case("synthetic", 200, "cmrs32", 1.03, seed) for seed in range(10))
S1000 = Case("synthetic", 1000, "cmrs32", 1.008)
S3000 = Case("synthetic", 3000, "cmrs32", 1.004)
S10000 = Case("synthetic", 10000, "cmrs32", 1.0015)
OPENB_CPU = Case("openb-cpu", 0, "cmrs", 1.003)
OPENB_GPU = Case("openb-gpu", 0, "all", 1.003)
DIVERSE = Case("diverse", 2000, "cmrs32", 1.10, long=1.05)
SHARED = Case("diverse-shared", 500, "all", 1.10, long=1.05)
CASES = (
    *S200, S1000, S3000, S10000,
    Case("synthetic", 10000, "cmrs", 1.0015),
    Case("synthetic", 10000, "all", 1.0015),
    OPENB_CPU, OPENB_GPU, DIVERSE, SHARED,
)  # fmt: skip
QUICK = (*S200[:2], S1000, S3000, SHARED)
FAMILIES = (S200[0], S1000, Case("synthetic", 3000, "all", 1.004), OPENB_CPU, OPENB_GPU, DIVERSE, SHARED)
QUICK_FAMILIES = (S200[0], S1000, SHARED)
OWN = {"synthetic", "diverse", "diverse-shared"}


def problem_file(case: Case, pin_spot: bool = False) -> Path | None:
    """Makes the file, from the neutral maker beside the checkout or, without it, by ourselves; None if neither can."""
    maker = _maker()
    name = f"{case.name.replace(' ', '-')}-{case.seed}{'-pinned' if pin_spot else ''}.json"
    file = CACHE / "problems" / (maker or "own") / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if not maker:
        if case.family in OWN:
            file.write_text(json.dumps(own_problem(case, pin_spot)), encoding="utf-8")
        return file if case.family in OWN else None
    if not file.exists():
        half = file.with_suffix(".half")
        words = [case.family, *([str(case.pods)] if case.pods else []), "--seed", str(case.seed)]
        words += ["--catalog", case.catalog, *(["--pin-spot"] if pin_spot else []), "-o", str(half)]
        subprocess.run([str(PEERS_PYTHON), str(PEERS / "make_problem.py"), *words], check=True, capture_output=True)
        half.replace(file)
    return file


def source() -> str:
    """Whose the problems are: `neutral`, or our `own` where the neutral maker is absent."""
    return "neutral" if _maker() else "own"


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


@functools.cache
def _maker() -> str:
    """A digest of the neutral maker, so that no file of an older one is used; nothing where it can't run."""
    script = PEERS / "make_problem.py"
    if not script.exists():
        return ""
    if not PEERS_PYTHON.exists():
        print("../shared/peers is here, but its Python is not: `make peers`. Drawing own problems.", file=sys.stderr)
        return ""
    return hashlib.sha256(script.read_bytes()).hexdigest()[:12]
