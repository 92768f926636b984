#!/usr/bin/env python3
"""What the search adds: ours against first-fit, rounding, a MIP and the SpotKube paper's own GA at equal time."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "operator"))

from rich.console import Console
from rich.progress import track

import cases
import papers_ga
import rivals
import runs
from spotkube.planner.neutral import read_neutral
from spotkube.planner.problem import Budget
from spotkube.planner.solve import solve
from spotkube.planner.warmup import warm_up

EPILOG = """\
For each family: the cost after growing budgets (ours, one solve each), and at the last budget the cost and the
hypervolume of the (cost, expected interruptions) front of ours, of our seeds with a MIP over the generated columns, and
of the paper's GA. The reference point lies a tenth beyond the worst point of all fronts.

examples:
  benchmarks/search.py --quick       two small families, 2 s
  benchmarks/search.py               all families, up to 30 s: about 15 minutes
exit codes: 0 written to benchmarks/results/search.json
"""
FAMILIES = (
    cases.Case("synthetic", 200, "cmrs32", 1.03),
    cases.Case("synthetic", 1000, "cmrs32", 1.008),
    cases.Case("synthetic", 3000, "all", 1.004),
    cases.Case("openb-cpu", 0, "cmrs", 1.003),
    cases.Case("openb-gpu", 0, "all", 1.003),
    cases.Case("diverse", 2000, "cmrs32", 1.10),
    cases.Case("diverse-shared", 500, "all", 1.10),
)


def measure(case: cases.Case, budgets: tuple[float, ...]) -> runs.Row | None:
    """The row of a family; None where its problem can't be made here."""
    file = cases.problem_file(case)
    if file is None:
        print(f"{case.name}: skipped, its pods are in ../shared/data, which is not here", file=sys.stderr)
        return None
    problem, _ = read_neutral(file)
    seconds, curve, ours = budgets[-1], [], []
    for budget in budgets:
        result = solve(problem, seed=0, budget=Budget(seconds=budget))
        point = rivals.point_of(problem, result.solution)
        curve.append([budget, None if point is None else point[0] / 1e6])
        # A front has the fewest pods missing; it counts where that is none.
        ours = [*([point] if point else []), *(result.front if point else ())]
    found = rivals.seeds_and_mip(problem, seconds)
    seeds = [point for point in found.values() if point is not None]
    paper = list(papers_ga.evolve(problem, 0, seconds).front)
    everything = [*ours, *seeds, *paper]
    reference = (1.1 * max(p[0] for p in everything), 1.1 * max(p[1] for p in everything) + 1e-9)
    return {
        "problem": case.name,
        "seconds": seconds,
        "curve": curve,
        "rivals": {name: None if point is None else point[0] / 1e6 for name, point in found.items()},
        "paper": min(paper)[0] / 1e6 if paper else None,
        "hypervolume": {
            "ours": rivals.hypervolume(ours, reference),
            "seeds and MIP": rivals.hypervolume(seeds, reference),
            "paper": rivals.hypervolume(paper, reference),
        },
        "cheaper": bool(ours) and (not seeds or min(ours)[0] < min(seeds)[0]),
        "wider": rivals.hypervolume(ours, reference) > rivals.hypervolume(seeds, reference),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two small families, 2 s: a smoke test")
    args = parser.parse_args()
    warm_up()
    budgets = (1.0, 2.0) if args.quick else (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
    wanted = cases.QUICK if args.quick else FAMILIES
    measured = (measure(case, budgets) for case in track(wanted, "search", console=Console(stderr=True)))
    print(runs.save("search", [row for row in measured if row is not None]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
