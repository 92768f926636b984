#!/usr/bin/env python3
"""Cost, proven bound and gap on the neutral problems, against the targets, with Karpenter in the same run."""

import functools
import json
import sys

import cases
import results
import runs

EPILOG = """\
Each problem is planned by benchmarks/planner.py in a process of its own, and each plan is checked by the independent
checker beside the checkout (../shared/peers) where that is there. Karpenter runs as it is and, where some pods have to
be on demand, with every other one pinned to spot. Without ../shared the problems are drawn from the shipped catalog and
Karpenter is left out.

examples:
  benchmarks/cost.py --quick                     five problems, 5 s each: a minute and a half
  benchmarks/cost.py                             all problems, 5 and 60 s: a quarter of an hour
  benchmarks/cost.py --only "synthetic 1000 "    one row again
exit codes: 0 written to benchmarks/results/cost.json, 2 bad arguments
"""
# Of the ten seeds of the smallest problem, how many get a minute as well.
LONG_SEEDS = 1


def measure(case: cases.Case, budgets: tuple[float, ...]) -> results.Row | None:
    """One row; None where the problem can't be made here."""
    file = cases.problem_file(case)
    if file is None:
        return None
    ours = []
    for seconds in budgets:
        row = runs.planner(file, seconds)
        ours.append({"budget_seconds": seconds, "target": case.target_at(seconds), **row})
    problem = json.loads(file.read_text(encoding="utf-8"))
    # Where no pod has to be on demand, none can drag others there: pinning changes nothing.
    mixed = any(group["capacity_type"] == "on-demand" for group in problem["groups"])
    return {
        "problem": case.name,
        "seed": case.seed,
        "source": cases.source(),
        "mixed": mixed,
        "pods": sum(group["count"] for group in problem["groups"]),
        "groups": len(problem["groups"]),
        "offerings": len(problem["offerings"]),
        "ours": ours,
        "karpenter": runs.karpenter(file),
        "karpenter_pinned": runs.karpenter(cases.problem_file(case, pin_spot=True)) if mixed else None,
    }


def line(row: results.Row) -> str:
    """What is said when a row is done."""
    ours = ", ".join(f"{run['budget_seconds']:g} s {_gap(run)}" for run in row["ours"])
    peer = (row["karpenter_pinned" if row["mixed"] else "karpenter"] or {}).get("cost_usd_hour")
    theirs = "none" if peer is None else f"{peer:.3f} $/h"
    return f"{row['ours'][0]['cost_usd_hour']:.3f} $/h; over bound {ours}; Karpenter at best {theirs}"


def _gap(run: results.Row) -> str:
    return "unknown" if run["gap"] is None else f"{run['gap']:.2%}"


def main() -> int:
    parser = results.arguments(__doc__, EPILOG, quick="five problems, 5 s each")
    args = parser.parse_args()
    jobs = []
    for case in cases.QUICK if args.quick else cases.CASES:
        short = args.quick or (case in cases.S200 and case.seed >= LONG_SEEDS)
        budgets = (5.0,) if short else (5.0, 60.0)
        name = f"{case.name} seed {case.seed}"
        jobs.append(results.Job(name, functools.partial(measure, case, budgets), line))
    return results.run_part("cost", jobs, args)


if __name__ == "__main__":
    sys.exit(main())
