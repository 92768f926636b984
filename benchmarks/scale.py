#!/usr/bin/env python3
"""How time and memory grow: pods, groups, offerings and nodes that exist already, each point in its own process."""

import argparse
import dataclasses
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "operator"))

import numpy as np
from rich.console import Console
from rich.progress import track

import cases
import generate
import runs
from spotkube.planner.neutral import to_problem
from spotkube.planner.problem import Budget, Problem

EPILOG = """\
One axis at a time is changed; the others stay at 10,000 pods, 100 groups, 1,000 offerings and no nodes. Pods are drawn,
offerings are those of the shipped catalog, copied into further zones at other prices where more are asked for. The time
of the first plan is that of a solve with no time for more; that within 3 % of the bound comes from growing budgets.

examples:
  benchmarks/scale.py --quick     three small points
  benchmarks/scale.py             all: about half an hour
exit codes: 0 written to benchmarks/results/scale.json
"""
SEED = 1
MOST_FOR_KARPENTER = 10_000
BUDGETS = (0.01, 1.0, 2.0, 5.0, 10.0, 30.0)


@dataclasses.dataclass(frozen=True)
class Point:
    """`sweep` is the axis that is being changed."""

    sweep: str
    pods: int = 10_000
    groups: int = 100
    offerings: int = 1_000
    nodes: int = 0


POINTS = (
    *(Point("pods", pods=pods) for pods in (1_000, 3_000, 10_000, 30_000, 100_000, 150_000)),
    *(Point("groups", groups=groups) for groups in (10, 30, 100, 300, 1_000, 2_000)),
    *(Point("offerings", offerings=offerings) for offerings in (100, 3_000, 10_000)),
    *(Point("nodes", nodes=nodes) for nodes in (500, 5_000)),
)
QUICK = (Point("pods", pods=1_000, groups=30, offerings=300), Point("pods", pods=4_000, groups=30, offerings=300))


def neutral(point: Point) -> dict[str, list[dict[str, object]]]:
    """The point's problem without its nodes."""
    source = generate.offerings()
    if point.offerings < len(source):
        source = source[:: len(source) // point.offerings]
    return {
        "offerings": generate.scaled(source, point.offerings, SEED),
        "groups": generate.synthetic(point.pods, point.groups, SEED),
    }


def with_nodes(problem: Problem, nodes: int) -> Problem:
    """The same with so many nodes in the cluster, of every kind in turn, each with a random part of its room free."""
    chance = np.random.default_rng(SEED)
    kind = np.arange(nodes) % problem.kinds
    free = (problem.capacity[kind] * chance.uniform(0.0, 0.5, (nodes, 1))).astype(np.int64)
    caps = np.repeat(problem.cap_limit[:, None], nodes, axis=1)
    return dataclasses.replace(problem, bins=free, bin_compatible=problem.compatible[:, kind], bin_cap_left=caps)


def run_point(point: Point, budget: float) -> runs.Row:
    """One solve in this process."""
    from spotkube.planner.solve import solve  # noqa: PLC0415
    from spotkube.planner.warmup import warm_up  # noqa: PLC0415

    document = neutral(point)
    problem, _ = to_problem(document["offerings"], document["groups"])
    if point.nodes:
        problem = with_nodes(problem, point.nodes)
    warm_up()
    started = time.perf_counter()
    result = solve(problem, seed=0, budget=Budget(seconds=budget))
    seconds = time.perf_counter() - started
    cost = result.solution.cost(problem)
    return {
        "seconds": round(seconds, 3),
        "gap": round(cost / result.lower_bound - 1, 6) if result.lower_bound else None,
        "unschedulable": int(result.solution.unplaced.sum()),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def measure(point: Point, budgets: tuple[float, ...]) -> runs.Row:
    """The row of a point: solves with growing budgets, each in its own process, and Karpenter where it is not too much.

    Times are those of whole solves, so that of a plan within 3 % is an upper bound.
    """
    words = [sys.executable, __file__, "--point", json.dumps(dataclasses.asdict(point)), "--budgets"]
    solves = []
    for seconds in budgets:
        done = subprocess.run([*words, str(seconds)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"scale.py: {point} failed: {done.stderr.strip()[-500:]}")
        solves.append(json.loads(done.stdout))
    near = [solve["seconds"] for solve in solves if solve["gap"] is not None and solve["gap"] <= 0.03]
    return {
        **dataclasses.asdict(point),
        "first_seconds": solves[0]["seconds"],
        "near_seconds": min(near, default=None),
        **solves[-1],
        "peak_rss_mib": max(solve["peak_rss_mib"] for solve in solves),
        "karpenter": _karpenter(point),
    }


def _karpenter(point: Point) -> runs.Row | None:
    if point.pods > MOST_FOR_KARPENTER or point.nodes or point.sweep != "pods":
        return None
    file = cases.CACHE / "problems" / "scale.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(neutral(point)), encoding="utf-8")
    return runs.karpenter(file)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two small points, up to 2 s: a smoke test")
    parser.add_argument(
        "--budgets", type=float, nargs="+", metavar="SECONDS", help="of the solves, the last is 'the end'"
    )
    parser.add_argument("--point", help=argparse.SUPPRESS)
    args = parser.parse_args()
    budgets = tuple(args.budgets or (BUDGETS[:3] if args.quick else BUDGETS))
    if args.point:
        print(json.dumps(run_point(Point(**json.loads(args.point)), budgets[0])))
        return 0
    points = QUICK if args.quick else POINTS
    print(
        runs.save("scale", [measure(point, budgets) for point in track(points, "scale", console=Console(stderr=True))])
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
