#!/usr/bin/env python3
"""How time and memory grow: pods, groups, offerings and nodes that exist already, each point in its own process."""

import argparse
import dataclasses
import functools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "operator"))

import numpy as np

import cases
import generate
import results
import runs
from memory import peak_rss_mib
from spotkube.planner.neutral import Names, plan_document, read_neutral
from spotkube.planner.problem import Budget, Problem, Solution

EPILOG = """\
One axis at a time is changed; the others stay at 10,000 pods, 100 groups, 1,000 offerings and no nodes. Pods are drawn,
offerings are those of the shipped catalog, copied into further zones at other prices where more are asked for. The rows
`target` are the neutral problem for which targets are set. Each point is one solve in a fresh process. The clock runs
from the problem's arrays to the plan; peak memory is that of the process, reading of the file and libraries included.

examples:
  benchmarks/scale.py --quick               five points: a minute and a half
  benchmarks/scale.py                       all: seven minutes
  benchmarks/scale.py --only "150,000"      some rows again
exit codes: 0 written to benchmarks/results/scale.json, 2 bad arguments
"""
SEED = 1
MOST_FOR_KARPENTER = 10_000
# Cost over the bound proven by then; the first time at which it is no more than that is shown.
NEAR = (0.03, 0.01)


@dataclasses.dataclass(frozen=True)
class Point:
    """`sweep` is the axis that is being changed; `seconds` the budget."""

    sweep: str
    pods: int = 10_000
    groups: int = 100
    offerings: int = 1_000
    nodes: int = 0
    seconds: float = 10.0

    @property
    def name(self) -> str:
        sizes = f"{self.pods:,} pods, {self.groups:,} groups, {self.offerings:,} offerings, {self.nodes:,} nodes"
        return f"{self.sweep}: {sizes}"


# The neutral problem's groups and offerings are what its maker gives.
TARGETS = (Point("target", pods=10_000, offerings=2_142), Point("target", pods=150_000, offerings=2_142, seconds=30.0))
POINTS = (
    *TARGETS,
    *(Point("pods", pods=pods) for pods in (1_000, 3_000, 10_000, 30_000, 100_000, 150_000)),
    *(Point("groups", groups=groups) for groups in (10, 30, 100, 300)),
    *(Point("groups", groups=groups, seconds=30.0) for groups in (1_000, 2_000)),
    *(Point("offerings", offerings=offerings) for offerings in (100, 3_000, 10_000)),
    *(Point("nodes", nodes=nodes) for nodes in (500, 5_000)),
)
QUICK = (
    dataclasses.replace(TARGETS[1], seconds=10.0),
    *(Point("pods", pods=pods, seconds=5.0) for pods in (1_000, 30_000)),
    *(Point("groups", groups=groups, seconds=5.0) for groups in (10, 300)),
    Point("nodes", nodes=500, seconds=5.0),
)


def problem_file(point: Point) -> Path:
    """The point's problem without its nodes."""
    case = cases.Case("synthetic", point.pods, "cmrs32", 0.0)
    neutral = cases.problem_file(case) if point.sweep == "target" else None
    if neutral is not None:
        return neutral
    file = cases.CACHE / "problems" / "own" / f"scale-{point.pods}-{point.groups}-{point.offerings}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    source = generate.offerings()
    if point.offerings < len(source):
        source = source[:: len(source) // point.offerings]
    offerings = generate.scaled(source, point.offerings, SEED)
    groups = generate.synthetic(point.pods, point.groups, SEED)
    file.write_text(json.dumps({"offerings": offerings, "groups": groups}), encoding="utf-8")
    return file


def with_nodes(problem: Problem, nodes: int) -> Problem:
    """The same with so many nodes in the cluster, of every kind in turn, with random parts of their room free.

    In all, half of what the pods ask for is free: a cluster that is nearly full, and has to buy.
    """
    kind = np.arange(nodes) % problem.kinds
    room = problem.capacity[kind] * np.random.default_rng(SEED).uniform(0.0, 1.0, (nodes, 1))
    asked = problem.demand.T.astype(float) @ problem.count
    enough = float((asked / np.maximum(room.sum(axis=0), 1.0)).max(initial=0.0))
    free = np.minimum(room * min(1.0, enough / 2), problem.capacity[kind]).astype(np.int64)
    caps = np.repeat(problem.cap_limit[:, None], nodes, axis=1)
    risk = dataclasses.replace(problem.spot, bin_pool=problem.spot.spot_pool[kind])
    return dataclasses.replace(
        problem, bins=free, bin_compatible=problem.compatible[:, kind], bin_cap_left=caps, risk=risk
    )


def run_point(file: Path, nodes: int, seconds: float, plan: Path) -> results.Row:
    """One solve in this process; leaves the problem and the plan for the checker."""
    from spotkube.planner.search.solve import solve  # noqa: PLC0415
    from spotkube.planner.warmup import warm_up  # noqa: PLC0415

    problem, names = read_neutral(file)
    if nodes:
        problem = with_nodes(problem, nodes)
    warm_up()
    told: list[tuple[float, int, int]] = []
    started = time.perf_counter()
    result = solve(problem, seed=0, budget=Budget(seconds=seconds), progress=lambda *news: told.append(news))
    took = time.perf_counter() - started
    peak = peak_rss_mib()
    cost = result.solution.cost(problem)
    plan.write_text(json.dumps(checkable(file, problem, names, result.solution)), encoding="utf-8")
    return {
        "kinds": problem.kinds,
        "families": int(problem.family.max(initial=-1)) + 1,
        "first_seconds": told[0][0] if told else None,
        "near_seconds": {f"{near:g}": _first(told, near) for near in NEAR},
        "seconds": round(took, 3),
        "cost_usd_hour": names.cost_usd_hour(result.solution),
        "gap": round(cost / result.lower_bound - 1, 6) if result.lower_bound else None,
        "unschedulable": int(result.solution.unplaced.sum()),
        "peak_rss_mib": peak,
    }


def _first(told: list[tuple[float, int, int]], near: float) -> float | None:
    return next((at for at, cost, bound in told if bound and cost <= (1 + near) * bound), None)


def checkable(file: Path, problem: Problem, names: Names, solution: Solution) -> dict[str, Any]:
    """Problem and plan for the checker, who knows no nodes that are there: each is an offering that costs nothing."""
    data, plan = json.loads(file.read_text(encoding="utf-8")), plan_document(solution, names)
    offers = {(o["instance_type"], o["zone"], o["capacity_type"]): o for o in data["offerings"]}
    amounts = [*problem.resources]
    for b, pods in enumerate(solution.bin_pods):
        instance_type, zone, capacity_type = names.kinds[b % problem.kinds]
        room = dict(zip(amounts, problem.bins[b].tolist(), strict=True))
        node = {"instance_type": f"{instance_type} that is there, {b}", "zone": zone, "capacity_type": capacity_type}
        offer = offers[instance_type, zone, capacity_type]
        data["offerings"].append({**offer, **node, **room, "price_usd_hour": 0.0})
        held = {names.groups[g]: int(pods[g]) for g in np.flatnonzero(pods)}
        plan["nodes"].append({**node, "pods": held})
    return {"problem": data, "plan": plan}


def measure(point: Point) -> results.Row:
    """The row of a point: one solve in a process of its own, checked, and Karpenter where it is not too much."""
    file = problem_file(point)
    with tempfile.TemporaryDirectory() as folder:
        left = Path(folder) / "plan.json"
        words = ["--child", json.dumps([str(file), point.nodes, point.seconds, str(left)])]
        done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"scale.py: {point} failed: {done.stderr.strip()[-500:]}")
        row: results.Row = json.loads(done.stdout)
        both = json.loads(left.read_text(encoding="utf-8"))
        problem = Path(folder) / "problem.json"
        problem.write_text(json.dumps(both["problem"]), encoding="utf-8")
        verified = runs.check_document(problem, both["plan"], row["cost_usd_hour"])
    wanted = point.pods <= MOST_FOR_KARPENTER and not point.nodes and point.sweep == "pods"
    return {
        **dataclasses.asdict(point),
        "offerings": row.pop("kinds"),
        "groups": row.pop("families"),
        "source": cases.source() if point.sweep == "target" else "own",
        "budget_seconds": point.seconds,
        **row,
        "verified": verified,
        "karpenter": runs.karpenter(file) if wanted else None,
    }


def line(row: results.Row) -> str:
    """What is said when a row is done."""
    times = {f"within {float(near):.0%}": at for near, at in row["near_seconds"].items()}
    times = {"first plan": row["first_seconds"], **times}
    said = ", ".join(f"{name} {'never' if at is None else f'{at:.2f} s'}" for name, at in times.items())
    gap = "unknown" if row["gap"] is None else f"{row['gap']:.3%}"
    return f"{said}; {gap} over bound, {row['peak_rss_mib']:.0f} MiB"


def main() -> int:
    parser = results.arguments(__doc__, EPILOG, quick="six points, 5 s")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        file, nodes, seconds, plan = json.loads(args.child)
        print(json.dumps(run_point(Path(file), nodes, seconds, Path(plan))))
        return 0
    points = QUICK if args.quick else POINTS
    jobs = [results.Job(point.name, functools.partial(measure, point), line) for point in points]
    return results.run_part("scale", jobs, args)


if __name__ == "__main__":
    sys.exit(main())
