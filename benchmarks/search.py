#!/usr/bin/env python3
"""What the search adds: ours against first-fit, rounding, a MIP and the SpotKube paper's own GA at equal time."""

import functools
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "operator"))

import cases
import papers_ga
import results
import rivals
import runs
from attempts import Attempt, Point, hypervolume, unbeaten
from spotkube.model.history import HOURS_A_MONTH
from spotkube.planner.neutral import Names, plan_document, read_neutral
from spotkube.planner.problem import Budget, Problem
from spotkube.planner.search.solve import solve
from spotkube.planner.warmup import warm_up

EPILOG = """\
For each family and solver: the cost after growing times of one run, and at its end the hypervolume of the front of
(cost, expected interruptions). The reference point lies a tenth beyond the worst point of all fronts. The cheapest plan
of each solver is checked by the independent checker where that is there.

examples:
  benchmarks/search.py --quick       three families, 5 s: a minute
  benchmarks/search.py               all families, 10 s: five minutes
exit codes: 0 written to benchmarks/results/search.json, 2 bad arguments
"""
TIMES = (0.5, 1.0, 2.0, 5.0, 10.0)


def ours(problem: Problem, seconds: float) -> tuple[Attempt, float]:
    """What the planner reaches, and the bound it proves, micro-dollars an hour."""
    attempt = Attempt(problem, time.perf_counter())
    curve: list[tuple[float, int]] = []
    result = solve(
        problem, seed=0, budget=Budget(seconds=seconds), progress=lambda at, cost, _: curve.append((at, cost))
    )
    attempt.plan(result.solution)
    # A front has the fewest pods missing; it counts where that is none.
    if attempt.best is not None:
        attempt.front += [(float(one.cost), one.interrupted * HOURS_A_MONTH) for one in result.front]
        attempt.curve = curve
    return attempt, float(result.lower_bound)


def paper(problem: Problem, seconds: float) -> tuple[Attempt, int]:
    """What the paper's GA reaches, and how many of its generations it came to."""
    attempt = Attempt(problem, time.perf_counter())
    return attempt, papers_ga.evolve(problem, 0, seconds, attempt)


def measure(case: cases.Case, times: Sequence[float]) -> results.Row | None:
    """The row of a family; None where its problem can't be made here."""
    file = cases.problem_file(case)
    if file is None:
        return None
    problem, names = read_neutral(file)
    seconds = times[-1]
    mine, bound = ours(problem, seconds)
    others = rivals.seeds_and_mip(problem, seconds)
    papers, generations = paper(problem, seconds)
    attempts = {"ours": mine, **others, "paper": papers}
    fronts = {
        "ours": mine.front,
        "seeds and MIP": [point for attempt in others.values() for point in attempt.front],
        "paper": papers.front,
    }
    seeds = [attempt.curve[-1][1] for attempt in others.values() if attempt.curve]
    fronts = {name: unbeaten(front) for name, front in fronts.items()}
    areas = _areas(fronts)
    return {
        "problem": case.name,
        "source": cases.source(),
        "times": list(times),
        "lower_bound_usd_hour": bound / 1e6,
        "solvers": {name: _solver(attempt, names, file, times) for name, attempt in attempts.items()},
        "papers_generations": generations,
        "fronts": fronts,
        "hypervolume": areas,
        "cheaper": bool(mine.curve) and (not seeds or mine.curve[-1][1] < min(seeds)),
        "wider": areas["ours"] > areas["seeds and MIP"],
    }


def _areas(fronts: dict[str, list[Point]]) -> dict[str, float]:
    everything = [point for front in fronts.values() for point in front]
    reference = (
        1.1 * max((p[0] for p in everything), default=0.0),
        1.1 * max((p[1] for p in everything), default=0.0) + 1e-9,
    )
    return {name: hypervolume(front, reference) for name, front in fronts.items()}


def _solver(attempt: Attempt, names: Names, file: Path, times: Sequence[float]) -> results.Row:
    """Cost at the times, None before the first plan; and whether the checker takes the last plan."""
    costs = [min((cost for at, cost in attempt.curve if at <= limit), default=None) for limit in times[:-1]]
    # The last step may end a little after its time, for all solvers alike.
    costs.append(min((cost for _, cost in attempt.curve), default=None))
    verified = None
    if attempt.best is not None:
        cost_usd_hour = names.cost_usd_hour(attempt.best)
        verified = runs.check_document(file, plan_document(attempt.best, names), cost_usd_hour)
    return {
        "cost_usd_hour": [None if cost is None else cost / 1e6 for cost in costs],
        "first_plan_seconds": attempt.curve[0][0] if attempt.curve else None,
        "last_plan_seconds": attempt.curve[-1][0] if attempt.curve else None,
        "verified": verified,
    }


def line(row: results.Row) -> str:
    """What is said when a row is done."""
    costs = {name: solver["cost_usd_hour"][-1] for name, solver in row["solvers"].items()}
    said = ", ".join(f"{name} {'none' if cost is None else f'{cost:.3f}'}" for name, cost in costs.items())
    return f"{said}; {'cheaper ' * row['cheaper']}{'wider' * row['wider']}"


def main() -> int:
    args = results.arguments(__doc__, EPILOG, quick="three families, 5 s").parse_args()
    if not args.list:
        warm_up()
    times = TIMES[:-1] if args.quick else TIMES
    wanted = cases.QUICK_FAMILIES if args.quick else cases.FAMILIES
    jobs = [results.Job(case.name, functools.partial(measure, case, times), line) for case in wanted]
    return results.run_part("search", jobs, args)


if __name__ == "__main__":
    sys.exit(main())
